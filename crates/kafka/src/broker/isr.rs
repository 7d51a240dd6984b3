//! Changes of the in-sync replicas that this node's partitions propose, written to the tree.

use std::sync::Arc;
use std::time::Duration;

use polyport_partitions::{IsrProposal, Partition};
use polyport_storage::OsDisk;
use polyport_tree::client::writes;

use super::Broker;
use crate::metadata::znode::{PartitionStateZnode, path};

/// How often partitions are asked.
const EVERY: Duration = Duration::from_millis(500);

/// Asks and writes until the broker ends.
pub(super) async fn keep(broker: Arc<Broker>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let now = broker.clock.now();
        for (partition, proposal) in broker.store.isr_proposals(now) {
            if !write(&broker, &partition, &proposal).await {
                broker.stats.isr_failed();
                partition.isr_refused(broker.clock.now());
            }
        }
    }
}

/// Whether the proposal was written. The image then brings it back.
async fn write(broker: &Broker, partition: &Partition<OsDisk>, proposal: &IsrProposal) -> bool {
    let of = partition.of();
    let image = broker.images.current();
    let state = image.partition(&of.topic, of.partition).and_then(|found| found.state.clone());
    let Some(state) = state.filter(|state| {
        state.leader_epoch == proposal.leader_epoch && state.version == proposal.partition_epoch
    }) else {
        return false;
    };
    let isr = proposal.isr.clone();
    let znode =
        PartitionStateZnode::new(state.controller_epoch, state.leader, state.leader_epoch, isr);
    let (path, json) = (path::state(&of.topic, of.partition), znode.to_json());
    match broker.client.write(writes::set(&path, &json, state.version)).await {
        Ok(_) => {
            broker.stats.isr_changed(state.isr.len(), proposal.isr.len());
            tracing::info!(topic = of.topic, partition = of.partition, isr = ?proposal.isr, "in-sync replicas changed");
            true
        }
        Err(error) => {
            tracing::info!(topic = of.topic, partition = of.partition, %error, "in-sync replicas not changed");
            false
        }
    }
}
