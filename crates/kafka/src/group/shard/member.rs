//! What members of classic groups ask for.

use std::time::Duration;

use super::super::classic::{ClassicGroup, JoinGroup, JoinRefused, LeavingMember, SyncGroup};
use super::super::error::{AppendError, GroupError};
use super::super::machine::{Context, Waiter};
use super::Shard;
use super::membership::Membership;

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
        let made = self.make_classic(group, cx).map_err(AppendError::for_group);
        match made.and_then(|()| self.classic_group(group)) {
            Ok(classic) => classic.join(request, fresh, waiter, cx),
            Err(error) => {
                let member_id = request.member_id;
                cx.answer_join(waiter, Err(JoinRefused { error, member_id }));
            }
        }
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
        match self.group(group).map(|group| &group.membership) {
            None if !request.member_id.is_empty() => Err(GroupError::UnknownMemberId),
            Some(Membership::Consumer(consumer)) if !consumer.is_empty() => {
                Err(GroupError::InconsistentGroupProtocol)
            }
            Some(Membership::Consumer(_)) if !request.member_id.is_empty() => {
                Err(GroupError::UnknownMemberId)
            }
            _ => Ok(()),
        }
    }

    /// Sees to it that there is a classic group. A consumer group that nobody is in becomes one, and
    /// keeps its offsets.
    fn make_classic(&mut self, id: &str, cx: &mut Context<'_>) -> Result<(), AppendError> {
        if let Membership::Consumer(consumer) = &self.group_or_new(id, cx).membership {
            let records = consumer.tombstones();
            self.write(records, None, cx)?;
        }
        Ok(())
    }

    fn classic_group(&mut self, id: &str) -> Result<&mut ClassicGroup, GroupError> {
        match self.groups.get_mut(id).map(|group| &mut group.membership) {
            Some(Membership::Classic(classic)) => Ok(classic),
            _ => Err(GroupError::UnknownMemberId),
        }
    }

    /// SyncGroup. The answer comes when the leader has brought the assignment.
    pub fn sync(&mut self, group: &str, request: SyncGroup, waiter: Waiter, cx: &mut Context<'_>) {
        match self.classic_group(group) {
            Err(error) => cx.answer_sync(waiter, Err(error)),
            Ok(classic) => classic.sync(request, waiter, cx),
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
        self.classic_group(group)?.heartbeat(member_id, instance_id, generation, cx)
    }

    /// LeaveGroup: one outcome a member, in their order.
    pub fn leave(
        &mut self,
        group: &str,
        members: &[LeavingMember],
        cx: &mut Context<'_>,
    ) -> Vec<Result<(), GroupError>> {
        let leave = |leaving| self.classic_group(group)?.leave(leaving, cx);
        let outcomes = members.iter().map(leave).collect();
        self.settle(group, cx);
        outcomes
    }
}
