//! Who is in the cluster.

use std::collections::BTreeMap;

use bytes::BufMut;
use polyport_base::NodeId;
use polyport_wire::{Cursor, DecodeError};

/// Whether a member votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Votes and may lead: ZooKeeper's participant.
    #[default]
    Voter,
    /// Only learns: ZooKeeper's observer.
    Observer,
}

/// How a member is reached and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// `host:port` for the other nodes.
    pub address: String,
    /// What follows `server.N=` in ZooKeeper's configuration, without the role:
    /// `host:2888:3888`.
    pub quorum: String,
    /// `host:port` for ZooKeeper's clients; empty if not announced.
    pub client: String,
    /// The role it is meant to have.
    pub role: Role,
}

/// The members by node.
pub type Members = BTreeMap<NodeId, Member>;

impl Member {
    /// A voter at `host:port`.
    pub fn voter(address: impl Into<String>) -> Self {
        Self { address: address.into(), ..Self::default() }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.address, &self.quorum, &self.client] {
            out.put_u16(text.len().min(usize::from(u16::MAX)) as u16);
            out.put_slice(&text.as_bytes()[..text.len().min(usize::from(u16::MAX))]);
        }
        out.put_u8(u8::from(self.role == Role::Observer));
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut text = || -> Result<String, DecodeError> {
            let at = cursor.position();
            let len = cursor.u16("member")?;
            let bytes = cursor.take(usize::from(len), "member")?;
            let text = std::str::from_utf8(bytes);
            Ok(text.map_err(|_| DecodeError { at, what: "member" })?.to_owned())
        };
        let (address, quorum, client) = (text()?, text()?, text()?);
        let role = if cursor.u8("member role")? == 0 { Role::Voter } else { Role::Observer };
        Ok(Self { address, quorum, client, role })
    }
}
