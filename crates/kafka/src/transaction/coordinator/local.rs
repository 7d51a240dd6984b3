//! Markers for partitions that this node leads.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Clock;
use polyport_log::TopicPartition;
use polyport_log::batch::EndMarker;
use polyport_partitions::Store;
use polyport_storage::Disk;

use super::super::machine::{End, Marker, Producer};
use super::markers::{MarkerError, MarkerSink, Writing};
use crate::group::{self, GroupError};
use crate::internal::log::{AppendError, InternalLog};
use crate::metadata::image::Image;
use crate::metadata::topics::CONSUMER_OFFSETS;

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This node.
    Here,
    /// Another node, or nobody now.
    Elsewhere,
    /// The partition does not exist, or its topic is being deleted.
    Gone,
}

/// Says who leads a partition.
pub type LeaderOf = Box<dyn Fn(&TopicPartition) -> Leadership + Send + Sync>;

/// Who leads a partition, by the metadata. They know of every partition of a transaction: it was there
/// before this node was made the transaction's coordinator, which they know too.
pub fn leadership(image: &Image, broker: i32, of: &TopicPartition) -> Leadership {
    match image.partition(&of.topic, of.partition) {
        None => Leadership::Gone,
        Some(_) if image.is_deleting(&of.topic) => Leadership::Gone,
        Some(partition) if partition.leader() == Some(broker) => Leadership::Here,
        Some(_) => Leadership::Elsewhere,
    }
}

/// Writes markers to this node's partitions.
pub struct LocalMarkers<D: Disk> {
    /// The partitions.
    pub store: Store<D>,
    /// What the markers' timestamps come from.
    pub clock: Arc<dyn Clock>,
    /// Who leads which.
    pub leader_of: LeaderOf,
    /// Writes the markers of `__consumer_offsets`, by which offsets become visible.
    pub groups: group::Coordinator,
    /// `request.timeout.ms`: how long replicas may take.
    pub timeout: Duration,
}

impl<D: Disk> LocalMarkers<D> {
    fn write_to_group(&self, partition: i32, marker: Marker) -> Writing {
        let groups = self.groups.clone();
        let Marker { producer: Producer { id, epoch }, end, coordinator_epoch } = marker;
        let producer = group::machine::TransactionalProducer { id, epoch };
        let commit = end == End::Commit;
        let end = group::machine::EndTransaction { producer, commit, coordinator_epoch };
        Box::pin(async move { Ok(groups.end_transaction(partition, end).await?) })
    }
}

impl<D: Disk> MarkerSink for LocalMarkers<D> {
    fn write(&self, marker: Marker, partition: &TopicPartition) -> Writing {
        let refused = |error| -> Writing { Box::pin(std::future::ready(Err(error))) };
        match (self.leader_of)(partition) {
            Leadership::Gone => return refused(MarkerError::Gone),
            Leadership::Elsewhere => return refused(MarkerError::Unavailable),
            Leadership::Here => {}
        }
        if partition.topic == CONSUMER_OFFSETS {
            return self.write_to_group(partition.partition, marker);
        }
        let Some(leader) = self.store.partition(&partition.topic, partition.partition) else {
            // It is being made, or its directory is offline.
            return refused(MarkerError::Unavailable);
        };
        let Marker { producer, end, coordinator_epoch } = marker;
        let now = self.clock.now();
        let end = EndMarker { commit: end == End::Commit, coordinator_epoch };
        let mut batch = end.build(producer.id, producer.epoch, now.0);
        let replicated = match InternalLog::append(&leader, &mut batch, now) {
            Ok(written) => written.replicated,
            Err(error) => return refused(error.into()),
        };
        let timeout = self.timeout;
        Box::pin(async move {
            let Some(replicated) = replicated else { return Ok(()) };
            let done = tokio::time::timeout(timeout, replicated).await;
            Ok(done.map_err(|_| MarkerError::NotEnoughReplicas)??)
        })
    }
}

impl From<AppendError> for MarkerError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::ProducerFenced => MarkerError::ProducerFenced,
            AppendError::CoordinatorFenced => MarkerError::CoordinatorFenced,
            AppendError::NotEnoughReplicas => MarkerError::NotEnoughReplicas,
            // A marker is never too large, and nobody verifies it.
            AppendError::NotLeader | AppendError::TooLarge | AppendError::NotVerified => {
                MarkerError::Unavailable
            }
        }
    }
}

impl From<GroupError> for MarkerError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::InvalidProducerEpoch => MarkerError::ProducerFenced,
            GroupError::TransactionCoordinatorFenced => MarkerError::CoordinatorFenced,
            // The group's coordinator is not ready, or somewhere else.
            _ => MarkerError::Unavailable,
        }
    }
}
