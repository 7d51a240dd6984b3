//! What members of classic groups ask for.

use std::time::Duration;

use super::super::classic::{JoinGroup, JoinRefused, LeavingMember, SyncGroup};
use super::super::error::GroupError;
use super::super::machine::{Context, Waiter};
use super::Shard;

impl Shard {
    /// JoinGroup. The answer comes when the group has been joined, or at once if it cannot be. `fresh`
    /// is an id that nobody had before, should the member need one.
    pub fn join(
        &mut self,
        group: &str,
        request: JoinGroup,
        fresh: &str,
        waiter: Waiter,
        cx: &mut Context<'_>,
    ) {
        if let Err(error) = self.check_join(group, &request, cx) {
            let member_id = request.member_id;
            cx.answer_join(waiter, Err(JoinRefused { error, member_id }));
            return;
        }
        self.group_or_new(group, cx).membership.join(request, fresh, waiter, cx);
        self.settle(group, cx);
    }

    fn check_join(
        &self,
        group: &str,
        request: &JoinGroup,
        cx: &Context<'_>,
    ) -> Result<(), GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let limits = cx.config.min_session_timeout..=cx.config.max_session_timeout;
        let timeout = u64::try_from(request.session_timeout_ms).map(Duration::from_millis);
        if !timeout.is_ok_and(|timeout| limits.contains(&timeout)) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        if self.group(group).is_none() && !request.member_id.is_empty() {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(())
    }

    /// SyncGroup. The answer comes when the leader has brought the assignment.
    pub fn sync(&mut self, group: &str, request: SyncGroup, waiter: Waiter, cx: &mut Context<'_>) {
        match self.member_group(group) {
            Err(error) => cx.answer_sync(waiter, Err(error)),
            Ok(membership) => membership.sync(request, waiter, cx),
        }
        self.settle(group, cx);
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// `UnknownMemberId`, `FencedInstanceId`, `IllegalGeneration`; `RebalanceInProgress` if the member
    /// is to join again.
    pub fn heartbeat(
        &mut self,
        group: &str,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        cx: &mut Context<'_>,
    ) -> Result<(), GroupError> {
        // The deadline only moves away: the timer may stay.
        self.member_group(group)?.heartbeat(member_id, instance_id, generation, cx)
    }

    /// LeaveGroup: one outcome a member, in their order.
    pub fn leave(
        &mut self,
        group: &str,
        members: &[LeavingMember],
        cx: &mut Context<'_>,
    ) -> Vec<Result<(), GroupError>> {
        let leave = |leaving| self.member_group(group)?.leave(leaving, cx);
        let outcomes = members.iter().map(leave).collect();
        self.settle(group, cx);
        outcomes
    }
}
