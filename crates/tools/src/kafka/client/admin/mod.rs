//! What an administrator asks of a cluster, in the nouns that the tools show.

mod acls;
mod configs;
mod elections;
mod groups;
mod log_dirs;
mod offsets;
mod topics;
mod transactions;
mod users;

pub use acls::{AclEntry, AclResource};
pub use configs::{ConfigChange, ConfigEntry, ConfigOperation, ResourceKind};
pub use groups::{GroupDescription, GroupListing, GroupMember, GroupOffset};
pub use offsets::{ListedOffset, OffsetSpec};
pub use topics::{NewTopic, PartitionDescription, Reassignment, TopicDescription, TopicListing};
pub use transactions::{
    AbortTransaction, ProducerState, TransactionDescription, TransactionListing,
};
pub use users::{QuotaEntity, QuotaMatch, ScramMechanism};

use super::{Client, ClientConfig, Properties, Result};
use crate::zk_cli::Console;

/// An administrator's client.
pub struct Admin<'a> {
    /// The client below.
    pub client: Client<'a>,
    /// How long a call may take, where the tool says so.
    pub timeout: Option<std::time::Duration>,
}

impl<'a> Admin<'a> {
    /// With settings; it connects when it is first used.
    ///
    /// # Errors
    /// If a setting is wrong.
    pub fn new(properties: Properties, console: &'a Console) -> Result<Self> {
        let client = Client::new(ClientConfig::admin(properties)?, console);
        Ok(Self { client, timeout: None })
    }

    /// The time that a request gives a broker, in milliseconds.
    fn broker_timeout_ms(&self) -> i32 {
        let timeout = self.timeout.unwrap_or(self.client.config.request_timeout);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
