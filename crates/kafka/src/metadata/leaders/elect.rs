//! Elections that are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{LeaderError, Leaders, NONE, TRIES};
use crate::metadata::controller::decide::{self, Rules, SetState};
use crate::metadata::image::{Image, Partition, PartitionState};
use crate::metadata::znode::PartitionStateZnode;

/// Who is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica.
    Preferred,
    /// Anybody, if there is no leader: records may be lost.
    Unclean,
}

/// A topic and a partition's number.
pub type Place = (Arc<str>, i32);

/// What became of elections.
#[derive(Debug, Default)]
pub struct Elected {
    /// Of each partition.
    pub results: BTreeMap<Place, Result<(), LeaderError>>,
    /// The newest transaction: [`Images::at`](crate::metadata::image::Images::at) waits for it.
    pub zxid: i64,
}

impl Leaders {
    /// Holds elections for some partitions, or for all; in few transactions, however many they are.
    pub async fn elect(&self, which: Option<&BTreeSet<Place>>, election: Election) -> Elected {
        let mut elected = Elected::default();
        let mut left = match which {
            Some(which) => which.clone(),
            None => all(&*self.images.fresh().await),
        };
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let mut changes = Vec::new();
            for place in std::mem::take(&mut left) {
                match plan(&image, &place, election) {
                    Ok(change) => changes.push(change),
                    Err(error) => drop(elected.results.insert(place, Err(error))),
                }
            }
            if changes.is_empty() {
                return elected;
            }
            let places: Vec<_> = changes.iter().map(place).collect();
            match self.set_all(changes).await {
                Ok(written) => {
                    elected.zxid = elected.zxid.max(written.zxid);
                    left = written.stale.iter().map(place).collect();
                    let done = places.into_iter().filter(|place| !left.contains(place));
                    elected.results.extend(done.map(|place| (place, Ok(()))));
                }
                Err(error) => {
                    let unsure = |place| (place, Err(LeaderError::Tree(error)));
                    elected.results.extend(places.into_iter().map(unsure));
                    return elected;
                }
            }
        }
        elected.results.extend(left.into_iter().map(|place| (place, Err(LeaderError::Stale))));
        elected
    }
}

fn place(change: &SetState) -> Place {
    (change.topic.clone(), change.partition)
}

fn all(image: &Image) -> BTreeSet<Place> {
    let topics = image.topics().filter(|topic| !image.is_deleting(&topic.name));
    let numbered = |topic: &'_ _| -> Vec<Place> {
        let topic: &Arc<crate::metadata::image::Topic> = topic;
        topic.numbered().map(|(number, _)| (topic.name.clone(), number)).collect()
    };
    topics.flat_map(numbered).collect()
}

/// Kafka's checks, in its order.
fn plan(image: &Image, place: &Place, election: Election) -> Result<SetState, LeaderError> {
    let (topic, number) = place;
    let partition = image.partition(topic, *number).ok_or(LeaderError::Unknown)?;
    if image.is_deleting(topic) {
        return Err(LeaderError::Deleting);
    }
    let before = partition.state.as_ref().ok_or(LeaderError::NoneAvailable)?;
    let state = outcome(image, partition, before, election)?;
    Ok(SetState { topic: topic.clone(), partition: *number, version: before.version, state })
}

/// What an election comes to.
pub(super) fn outcome(
    image: &Image,
    partition: &Partition,
    state: &PartitionState,
    election: Election,
) -> Result<PartitionStateZnode, LeaderError> {
    match election {
        Election::Preferred => {
            let rules = Rules { bounced: NONE, unclean: &|_| false };
            if partition.replicas.first() == Some(&state.leader) {
                return Err(LeaderError::NotNeeded);
            }
            decide::prefer(image, partition, &rules).ok_or(LeaderError::PreferredNotAvailable)
        }
        Election::Unclean => {
            if partition.leader().is_some_and(|leader| image.is_alive(leader)) {
                return Err(LeaderError::NotNeeded);
            }
            let rules = Rules { bounced: NONE, unclean: &|_| true };
            decide::elect(image, partition, state, &rules, "").ok_or(LeaderError::NoneAvailable)
        }
    }
}
