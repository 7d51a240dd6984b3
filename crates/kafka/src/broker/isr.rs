//! Changes of the in-sync replicas that this node's partitions propose, written to the tree.

use std::sync::Arc;
use std::time::Duration;

use polyport_partitions::{IsrProposal, Partition};
use polyport_storage::OsDisk;
use polyport_tree::client::ClientError;

use super::Broker;
use crate::metadata::leaders::LeaderError;

/// How often partitions are asked what is due because time has passed.
const EVERY: Duration = Duration::from_millis(500);

/// Before another try to hear what became of a write.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks and writes until the broker ends.
pub(super) async fn keep(broker: Arc<Broker>) {
    let lag = broker.settings.millis("replica.lag.time.max.ms");
    let mut ticks = tokio::time::interval(EVERY.min(lag / 2).max(PAUSE));
    loop {
        ticks.tick().await;
        for (partition, proposal) in broker.store.isr_proposals(broker.clock.now()) {
            broker.propose_isr(partition, proposal);
        }
    }
}

impl Broker {
    /// Writes a proposal. Nobody waits for it, and it waits for no other: a partition proposes one at
    /// a time.
    pub(crate) fn propose_isr(
        self: &Arc<Self>,
        partition: Arc<Partition<OsDisk>>,
        proposal: IsrProposal,
    ) {
        let broker = self.clone();
        self.threads.spawn(async move { broker.write_isr(&partition, proposal).await });
    }

    async fn write_isr(&self, partition: &Partition<OsDisk>, proposal: IsrProposal) {
        let of = partition.of();
        let IsrProposal { isr, leader_epoch, partition_epoch } = proposal;
        let leader = (self.settings.broker_id, leader_epoch);
        let (topic, number) = (&of.topic, of.partition);
        let shown = isr.clone();
        let before = partition.status().map_or(0, |status| status.isr.len());
        let written = self.leaders.set_isr(topic, number, leader, partition_epoch, isr).await;
        match written {
            Ok(_) => {
                self.stats.isr_changed(before, shown.len());
                tracing::info!(topic, partition = number, isr = ?shown, "in-sync replicas changed");
                return;
            }
            Err(LeaderError::Tree(ClientError::Closed)) => return,
            Err(LeaderError::Tree(error)) => {
                tracing::info!(topic, partition = number, %error, "in-sync replicas perhaps changed");
                // It may be written yet, until this node's session has done something after it.
                while let Err(error) = self.client.sync().await {
                    if error == ClientError::Closed {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                self.images.fresh().await;
            }
            Err(error) => {
                tracing::debug!(topic, partition = number, %error, "in-sync replicas not changed");
            }
        }
        self.stats.isr_failed();
        // If it was written nevertheless, the image has brought it, or will, and says so itself.
        let image = self.images.current();
        let state = image.partition(topic, number).and_then(|found| found.state.as_ref());
        if state.is_none_or(|state| state.version == partition_epoch) {
            partition.isr_refused(self.clock.now());
        }
    }
}
