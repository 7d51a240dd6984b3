//! What time does to a group.

use std::time::Duration;

use super::super::machine::Context;
use super::{ClassicGroup, ClassicState, JoinTimer};

impl ClassicGroup {
    /// When something happens without a request, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let sessions = self.members.values().filter_map(|member| member.deadline);
        let pending = self.pending.values().copied();
        let join = self.join_timer.map(JoinTimer::at);
        sessions.chain(pending).chain(join).chain(self.sync_deadline).min()
    }

    /// Does what is due.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.uptime;
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let forgotten: Vec<String> =
            self.pending.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()).collect();
        for id in &forgotten {
            self.remove(id);
        }
        if !forgotten.is_empty() {
            self.try_complete_join(cx);
        }
        let silent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| is_due(member.deadline))
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            self.end_session(&id, now, cx);
        }
        if is_due(self.join_timer.map(JoinTimer::at)) {
            self.on_join_timer(cx);
        }
        if is_due(self.sync_deadline) {
            self.expire_unsynced(cx);
        }
    }

    fn end_session(&mut self, id: &str, now: Duration, cx: &mut Context<'_>) {
        // Those who were ended before may have begun a generation, and with it this one's session.
        let Some(member) = self.members.get_mut(id) else { return };
        if member.deadline.is_none_or(|at| at > now) {
            return;
        }
        if member.is_excused() {
            member.deadline = None;
            return;
        }
        tracing::info!(group = &*self.id, member = id, "session expired");
        self.remove_and_rebalance(id, cx);
    }

    /// Members that do not ask for their share in time are gone.
    fn expire_unsynced(&mut self, cx: &mut Context<'_>) {
        self.sync_deadline = None;
        let is_waiting =
            matches!(self.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !is_waiting || self.unsynced.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.unsynced) {
            self.remove(&id);
        }
        self.rebalance(cx);
    }
}
