//! DescribeGroups and ListGroups.

use bytes::Bytes;

use super::{ClassicGroup, ClassicState, Member};

/// A classic group, as DescribeGroups tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// The state's name; `Dead` if there is no such group.
    pub state: String,
    /// The group's protocol type; empty if it never had a member.
    pub protocol_type: String,
    /// The chosen protocol; empty unless the group is stable.
    pub protocol: String,
    /// The members.
    pub members: Vec<MemberDescription>,
}

/// A member, as DescribeGroups tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`.
    pub instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where the client connected from, as `/127.0.0.1`.
    pub client_host: String,
    /// Its metadata for the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

impl GroupDescription {
    /// Of a group that is not there.
    pub(crate) fn dead() -> Self {
        GroupDescription { state: "Dead".to_owned(), ..GroupDescription::default() }
    }
}

impl ClassicGroup {
    pub(crate) fn describe(&self) -> GroupDescription {
        let stable = self.state == ClassicState::Stable;
        let protocol = self.protocol.clone().filter(|_| stable).unwrap_or_default();
        let describe = |(id, member): (&String, &Member)| MemberDescription {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if stable { member.metadata(&protocol) } else { Bytes::new() },
            assignment: member.assignment.clone(),
        };
        GroupDescription {
            state: self.state.name().to_owned(),
            protocol_type: self.protocol_type().to_owned(),
            members: self.members.iter().map(describe).collect(),
            protocol,
        }
    }

    /// Empty if the group never had a member.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }
}
