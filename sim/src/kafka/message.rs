//! What is said in the simulated cluster, and what happens in it.

use std::collections::BTreeMap;

use polyport_kafka::transaction::TransactionError;
use polyport_kafka::transaction::machine::{End, Marker, Producer};
use polyport_log::{AbortedTxn, Isolation, TopicPartition};
use polyport_partitions::Acks;

use super::follow::{FollowAnswer, FollowQuestion};
use super::tree;

/// Somebody with a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// The tree.
    Tree,
    /// A broker, by its id.
    Node(i32),
    /// A client, by its place.
    Client(usize),
}

/// Questions.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Who leads what?
    Metadata,
    /// Append this.
    Produce {
        /// Where.
        of: TopicPartition,
        /// What the answer waits for; `None` for no answer at all.
        acks: Option<Acks>,
        /// One batch.
        batch: Vec<u8>,
        /// Of a transaction.
        is_transactional: bool,
    },
    /// A consumer reads.
    Fetch {
        /// Where.
        of: TopicPartition,
        /// From where on.
        offset: i64,
        /// Up to where.
        isolation: Isolation,
        /// The leader epoch that the consumer knows; `None` for a follower's answer.
        epoch: Option<i32>,
    },
    /// ListOffsets: what is the end?
    Latest {
        /// Where.
        of: TopicPartition,
        /// The leader epoch that the consumer knows.
        epoch: i32,
    },
    /// InitProducerId.
    Init {
        /// Transactional id.
        id: String,
        /// How long a transaction may be open.
        timeout_ms: i32,
        /// What it is already.
        expected: Option<Producer>,
    },
    /// AddPartitionsToTxn.
    Add {
        /// Transactional id.
        id: String,
        /// Who.
        producer: Producer,
        /// Where to.
        partitions: Vec<TopicPartition>,
    },
    /// EndTxn.
    End {
        /// Transactional id.
        id: String,
        /// Who.
        producer: Producer,
        /// How.
        end: End,
    },
    /// Write this marker.
    Mark {
        /// What it says.
        marker: Marker,
        /// Where.
        of: TopicPartition,
    },
    /// A follower fetches.
    Follow(FollowQuestion),
}

impl Ask {
    /// Whether it may still be carried out after its connection broke. A transactional producer's
    /// records may not: without the verification of KIP-890 they would open a transaction that nobody
    /// ends.
    pub fn may_be_late(&self) -> bool {
        !matches!(self, Ask::Produce { is_transactional: true, .. })
    }
}

/// Why a broker does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Ask again, perhaps somebody else.
    Again,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: the batch's, and the last one that the leader has.
    OutOfOrder(i32, i32),
    /// INVALID_PRODUCER_EPOCH.
    Fenced,
    /// OFFSET_OUT_OF_RANGE.
    OutOfRange,
    /// What can never be.
    Absurd(String),
}

/// What a fetch found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whole batches.
    pub bytes: Vec<u8>,
    /// The partition's high watermark.
    pub high_watermark: i64,
    /// The leader epoch of who answers.
    pub epoch: i32,
    /// Aborted transactions in it.
    pub aborted: Vec<AbortedTxn>,
}

/// Answers.
#[derive(Clone, Debug)]
pub enum Tell {
    /// Leader and leader epoch of each partition that has one.
    Metadata(BTreeMap<TopicPartition, (i32, i32)>),
    /// The first record's offset.
    Produced(Result<i64, Refusal>),
    /// Records.
    Found(Result<Found, Refusal>),
    /// The end.
    Latest(Result<i64, Refusal>),
    /// The producer that it is.
    Initialised(Result<Producer, TransactionError>),
    /// Of a transaction.
    Done(Result<(), TransactionError>),
    /// Of a marker; false if another coordinator has taken over.
    Marked(Result<(), bool>),
    /// To a follower.
    Followed(FollowAnswer),
}

/// A question or an answer, with its number.
#[derive(Clone, Debug)]
pub enum Body {
    /// A question.
    Ask(u64, Box<Ask>),
    /// The answer to the question of this number.
    Tell(u64, Box<Tell>),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// From.
    pub from: Address,
    /// To.
    pub to: Address,
    /// The connection's.
    pub generation: u64,
    /// What.
    pub body: Body,
    /// Its connection broke, and it waits in a buffer of the receiver in this life.
    pub late_of: Option<u64>,
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// A message arrives.
    Deliver(Envelope),
    /// A node's process, if it still is this one, looks what is to be done.
    Tick {
        /// Node.
        node: i32,
        /// Process.
        life: u64,
    },
    /// A follower asks its leader again.
    Refetch {
        /// Node.
        node: i32,
        /// Process.
        life: u64,
        /// Leader.
        leader: i32,
    },
    /// A node hears of all that the tree had so far.
    View {
        /// Node.
        node: i32,
        /// Process.
        life: u64,
        /// How many changes.
        upto: usize,
    },
    /// A node's write arrives at the tree.
    Write {
        /// Node.
        node: i32,
        /// Process.
        life: u64,
        /// What.
        request: tree::Request,
    },
    /// The tree's answer to a node.
    Written {
        /// Node.
        node: i32,
        /// Process.
        life: u64,
        /// About what.
        purpose: tree::Purpose,
        /// What came of it.
        outcome: tree::Outcome,
    },
    /// A client goes on.
    Wake {
        /// Client.
        client: usize,
        /// Its own number for this.
        token: u64,
    },
    /// Sessions are looked after.
    Sessions,
    /// Something goes wrong.
    Fault,
}
