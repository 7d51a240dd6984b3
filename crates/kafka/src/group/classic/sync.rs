//! SyncGroup, Heartbeat and LeaveGroup.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::error::GroupError;
use super::super::machine::{Context, Waiter};
use super::join::refused;
use super::{ClassicGroup, ClassicState};

/// SyncGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncGroup {
    /// The member's id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The member's generation.
    pub generation: i32,
    /// From version 5 on, the protocol type that the member believes in.
    pub protocol_type: Option<String>,
    /// From version 5 on, the protocol that the member believes in.
    pub protocol: Option<String>,
    /// From the leader: what each member is to have.
    pub assignments: BTreeMap<String, Bytes>,
}

/// A member's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// What the leader gave the member.
    pub assignment: Bytes,
}

/// The answer to SyncGroup.
pub type SyncOutcome = Result<Synced, GroupError>;

/// One of those who leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeavingMember {
    /// The member's id; may be empty if there is an instance id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
}

impl ClassicGroup {
    /// Handles SyncGroup.
    pub(crate) fn sync(&mut self, request: SyncGroup, waiter: Waiter, cx: &mut Context<'_>) {
        if let Err(error) = self.check_sync(&request) {
            cx.answer_sync(waiter, Err(error));
            return;
        }
        let id = request.member_id.as_str();
        match self.state {
            ClassicState::Empty => cx.answer_sync(waiter, Err(GroupError::UnknownMemberId)),
            ClassicState::PreparingRebalance => {
                cx.answer_sync(waiter, Err(GroupError::RebalanceInProgress));
            }
            ClassicState::CompletingRebalance => {
                let Some(member) = self.members.get_mut(id) else { return };
                if let Some(replaced) = member.sync.replace(waiter) {
                    cx.answer_sync(replaced, Err(GroupError::RebalanceInProgress));
                }
                self.note_synced(id);
                if self.is_leader(id) {
                    self.take_assignments(&request.assignments, cx);
                }
            }
            ClassicState::Stable => {
                self.note_synced(id);
                self.restart_session(id, cx);
                let outcome = Ok(self.synced(id));
                cx.answer_sync(waiter, outcome);
            }
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), GroupError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        self.check_generation(request.generation)?;
        let agrees = |said: &Option<String>, is: &Option<String>| said.is_none() || said == is;
        match agrees(&request.protocol_type, &self.protocol_type)
            && agrees(&request.protocol, &self.protocol)
        {
            true => Ok(()),
            false => Err(GroupError::InconsistentGroupProtocol),
        }
    }

    fn note_synced(&mut self, id: &str) {
        self.unsynced.remove(id);
        if self.unsynced.is_empty() {
            self.sync_deadline = None;
        }
    }

    fn synced(&self, id: &str) -> Synced {
        let assignment = self.members.get(id).map(|member| member.assignment.clone());
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: assignment.unwrap_or_default(),
        }
    }

    /// The leader has assigned. The generation is written, and everybody gets a share; those whom the
    /// leader forgot get nothing.
    fn take_assignments(&mut self, given: &BTreeMap<String, Bytes>, cx: &mut Context<'_>) {
        let since = self.state_since;
        // What is written is the group as it is going to be.
        self.transition(ClassicState::Stable, cx);
        let share = |id: &str| given.get(id).cloned().unwrap_or_default();
        if let Err(error) = self.store(share, cx) {
            (self.state, self.state_since) = (ClassicState::CompletingRebalance, since);
            self.answer_syncs(Some(error.for_group()), cx);
            self.rebalance(cx);
            return;
        }
        for (id, member) in &mut self.members {
            member.assignment = share(id);
        }
        self.answer_syncs(None, cx);
    }

    /// Answers those who wait for the assignment, and lets their sessions begin anew.
    pub(super) fn answer_syncs(&mut self, error: Option<GroupError>, cx: &mut Context<'_>) {
        let waiting = |member: &mut super::Member| member.sync.take();
        let waiters: Vec<(String, Waiter)> = self
            .members
            .iter_mut()
            .filter_map(|(id, member)| Some((id.clone(), waiting(member)?)))
            .collect();
        for (id, waiter) in waiters {
            let outcome = match error {
                Some(error) => Err(error),
                None => Ok(self.synced(&id)),
            };
            cx.answer_sync(waiter, outcome);
            self.restart_session(&id, cx);
        }
    }

    /// Handles Heartbeat.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`; `RebalanceInProgress` if the member
    /// is to join again.
    pub(crate) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        cx: &Context<'_>,
    ) -> Result<(), GroupError> {
        self.check_member(member_id, instance_id)?;
        self.check_generation(generation)?;
        self.restart_session(member_id, cx);
        match self.state {
            ClassicState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Handles one member of LeaveGroup.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`.
    pub(crate) fn leave(
        &mut self,
        leaving: &LeavingMember,
        cx: &mut Context<'_>,
    ) -> Result<(), GroupError> {
        let LeavingMember { member_id, instance_id } = leaving;
        if self.pending.contains_key(member_id) {
            self.remove(member_id);
            self.try_complete_join(cx);
            return Ok(());
        }
        // A tool removes static members by their instance id alone.
        let id = match instance_id {
            Some(instance_id) if member_id.is_empty() => {
                self.statics.get(instance_id).cloned().ok_or(GroupError::UnknownMemberId)?
            }
            _ => {
                self.check_member(member_id, instance_id.as_deref())?;
                member_id.clone()
            }
        };
        self.remove_and_rebalance(&id, cx);
        Ok(())
    }

    /// A member is gone: the others share anew.
    pub(super) fn remove_and_rebalance(&mut self, id: &str, cx: &mut Context<'_>) {
        let Some(member) = self.remove(id) else { return };
        if let Some(waiter) = member.join {
            cx.answer_join(waiter, refused(GroupError::UnknownMemberId, ""));
        }
        if let Some(waiter) = member.sync {
            cx.answer_sync(waiter, Err(GroupError::UnknownMemberId));
        }
        match self.state {
            ClassicState::Empty => {}
            ClassicState::PreparingRebalance => self.try_complete_join(cx),
            ClassicState::CompletingRebalance | ClassicState::Stable => self.rebalance(cx),
        }
    }
}
