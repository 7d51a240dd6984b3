//! openraft's traits on our storage and transport.

mod codec;
pub(crate) mod fuzzing;
mod log_store;
mod network;
mod refusal;
mod runtime;
mod serve;
mod state_machine;
mod wal_worker;

use bytes::Bytes;
use openraft::{OptionalSend, RaftTypeConfig};
use polyport_base::Millis;

pub(crate) use codec::{decode_members, encode_members, encode_meta};
pub(crate) use log_store::LogStore;
pub(crate) use network::{Dialer, Kind, question};
pub(crate) use refusal::Refused;
pub(crate) use runtime::Runtime;
pub(crate) use runtime::seed_thread_rng;
pub(crate) use serve::{Inbound, serve, take_backup};
pub(crate) use state_machine::{Keeping, MachineStore};
pub(crate) use wal_worker::{Durability, WalWorker, keep_up};

use crate::Member;

/// What an entry carries: a proposal and when its leader made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) time: Millis,
    pub(crate) bytes: Bytes,
}

impl std::fmt::Display for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// One group, nodes by number, results delivered by the state machine itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

// openraft's macro for this cannot name a responder.
impl RaftTypeConfig for Types {
    type D = Proposal;
    type R = ();
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = openraft::impls::leader_id_adv::LeaderId<Self::Term, Self::NodeId>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Self::D, Self::NodeId, Self::Node>;
    type Entry =
        openraft::Entry<<Self::LeaderId as openraft::vote::RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = refusal::Receipt
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Raft<D, S> = openraft::Raft<Types, MachineStore<D, S>>;
