//! Those who wait for a partition: fetches for records, producers for acknowledgements.

pub(crate) mod acks;
pub(crate) mod fetch;

pub use acks::AckWait;
pub use fetch::{FetchWaiter, Round};
