//! Preferred leaders get their partitions back by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use polyport_tree::client::ClientError;

use super::{Leaders, NONE};
use crate::metadata::config::Configs;
use crate::metadata::controller::decide::{self, Rules, SetState};
use crate::metadata::image::Image;

impl Leaders {
    /// Gives preferred leaders their partitions back, where of a broker's partitions more than
    /// `percentage` in a hundred are led by others. The answer is how many changed hands.
    ///
    /// # Errors
    /// The tree's.
    pub async fn rebalance(&self, percentage: i64) -> Result<usize, ClientError> {
        let image = self.images.fresh().await;
        let changes = preferred(&image, percentage);
        let count = changes.len();
        Ok(count - self.set_all(changes).await?.stale.len())
    }
}

pub(super) fn preferred(image: &Image, percentage: i64) -> Vec<SetState> {
    let rules = Rules { bounced: NONE, unclean: &|_| false };
    // By preferred leader: how many it should lead, and those that it could but does not.
    let mut by_broker: BTreeMap<i32, (usize, usize, Vec<SetState>)> = BTreeMap::new();
    for topic in image.topics().filter(|topic| !image.is_deleting(&topic.name)) {
        for (number, partition) in topic.numbered() {
            let (Some(first), Some(before)) = (partition.replicas.first(), &partition.state) else {
                continue;
            };
            let (all, others, changes) = by_broker.entry(*first).or_default();
            *all += 1;
            *others += usize::from(before.leader != *first);
            // What is being moved is led elsewhere soon anyway.
            if partition.reassigning.is_none()
                && let Some(state) = decide::prefer(image, partition, &rules)
            {
                let (topic, version) = (topic.name.clone(), before.version);
                changes.push(SetState { topic, partition: number, version, state });
            }
        }
    }
    let out_of_balance = |(all, others, changes): (usize, usize, Vec<SetState>)| {
        (others as i64 * 100 > percentage * all as i64).then_some(changes)
    };
    by_broker.into_values().filter_map(out_of_balance).flatten().collect()
}

/// Gives preferred leaders their partitions back from time to time, while this node is the
/// controller, until it is dropped.
pub struct Rebalancing {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Rebalancing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rebalancing {
    /// Begins. `broker`: this one.
    pub fn start(leaders: Leaders, configs: Configs, broker: i32) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let image = leaders.images.current();
                let every =
                    configs.broker_number(&image, "leader.imbalance.check.interval.seconds");
                tokio::time::sleep(Duration::from_secs(every.max(1) as u64)).await;
                let image = leaders.images.current();
                let wanted = configs.broker_flag(&image, "auto.leader.rebalance.enable");
                if !wanted || image.controller != Some(broker) {
                    continue;
                }
                let percentage =
                    configs.broker_number(&image, "leader.imbalance.per.broker.percentage");
                match leaders.rebalance(percentage).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "preferred leaders elected"),
                    Err(error) => tracing::warn!(%error, "no preferred leaders were elected"),
                }
            }
        });
        Self { task }
    }
}
