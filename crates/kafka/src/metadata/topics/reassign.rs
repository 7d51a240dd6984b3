//! Moving partitions to other brokers. The wish is written into the topic's assignment; the brokers
//! copy, and the controller settles the assignment when all new replicas are in sync.

use std::collections::BTreeMap;

use polyport_tree::TreeError;
use polyport_tree::client::{ClientError, writes};

use super::{TRIES, TopicError, Topics, check_manual, unknown};
use crate::metadata::TopicId;
use crate::metadata::image::{Image, Partition, Topic};
use crate::metadata::znode::{Assignment, TopicZnode, path};

/// For each partition its new replicas; nothing cancels the move under way.
pub type Moves = BTreeMap<i32, Option<Vec<i32>>>;

impl Topics {
    /// Has partitions of a topic moved, or no longer. The answer has what became of each: those that
    /// could not be are refused, the others go ahead.
    ///
    /// # Errors
    /// If there is no such topic, or the tree did not answer.
    pub async fn reassign(
        &self,
        name: &str,
        moves: &Moves,
    ) -> Result<BTreeMap<i32, Result<(), TopicError>>, TopicError> {
        for _ in 0..TRIES {
            let image = self.images.fresh().await;
            let topic = image.topic(name).ok_or_else(|| unknown(name))?;
            let mut results = BTreeMap::new();
            let mut planned = BTreeMap::new();
            for (number, wish) in moves {
                let unclean = self.configs.unclean(&image, name);
                let plan = plan(&image, topic, *number, wish.as_deref(), unclean);
                results.insert(*number, plan.clone().map(|_| ()));
                if let Ok(plan) = plan {
                    planned.insert(*number, plan);
                }
            }
            if planned.is_empty() {
                return Ok(results);
            }
            let json = with(topic, planned).to_json();
            let home = path::topic(name);
            match self.client.write(writes::set(&home, &json, topic.version)).await {
                Ok(_) => return Ok(results),
                // Another change came in between: look again.
                Err(ClientError::Refused {
                    error: TreeError::BadVersion | TreeError::NoNode,
                    ..
                }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClientError::Unknown.into())
    }
}

fn with(topic: &Topic, planned: BTreeMap<i32, Assignment>) -> TopicZnode {
    let known = topic.numbered().map(|(number, partition)| (number, partition.assignment()));
    let mut partitions: BTreeMap<i32, Assignment> = known.collect();
    partitions.extend(planned);
    let id = Some(topic.id).filter(|id| *id != TopicId::ZERO);
    TopicZnode { id, partitions }
}

/// The partition's assignment while it moves. `unclean`: whether the topic takes a leader that was
/// not in sync.
fn plan(
    image: &Image,
    topic: &Topic,
    number: i32,
    wish: Option<&[i32]>,
    unclean: bool,
) -> Result<Assignment, TopicError> {
    let gone = |text: &str| TopicError::Unknown(text.to_owned());
    if image.is_deleting(&topic.name) {
        return Err(gone("The topic is being deleted."));
    }
    let partition = topic.partition(number);
    let partition = partition.ok_or_else(|| gone("The partition does not exist."))?;
    let origin = origin(partition);
    let target = match wish {
        Some(target) => {
            // Who has a replica already may be away.
            check_manual(image, &origin, target, None)?;
            target
        }
        None if partition.reassigning.is_none() => {
            let text = "No partition reassignment is in progress.";
            return Err(TopicError::NoReassignmentInProgress(text.to_owned()));
        }
        None if !unclean && !origin.iter().any(|id| partition.isr().contains(id)) => {
            return Err(TopicError::InvalidReplicaAssignment(format!(
                "Unable to revert partition assignment for {}:{number} because it would require an \
                 unclean leader election.",
                topic.name
            )));
        }
        None => &origin,
    };
    let mut replicas = target.to_vec();
    replicas.extend(origin.iter().filter(|id| !target.contains(id)));
    let without = |others: &[i32]| {
        replicas.iter().copied().filter(|id| !others.contains(id)).collect::<Vec<_>>()
    };
    let (adding, removing) = (without(&origin), without(target));
    let in_sync = |id: &i32| partition.isr().contains(id);
    if adding.is_empty() && (removing.is_empty() || target.iter().all(in_sync)) {
        // Nothing has to be copied first: those that are no replicas any more leave at once.
        return Ok(Assignment::settled(target.to_vec()));
    }
    Ok(Assignment { replicas, adding, removing })
}

/// The replicas as they were before the move under way.
fn origin(partition: &Partition) -> Vec<i32> {
    let Assignment { replicas, adding, .. } = partition.assignment();
    replicas.into_iter().filter(|id| !adding.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::image::tests::image;
    use crate::metadata::image::{List, Reassigning};
    use std::sync::Arc;

    fn moving(mut now: Image, assignment: &Assignment) -> Image {
        let topic = Arc::make_mut(now.topics.get_mut("t").unwrap());
        let mut partition = topic.partitions.get(0).unwrap().clone();
        partition.replicas = assignment.replicas.clone().into();
        let (adding, removing) = (assignment.adding.clone(), assignment.removing.clone());
        partition.reassigning = Some(Arc::new(Reassigning { adding, removing }));
        topic.partitions = [partition].into_iter().collect::<List<_>>();
        now
    }

    #[test]
    fn a_move_keeps_the_old_replicas_until_the_new_ones_are_there() {
        let now = image(&[1, 2, 3, 4], &[(&[1, 2], Some((1, &[1, 2])))]);
        let plan = |image: &Image, wish: Option<&[i32]>| {
            plan(image, image.topic("t").unwrap(), 0, wish, false)
        };
        let first = plan(&now, Some(&[3, 1])).unwrap();
        let expected = Assignment { replicas: vec![3, 1, 2], adding: vec![3], removing: vec![2] };
        assert_eq!(first, expected);
        // Another wish in the middle starts from what was there before.
        let moving = moving(now.clone(), &first);
        let second = plan(&moving, Some(&[4])).unwrap();
        let expected =
            Assignment { replicas: vec![4, 1, 2], adding: vec![4], removing: vec![1, 2] };
        assert_eq!(second, expected);
        assert_eq!(plan(&moving, None).unwrap(), Assignment::settled(vec![1, 2]));
        // Another order, or fewer: nothing to copy.
        assert_eq!(plan(&now, Some(&[2, 1])).unwrap(), Assignment::settled(vec![2, 1]));
        assert_eq!(plan(&now, Some(&[2])).unwrap(), Assignment::settled(vec![2]));
        // Who is left has to get in sync before the others go, and may be away meanwhile.
        let lagging = image(&[1], &[(&[1, 2], Some((1, &[1])))]);
        let waits = Assignment { replicas: vec![2, 1], adding: vec![], removing: vec![1] };
        assert_eq!(plan(&lagging, Some(&[2])).unwrap(), waits);
    }

    #[test]
    fn a_move_is_not_called_off_where_only_the_new_replicas_are_in_sync() {
        let now = image(&[3], &[(&[3, 1], Some((3, &[3])))]);
        let moved = Assignment { replicas: vec![3, 1], adding: vec![3], removing: vec![1] };
        let now = moving(now, &moved);
        let plan = |unclean| plan(&now, now.topic("t").unwrap(), 0, None, unclean);
        let text = "Unable to revert partition assignment for t:0 because it would require an \
                    unclean leader election.";
        let error = TopicError::InvalidReplicaAssignment(text.to_owned());
        assert_eq!(plan(false).unwrap_err(), error);
        assert_eq!(plan(true).unwrap(), Assignment::settled(vec![1]));
    }

    #[test]
    fn moves_that_cannot_be_are_refused_in_kafkas_words() {
        let now = image(&[1, 2], &[(&[1], Some((1, &[1])))]);
        let refused = |number, wish: Option<&[i32]>| {
            plan(&now, now.topic("t").unwrap(), number, wish, false).unwrap_err()
        };
        let none = TopicError::NoReassignmentInProgress(
            "No partition reassignment is in progress.".to_owned(),
        );
        assert_eq!(refused(0, None), none);
        assert!(matches!(refused(1, Some(&[1])), TopicError::Unknown(_)));
        for (wish, rest) in [
            (&[][..], "an empty replica list."),
            (&[1, 1], "the broker 1 more than once."),
            (&[-1], "broker -1, but no such broker is registered."),
            (&[1, 3], "broker 3, but no such broker is registered."),
        ] {
            let text = format!("The manual partition assignment includes {rest}");
            let error = TopicError::InvalidReplicaAssignment(text);
            assert_eq!(refused(0, Some(wish)), error);
        }
    }
}
