//! JoinGroup.

use std::time::Duration;

use bytes::Bytes;

use super::super::error::GroupError;
use super::super::machine::{Context, Waiter};
use super::member::{Member, Protocol, millis};
use super::{ClassicGroup, ClassicState, SyncOutcome};

/// How long a new member, which cannot send heartbeats, may wait for the others.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// The member's id; empty if it has none yet.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Whether a new member is to come again with its id: version 4 on, without an instance id.
    pub require_member_id: bool,
    /// Whether the answer may say that nothing is to be assigned: version 9 on.
    pub can_skip_assignment: bool,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// How long the member may take to join again; the session timeout in version 0.
    pub rebalance_timeout_ms: i32,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: String,
    /// What the member can follow, best first.
    pub protocols: Vec<Protocol>,
}

/// What a member is told that is in a new generation, or still in its old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The member's id.
    pub member_id: String,
    /// The generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// Whether the leader is to leave the assignment as it is.
    pub skip_assignment: bool,
    /// For the leader only: the members.
    pub members: Vec<JoinedMember>,
}

/// A member, as the leader is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`.
    pub instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// What a member is told that could not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: GroupError,
    /// The id to be sent back: with `MemberIdRequired` the one to join with.
    pub member_id: String,
}

/// The answer to JoinGroup.
pub type JoinOutcome = Result<Joined, JoinRefused>;

pub(super) fn refused(error: GroupError, member_id: &str) -> JoinOutcome {
    Err(JoinRefused { error, member_id: member_id.to_owned() })
}

impl ClassicGroup {
    /// Handles JoinGroup, whose session timeout is within the limits. `fresh` is an id that nobody had
    /// before, should the member need one.
    pub(crate) fn join(
        &mut self,
        request: JoinGroup,
        fresh: &str,
        waiter: Waiter,
        cx: &mut Context<'_>,
    ) {
        let has_room = self.has_room(&request.member_id, cx.config.max_size);
        if !has_room {
            self.remove(&request.member_id);
            cx.answer_join(waiter, refused(GroupError::GroupMaxSizeReached, ""));
        } else if !self.accepts(&request.protocol_type, &request.protocols) {
            let outcome = refused(GroupError::InconsistentGroupProtocol, &request.member_id);
            cx.answer_join(waiter, outcome);
        } else if request.member_id.is_empty() {
            self.join_new(request, fresh, waiter, cx);
        } else {
            self.join_known(request, waiter, cx);
        }
        self.try_complete_join(cx);
    }

