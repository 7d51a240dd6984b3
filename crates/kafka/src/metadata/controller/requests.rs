//! Requests by znode, as tools of before the admin protocol make them: `/admin/reassign_partitions`
//! and `/admin/preferred_replica_election`. The controller does what they say and removes them;
//! until then the tools know that it is still to be done.

use std::collections::BTreeMap;

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, writes};
use polyport_tree::watch::WatchKind;

use crate::metadata::image::Images;
use crate::metadata::leaders::{Election, LeaderError, Leaders};
use crate::metadata::topics::{Moves, TopicError, Topics};
use crate::metadata::znode::{parse_elections, parse_reassignments, path};

/// Does what is asked for by znode while this node is the controller, until it is dropped.
pub struct Requests {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Requests {
    /// Begins. `broker`: this one.
    pub fn start(client: Client, images: Images, topics: Topics, broker: i32) -> Self {
        let leaders = Leaders::new(client.clone(), images.clone());
        let shell = Shell { client, images, topics, leaders, broker };
        Self { task: tokio::spawn(async move { shell.run().await }) }
    }
}

struct Shell {
    client: Client,
    images: Images,
    topics: Topics,
    leaders: Leaders,
    broker: i32,
}

const WATCHED: [&str; 2] = [path::REASSIGN_PARTITIONS, path::PREFERRED_REPLICA_ELECTION];

impl Shell {
    async fn run(&self) {
        let mut watch = self.client.watch(WatchKind::Persistent, &WATCHED);
        let mut changes = self.images.subscribe();
        loop {
            // A new controller finds what the one before has left.
            let controller = tokio::select! {
                () = watch.ready() => { watch.collect(|_, _| ()); self.images.current().controller }
                update = changes.next() => {
                    if !update.changes.controller {
                        continue;
                    }
                    update.after.controller
                }
            };
            if controller != Some(self.broker) {
                continue;
            }
            if let Err(error) = self.serve().await {
                tracing::warn!(%error, "a request by znode was not carried out");
            }
        }
    }

    async fn serve(&self) -> Result<(), ClientError> {
        if let Some((json, stat)) = self.client.get(path::REASSIGN_PARTITIONS) {
            self.reassign(&json).await?;
            self.remove(path::REASSIGN_PARTITIONS, stat.version).await?;
        }
        if let Some((json, stat)) = self.client.get(path::PREFERRED_REPLICA_ELECTION) {
            self.elect(&json).await?;
            self.remove(path::PREFERRED_REPLICA_ELECTION, stat.version).await?;
        }
        Ok(())
    }

    async fn reassign(&self, json: &[u8]) -> Result<(), ClientError> {
        let wishes = match parse_reassignments(json) {
            Ok(wishes) => wishes,
            Err(error) => {
                tracing::warn!(%error, "a request by znode is ignored");
                return Ok(());
            }
        };
        let mut by_topic: BTreeMap<String, Moves> = BTreeMap::new();
        for (topic, partition, replicas) in wishes {
            by_topic.entry(topic).or_default().insert(partition, Some(replicas));
        }
        for (topic, moves) in by_topic {
            let results = match self.topics.reassign(&topic, &moves).await {
                Ok(results) => results,
                Err(TopicError::Tree(error)) => return Err(error),
                Err(error) => {
                    moves.into_keys().map(|number| (number, Err(error.clone()))).collect()
                }
            };
            for (partition, result) in results {
                if let Err(error) = result {
                    tracing::warn!(topic, partition, %error, "the partition is not moved");
                }
            }
        }
        Ok(())
    }

    async fn elect(&self, json: &[u8]) -> Result<(), ClientError> {
        let partitions = match parse_elections(json) {
            Ok(partitions) => partitions,
            Err(error) => {
                tracing::warn!(%error, "a request by znode is ignored");
                return Ok(());
            }
        };
        let places = partitions.into_iter().map(|(topic, partition)| (topic.into(), partition));
        let elected = self.leaders.elect(Some(&places.collect()), Election::Preferred).await;
        for ((topic, partition), result) in elected.results {
            match result {
                Ok(()) | Err(LeaderError::NotNeeded) => {}
                Err(LeaderError::Tree(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%topic, partition, %error, "no preferred leader was elected");
                }
            }
        }
        Ok(())
    }

    /// Removes a request; if it has changed meanwhile, the watch has told so.
    async fn remove(&self, path: &str, version: i32) -> Result<(), ClientError> {
        match self.client.write(writes::delete(path, version)).await {
            Err(ClientError::Refused {
                error: TreeError::BadVersion | TreeError::NoNode, ..
            }) => Ok(()),
            done => done.map(|_| ()),
        }
    }
}
