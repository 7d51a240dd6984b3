//! Who may come in, and what the others notice of those who may not: a node in this process,
//! clients on its ports.

#![allow(clippy::unwrap_used)]

mod auth;
mod client;
mod hostile;
mod limits;
mod node;
mod sasl;
mod tls;
