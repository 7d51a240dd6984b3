//! A small blocking ZooKeeper client: one session, one connection thread, calls from any thread.
//!
//! It keeps the promises of Apache ZooKeeper's Java client that a tool depends on: requests made
//! before the connection stands wait for it, a lost connection fails what is outstanding with
//! `ConnectionLoss` and is retried on the next server with the session re-attached, credentials and
//! watches follow the session, and an event is delivered before the reply that comes after it.

mod connect_string;
mod connection;
mod error;
mod event;
mod ops;
mod path;
mod shared;
mod watches;

pub use connect_string::ConnectString;
pub use error::{ClientError, code_message};
pub use event::{KeeperState, WatchedEvent, event_name};
pub use ops::{Client, ClientOptions, NewNode, WatcherType};
pub use path::validate_path;
pub use shared::State;