    /// While members join, those who wait count, so that the last ones to come are turned away.
    fn has_room(&self, member_id: &str, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            ClassicState::Empty => true,
            ClassicState::PreparingRebalance => {
                let waiting = self.members.values().filter(|member| member.join.is_some()).count();
                member.is_some_and(|member| member.join.is_some()) || waiting < max_size
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                member.is_some() || self.members.len() < max_size
            }
        }
    }

    fn join_new(&mut self, request: JoinGroup, id: &str, waiter: Waiter, cx: &mut Context<'_>) {
        let current = request.instance_id.as_ref().and_then(|of| self.statics.get(of)).cloned();
        if let Some(current) = current {
            self.replace_static(&current, id, request, waiter, cx);
        } else if request.require_member_id && request.instance_id.is_none() {
            let forgotten = cx.now.uptime + millis(request.session_timeout_ms);
            self.pending.insert(id.to_owned(), forgotten);
            cx.answer_join(waiter, refused(GroupError::MemberIdRequired, id));
        } else {
            self.add_and_rebalance(id, request, waiter, cx);
        }
    }

    fn join_known(&mut self, request: JoinGroup, waiter: Waiter, cx: &mut Context<'_>) {
        let id = request.member_id.clone();
        if self.pending.contains_key(&id) {
            // Ids are given out like this to dynamic members only.
            if request.instance_id.is_some() {
                cx.answer_join(waiter, refused(GroupError::InvalidRequest, &id));
            } else {
                self.add_and_rebalance(&id, request, waiter, cx);
            }
            return;
        }
        if let Err(error) = self.check_member(&id, request.instance_id.as_deref()) {
            cx.answer_join(waiter, refused(error, &id));
            return;
        }
        let is_same = self.members[&id].protocols == request.protocols;
        match self.state {
            ClassicState::PreparingRebalance => self.rejoin(&id, request, waiter, cx),
            // It may have missed the answer to its first request.
            ClassicState::CompletingRebalance if is_same => {
                let joined = self.joined(&id, false);
                cx.answer_join(waiter, Ok(joined));
            }
            // The leader may have reasons of its own, as partitions that were added.
            ClassicState::Stable if is_same && !self.is_leader(&id) => {
                let joined = self.joined(&id, false);
                cx.answer_join(waiter, Ok(joined));
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.rejoin(&id, request, waiter, cx);
                self.rebalance(cx);
            }
            ClassicState::Empty => {
                cx.answer_join(waiter, refused(GroupError::UnknownMemberId, &id));
            }
        }
    }

    /// What a member is told of the present generation.
    pub(super) fn joined(&self, id: &str, skip_assignment: bool) -> Joined {
        let member = |(id, member): (&String, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_deref().unwrap_or_default()),
        };
        let members = match self.is_leader(id) {
            true => self.members.iter().map(member).collect(),
            false => Vec::new(),
        };
        Joined {
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment,
            members,
        }
    }

    fn add_and_rebalance(
        &mut self,
        id: &str,
        request: JoinGroup,
        waiter: Waiter,
        cx: &mut Context<'_>,
    ) {
        if self.state == ClassicState::PreparingRebalance && self.generation == 0 {
            self.new_member_added = true;
        }
        let member = Member {
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            join: Some(waiter),
            sync: None,
            is_new: true,
            deadline: Some(cx.now.uptime + NEW_MEMBER_TIMEOUT),
        };
        self.add(id, member, &request.protocol_type);
        if self.state != ClassicState::PreparingRebalance {
            self.rebalance(cx);
        }
    }

    /// Notes what a member says now, and that it waits.
    fn rejoin(&mut self, id: &str, request: JoinGroup, waiter: Waiter, cx: &mut Context<'_>) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.protocols = request.protocols;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        // An earlier request of the same member came over a connection that it gave up.
        if let Some(replaced) = member.join.replace(waiter) {
            cx.answer_join(replaced, refused(GroupError::RebalanceInProgress, id));
        }
    }

    /// A static member came back under its instance id, with a new member id.
    fn replace_static(
        &mut self,
        old: &str,
        id: &str,
        request: JoinGroup,
        waiter: Waiter,
        cx: &mut Context<'_>,
    ) {
        let Some(before) = self.members.get(old).cloned() else { return };
        let old_leader = self.leader.clone().unwrap_or_default();
        let can_skip_assignment = request.can_skip_assignment;
        self.fence_static(old, id, cx);
        self.rejoin(id, request, waiter, cx);
        self.restart_session(id, cx);
        match self.state {
            ClassicState::Stable if self.choose_protocol() == self.protocol => {
                let assignments = |id: &str| self.members[id].assignment.clone();
                if let Err(error) = self.store(assignments, cx) {
                    self.restore_static(old, id, before, cx);
                    cx.answer_join(waiter, refused(error.for_group(), ""));
                    return;
                }
                let mut joined = self.joined(id, can_skip_assignment && self.is_leader(id));
                if !can_skip_assignment {
                    // An old client that finds itself leader would assign anew, to nobody's avail:
                    // it is told its former self was.
                    joined.leader = old_leader;
                    joined.members = Vec::new();
                }
                if let Some(member) = self.members.get_mut(id) {
                    member.join = None;
                }
                cx.answer_join(waiter, Ok(joined));
            }
            // The leader may have been told of the old id, and the assignment would go to that.
            ClassicState::Stable | ClassicState::CompletingRebalance => self.rebalance(cx),
            ClassicState::PreparingRebalance | ClassicState::Empty => {}
        }
    }

    fn fence_static(&mut self, old: &str, id: &str, cx: &mut Context<'_>) {
        let Some(mut member) = self.members.remove(old) else { return };
        if let Some(waiter) = member.join.take() {
            cx.answer_join(waiter, refused(GroupError::FencedInstanceId, old));
        }
        if let Some(waiter) = member.sync.take() {
            cx.answer_sync(waiter, SyncOutcome::Err(GroupError::FencedInstanceId));
        }
        self.rename_static(old, id, member);
    }

    fn restore_static(&mut self, old: &str, id: &str, mut before: Member, cx: &Context<'_>) {
        self.members.remove(id);
        (before.join, before.sync) = (None, None);
        self.rename_static(id, old, before);
        self.restart_session(old, cx);
    }

    fn rename_static(&mut self, from: &str, to: &str, member: Member) {
        if self.is_leader(from) {
            self.leader = Some(to.to_owned());
        }
        if self.unsynced.remove(from) {
            self.unsynced.insert(to.to_owned());
        }
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), to.to_owned());
        }
        self.members.insert(to.to_owned(), member);
    }
}
