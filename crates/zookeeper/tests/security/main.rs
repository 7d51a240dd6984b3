//! Who may come in, and what the others notice of those who may not: nodes in this process,
//! clients on their ports.

#![allow(clippy::unwrap_used)]

mod audit;
mod auth;
mod client;
mod hostile;
mod limits;
mod node;
mod sasl;
mod serving;
mod tls;
