//! From one generation to the next.

use std::time::Duration;

use bytes::Bytes;

use super::super::error::GroupError;
use super::super::machine::Context;
use super::{ClassicGroup, ClassicState};

/// The shortest time after which is looked again whether anybody has joined.
const RETRY: Duration = Duration::from_secs(1);

/// What ends the wait for members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinTimer {
    /// An empty group's first rebalance waits a while for more members, and again whenever some came,
    /// until `remaining` is used up.
    Initial { at: Duration, delay: Duration, remaining: Duration },
    /// All have joined, or the time is over.
    All { at: Duration },
}

impl JoinTimer {
    pub(super) fn at(self) -> Duration {
        match self {
            JoinTimer::Initial { at, .. } | JoinTimer::All { at } => at,
        }
    }
}

impl ClassicGroup {
    /// Begins a rebalance.
    pub(super) fn rebalance(&mut self, cx: &mut Context<'_>) {
        if self.state == ClassicState::PreparingRebalance {
            return;
        }
        if self.state == ClassicState::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
            }
            self.answer_syncs(Some(GroupError::RebalanceInProgress), cx);
        }
        self.unsynced.clear();
        self.sync_deadline = None;
        let timeout = self.rebalance_timeout();
        let timer = if self.state == ClassicState::Empty {
            let delay = cx.config.initial_rebalance_delay;
            let remaining = timeout.saturating_sub(delay);
            JoinTimer::Initial { at: cx.now.uptime + delay, delay, remaining }
        } else {
            JoinTimer::All { at: cx.now.uptime + timeout }
        };
        self.join_timer = Some(timer);
        self.transition(ClassicState::PreparingRebalance, cx);
        self.try_complete_join(cx);
    }

    /// Completes the rebalance if there is nobody to wait for.
    pub(super) fn try_complete_join(&mut self, cx: &mut Context<'_>) {
        let all_joined =
            self.pending.is_empty() && self.members.values().all(|member| member.join.is_some());
        if matches!(self.join_timer, Some(JoinTimer::All { .. })) && all_joined {
            self.complete_join(cx);
        }
    }

    /// The wait for members is over, or is prolonged.
    pub(super) fn on_join_timer(&mut self, cx: &mut Context<'_>) {
        if let Some(JoinTimer::Initial { delay, remaining, .. }) = self.join_timer
            && self.new_member_added
            && !remaining.is_zero()
        {
            self.new_member_added = false;
            let next = cx.config.initial_rebalance_delay.min(remaining);
            let remaining = remaining.saturating_sub(delay);
            let at = cx.now.uptime + next;
            self.join_timer = Some(JoinTimer::Initial { at, delay: next, remaining });
            return;
        }
        self.complete_join(cx);
    }

    fn complete_join(&mut self, cx: &mut Context<'_>) {
        self.join_timer = None;
        self.new_member_added = false;
        // Static members may stay away until their session ends.
        let is_gone =
            |member: &super::Member| member.join.is_none() && member.instance_id.is_none();
        let gone: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| is_gone(member))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.remove(&id);
        }
        if !self.has_joined_leader() && !self.members.is_empty() {
            // Only silent static members: wait until one comes, or their sessions end. They may have
            // said that they need no time at all.
            let at = cx.now.uptime + self.rebalance_timeout().max(RETRY);
            self.join_timer = Some(JoinTimer::All { at });
            return;
        }
        self.begin_generation(cx);
    }

    /// Sees to it that the leader is one of those who have joined.
    fn has_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|member| member.join.is_some()) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.join.is_some());
        let Some((id, _)) = joined else { return false };
        self.leader = Some(id.clone());
        true
    }

    fn begin_generation(&mut self, cx: &mut Context<'_>) {
        self.generation = self.generation.wrapping_add(1).max(1);
        self.protocol = self.choose_protocol();
        self.update_subscribed();
        self.unsynced.clear();
        if self.members.is_empty() {
            self.transition(ClassicState::Empty, cx);
            if let Err(error) = self.store(|_| Bytes::new(), cx) {
                // If the node stops now, the last generation comes back, and times out.
                tracing::warn!(group = &*self.id, %error, "the empty group was not written");
            }
            return;
        }
        self.transition(ClassicState::CompletingRebalance, cx);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            self.restart_session(&id, cx);
            let joined = self.joined(&id, false);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.is_new = false;
            if let Some(waiter) = member.join.take() {
                cx.answer_join(waiter, Ok(joined));
            }
            self.unsynced.insert(id);
        }
        self.sync_deadline = Some(cx.now.uptime + self.rebalance_timeout());
    }
}
