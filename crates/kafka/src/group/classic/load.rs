//! A group as a record has it, and the end of one here.

use polyport_base::Millis;

use super::super::error::GroupError;
use super::super::machine::{Context, GroupId};
use super::super::record::GroupValue;
use super::join::refused;
use super::member::{Member, Protocol};
use super::{ClassicGroup, ClassicState};

impl ClassicGroup {
    /// The group that was written.
    pub(crate) fn load(id: GroupId, value: &GroupValue) -> Self {
        let mut group = ClassicGroup::new(id, Millis::default());
        group.generation = value.generation;
        group.protocol.clone_from(&value.protocol);
        group.state_since = value.state_timestamp.map(Millis);
        if !value.members.is_empty() {
            group.state = ClassicState::Stable;
        }
        for member in &value.members {
            let protocol = Protocol {
                name: value.protocol.clone().unwrap_or_default(),
                metadata: member.subscription.clone(),
            };
            let loaded = Member {
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: vec![protocol],
                assignment: member.assignment.clone(),
                join: None,
                sync: None,
                is_new: false,
                deadline: None,
            };
            group.add(&member.member_id, loaded, &value.protocol_type);
        }
        group.leader.clone_from(&value.leader);
        group.protocol_type = Some(value.protocol_type.clone()).filter(|of| !of.is_empty());
        group.update_subscribed();
        group
    }

    /// The log has been read: members are given a session's time to be heard of.
    pub(crate) fn on_loaded(&mut self, cx: &mut Context<'_>) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        if ids.len() > cx.config.max_size {
            self.rebalance(cx);
        }
        for id in ids {
            self.restart_session(&id, cx);
        }
    }

    /// The group is another node's now: those who wait are sent there.
    pub(crate) fn on_unloaded(&mut self, cx: &mut Context<'_>) {
        for (id, member) in &mut self.members {
            if let Some(waiter) = member.join.take() {
                cx.answer_join(waiter, refused(GroupError::NotCoordinator, id));
            }
            if let Some(waiter) = member.sync.take() {
                cx.answer_sync(waiter, Err(GroupError::NotCoordinator));
            }
        }
    }
}
