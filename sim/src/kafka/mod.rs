//! Kafka's partitions between brokers, under faults: replication, elections, acknowledgements,
//! transactions.
//!
//! What decides is production's code: the store with its partitions, logs and replica sets, the
//! fetching machine, the controller's decisions, the rule for in-sync replicas, the image, the
//! transactions' machine. What carries it is simulated here: the tree as a map that changes one
//! transaction after the other, the network, processes, disks, clocks. There is no tokio: one loop takes
//! events in the order of their time, and everything is drawn from the seed.
//!
//! Rooms: [`bench`] (time and network), [`message`] (what is said), [`tree`], [`node`] with
//! `controller`, [`follow`] and [`coordinator`] (a broker's process), [`client`], [`faults`],
//! [`history`] and `check` (promises), [`world`] and [`run`].

pub mod bench;
mod check;
pub mod client;
mod controller;
pub mod coordinator;
pub mod faults;
pub mod follow;
pub mod history;
pub mod message;
pub mod node;
mod run;
pub mod tree;
pub mod world;

pub use run::run;

/// Rules that a run breaks on purpose, so that a checker has something to find. None in a run that
/// counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The controller makes anybody the leader, in sync or not.
    pub anybody_is_elected: bool,
    /// Followers do not say of which epoch their last record is, and so do not truncate.
    pub follower_forgets_epochs: bool,
    /// `acks=all` is answered before the replicas have the records.
    pub acknowledge_at_once: bool,
    /// A broker that was away leads on in the epoch of before.
    pub the_returned_lead_on: bool,
    /// Followers that have caught up do not join the in-sync replicas.
    pub nobody_joins: bool,
    /// ListOffsets answers the log's end.
    pub ends_are_not_committed: bool,
    /// Idempotent producers send plain batches.
    pub producers_are_plain: bool,
    /// Decided transactions get no markers.
    pub markers_are_not_sent: bool,
    /// Consumers of committed records do not leave aborted ones out.
    pub aborted_are_shown: bool,
}

impl Rules {
    /// The rule of a name, broken.
    pub fn broken(name: &str) -> Option<Self> {
        let mut rules = Self::default();
        let rule = match name {
            "anybody-is-elected" => &mut rules.anybody_is_elected,
            "follower-forgets-epochs" => &mut rules.follower_forgets_epochs,
            "acknowledge-at-once" => &mut rules.acknowledge_at_once,
            "the-returned-lead-on" => &mut rules.the_returned_lead_on,
            "nobody-joins" => &mut rules.nobody_joins,
            "ends-are-not-committed" => &mut rules.ends_are_not_committed,
            "producers-are-plain" => &mut rules.producers_are_plain,
            "markers-are-not-sent" => &mut rules.markers_are_not_sent,
            "aborted-are-shown" => &mut rules.aborted_are_shown,
            _ => return None,
        };
        *rule = true;
        Some(rules)
    }
}
