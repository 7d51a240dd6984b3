//! One step of a member towards its target.

use std::collections::BTreeSet;

use super::super::error::GroupError;
use super::super::record::{CurrentAssignment, MemberState, Partitions};
use super::{ConsumerGroup, Member};

impl ConsumerGroup {
    /// Where a member is after it said which partitions it has, if it did.
    ///
    /// # Errors
    /// `FencedMemberEpoch` if it is unknown where the member is and it has not begun anew.
    pub(super) fn reconcile(
        &self,
        member: &Member,
        target: &Partitions,
        owned: Option<&Partitions>,
    ) -> Result<CurrentAssignment, GroupError> {
        let current = &member.current;
        match current.state {
            MemberState::Stable if current.epoch == self.target_epoch => Ok(current.clone()),
            MemberState::UnrevokedPartitions if still_has(owned, &current.pending_revocation) => {
                Ok(current.clone())
            }
            // It has let go: that epoch's partitions are its own, and it goes on from the next.
            MemberState::UnrevokedPartitions => {
                Ok(self.step(current, current.epoch + 1, target, owned))
            }
            MemberState::Stable | MemberState::UnreleasedPartitions => {
                Ok(self.step(current, current.epoch, target, owned))
            }
            MemberState::Unknown if owned.is_some_and(Partitions::is_empty) => {
                Ok(self.step(current, self.target_epoch, target, owned))
            }
            MemberState::Unknown => Err(GroupError::FencedMemberEpoch),
        }
    }

    fn step(
        &self,
        current: &CurrentAssignment,
        epoch: i32,
        target: &Partitions,
        owned: Option<&Partitions>,
    ) -> CurrentAssignment {
        let (mut kept, revoked) = split(&current.assigned, target);
        if !revoked.is_empty() && still_has(owned, &revoked) {
            return CurrentAssignment {
                epoch,
                previous_epoch: current.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned: kept,
                pending_revocation: revoked,
            };
        }
        // What the member itself has not let go yet is owned, too.
        let (_, missing) = split(target, &kept);
        let mut is_waiting = false;
        for (topic, partitions) in missing {
            for partition in partitions {
                if self.is_owned(topic, partition) {
                    is_waiting = true;
                } else {
                    kept.entry(topic).or_default().insert(partition);
                }
            }
        }
        let state = match is_waiting {
            true => MemberState::UnreleasedPartitions,
            false => MemberState::Stable,
        };
        CurrentAssignment {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state,
            assigned: kept,
            pending_revocation: Partitions::new(),
        }
    }
}

/// Whether a member may still have some of these. One that does not say has them.
fn still_has(owned: Option<&Partitions>, some: &Partitions) -> bool {
    let Some(owned) = owned else { return true };
    let none = BTreeSet::new();
    some.iter()
        .any(|(topic, partitions)| !owned.get(topic).unwrap_or(&none).is_disjoint(partitions))
}

/// Those of `partitions` that are in `of`, and the others.
pub(super) fn split(partitions: &Partitions, of: &Partitions) -> (Partitions, Partitions) {
    let (mut inside, mut outside) = (Partitions::new(), Partitions::new());
    for (topic, partitions) in partitions {
        for partition in partitions {
            let is_in = of.get(topic).is_some_and(|of| of.contains(partition));
            let to = if is_in { &mut inside } else { &mut outside };
            to.entry(*topic).or_default().insert(*partition);
        }
    }
    (inside, outside)
}
