//! The tools and their client against a scripted server: bytes in, bytes out, and what is printed.

mod fake;
mod zk_cli;
mod zk_client;
