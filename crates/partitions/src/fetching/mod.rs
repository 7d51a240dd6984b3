//! What a follower fetches from a leader, and what it does with the answers.
//!
//! A pure machine: who leads, how this node's logs are, answers and the time go in; what to ask and
//! what to do with a log come out. One machine stands for all partitions that are followed from one
//! leader by one fetcher. Reference: KIP-595's fetching with the epoch of the last record, as
//! `kafka.server.AbstractFetcherThread` of Kafka 3.9 does it between brokers, and KIP-227's sessions:
//! a request names only what differs from the one before.
//!
//! ```text
//! fetching.follow(partition, leader_epoch);
//! loop {
//!     let Some(request) = fetching.request(now, ends_of) else { sleep until fetching.due() };
//!     match leader.fetch(request) {
//!         Err(_) => fetching.failed(now),
//!         Ok(answer) => {
//!             fetching.succeeded(answer.session);
//!             for (partition, said) in answer {
//!                 match fetching.answered(&partition, said, &own, now) {
//!                     Act::Append(epoch) => append, and Fetching::refused if that fails
//!                     Act::Truncate { .. } | Act::Restart { .. } => do it
//!                     Act::AskRange(epoch) => ask; answered(.., Answer::Range { .. }, ..)
//!                     Act::Nothing => {}
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//! Different from Kafka: after a refusal a partition rests for a few milliseconds at first, not for
//! `replica.fetch.backoff.ms` at once, because most refusals are of a leader or follower that has not
//! heard of an election yet.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use polyport_base::Millis;

/// Where a follower's log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The log start offset.
    pub start: i64,
    /// The next record's offset.
    pub end: i64,
    /// The newest leader epoch in the log; `None` if it has none.
    pub last_epoch: Option<i32>,
}

/// A follower's log, as decisions need it.
pub struct Own<'a> {
    /// Where it begins and ends.
    pub ends: Ends,
    /// The greatest epoch not above one, and where it ends in this log.
    pub end_of_epoch: &'a dyn Fn(i32) -> Option<(i32, i64)>,
}

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The leader's epoch, as the follower believes.
    pub leader_epoch: i32,
    /// From where: the end of the follower's log.
    pub offset: i64,
    /// The follower's log start offset.
    pub log_start: i64,
    /// The epoch of the follower's last record.
    pub last_epoch: Option<i32>,
}

/// A Fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<K> {
    /// The session and its epoch, for the request.
    pub session: (i32, i32),
    /// What is new in the session, or differs.
    pub wanted: Vec<(K, Ask)>,
    /// What is no longer fetched.
    pub forgotten: Vec<K>,
}

/// What the leader says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Here are records, perhaps none.
    Records,
    /// The follower has records that the leader has not: the greatest epoch that both may have, and
    /// where it ends at the leader.
    Diverging {
        /// The epoch.
        epoch: i32,
        /// Where it ends.
        end: i64,
    },
    /// OFFSET_OUT_OF_RANGE: the leader's log is elsewhere.
    OutOfRange,
    /// Where the leader's log is: the answer to [`Act::AskRange`].
    Range {
        /// Its log start offset.
        start: i64,
        /// Its log end offset.
        end: i64,
    },
    /// FENCED_LEADER_EPOCH: there was an election that this node will hear of.
    Fenced,
    /// Anything else that passes: the leader has not heard of its election yet, say.
    Refused,
}

/// What is to be done with a partition's log, under the leader epoch that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Append the records, and take over the leader's offsets.
    Append(i32),
    /// Remove the records from `offset` on, and epochs that begin there.
    Truncate {
        /// The new end.
        offset: i64,
        /// The leader's.
        leader_epoch: i32,
    },
    /// Empty the log and let it begin at `offset`.
    Restart {
        /// Where.
        offset: i64,
        /// The leader's.
        leader_epoch: i32,
    },
    /// Ask the leader where its log begins and ends.
    AskRange(i32),
}

/// Pauses that grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    until: Millis,
    /// The next pause.
    next_ms: i64,
}

/// The first pause after a refusal.
const FIRST_PAUSE_MS: i64 = 5;

impl Rest {
    fn none() -> Self {
        Rest { until: Millis(i64::MIN), next_ms: FIRST_PAUSE_MS }
    }

    fn begin(&mut self, now: Millis, most_ms: i64) {
        let pause_ms = self.next_ms.min(most_ms.max(1));
        self.until = Millis(now.0.saturating_add(pause_ms));
        self.next_ms = pause_ms.saturating_mul(2);
    }
}

#[derive(Clone, Debug)]
struct Followed {
    leader_epoch: i32,
    /// What the leader was asked last, and has in the session if there is one.
    sent: Option<Ask>,
    rest: Rest,
    /// The leader knows a newer epoch: nothing is to be had in this one.
    fenced: bool,
}

/// What one fetcher fetches from one leader.
#[derive(Clone, Debug)]
pub struct Fetching<K> {
    partitions: BTreeMap<K, Followed>,
    /// The session's id, and the epoch of its next request.
    session: Option<(i32, i32)>,
    /// In the session and no longer fetched.
    forgotten: BTreeSet<K>,
    /// After the connection broke.
    rest: Rest,
    backoff_ms: i64,
}

impl<K: Ord + Clone> Fetching<K> {
    /// Of nothing yet. `backoff_ms`: `replica.fetch.backoff.ms`, the longest pause.
    pub fn new(backoff_ms: i64) -> Self {
        Fetching {
            partitions: BTreeMap::new(),
            session: None,
            forgotten: BTreeSet::new(),
            rest: Rest::none(),
            backoff_ms,
        }
    }

    /// The metadata say that this leader leads a partition in an epoch. An older epoch than is known
    /// changes nothing.
    pub fn follow(&mut self, of: K, leader_epoch: i32) {
        self.forgotten.remove(&of);
        let sent = match self.partitions.get(&of) {
            Some(known) if known.leader_epoch >= leader_epoch => return,
            Some(known) => known.sent,
            None => None,
        };
        let followed = Followed { leader_epoch, sent, rest: Rest::none(), fenced: false };
        self.partitions.insert(of, followed);
    }

    /// The partition is not followed from this leader any more.
    pub fn forget(&mut self, of: &K) {
        if let Some(followed) = self.partitions.remove(of)
            && followed.sent.is_some()
            && self.session.is_some()
        {
            self.forgotten.insert(of.clone());
        }
    }

    /// How many partitions are followed.
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Whether none is followed.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The next request; `None` if there is nothing to fetch now. `ends` says how this node's log of
    /// a partition is, or nothing if it cannot be appended to.
    pub fn request(
        &mut self,
        now: Millis,
        mut ends: impl FnMut(&K) -> Option<Ends>,
    ) -> Option<Request<K>> {
        if self.rest.until > now {
            return None;
        }
        let incremental = self.session.is_some();
        let (mut wanted, mut any) = (Vec::new(), false);
        for (of, followed) in &mut self.partitions {
            let due = !followed.fenced && followed.rest.until <= now;
            let Some(ends) = due.then(|| ends(of)).flatten() else {
                if followed.sent.take().is_some() && incremental {
                    self.forgotten.insert(of.clone());
                }
                continue;
            };
            any = true;
            self.forgotten.remove(of);
            let ask = Ask {
                leader_epoch: followed.leader_epoch,
                offset: ends.end,
                log_start: ends.start,
                last_epoch: ends.last_epoch,
            };
            if followed.sent.replace(ask) != Some(ask) || !incremental {
                wanted.push((of.clone(), ask));
            }
        }
        if !any {
            return None;
        }
        let forgotten = std::mem::take(&mut self.forgotten).into_iter().collect();
        Some(Request { session: self.session.unwrap_or((0, 0)), wanted, forgotten })
    }

    /// When [`Fetching::request`] may have something that it has not now, if nothing else happens.
    pub fn due(&self, now: Millis) -> Option<Millis> {
        if self.partitions.is_empty() {
            return None;
        }
        if self.rest.until > now {
            return Some(self.rest.until);
        }
        let resting = self.partitions.values().filter(|followed| !followed.fenced);
        resting.map(|followed| followed.rest.until).filter(|until| *until > now).min()
    }

    /// The leader has answered a request, and named the session that it is part of; 0 for none.
    pub fn succeeded(&mut self, session: i32) {
        self.rest = Rest::none();
        let next = match self.session {
            Some((_, i32::MAX)) => 1,
            Some((_, epoch)) => epoch + 1,
            None => 1,
        };
        self.session = (session != 0).then_some((session, next));
    }

    /// The leader does not know the session, or not as this node does: the next request begins
    /// another.
    pub fn session_lost(&mut self) {
        self.session = None;
        self.forgotten.clear();
    }

    /// The leader could not be asked, or its answer made no sense.
    pub fn failed(&mut self, now: Millis) {
        self.session_lost();
        self.rest.begin(now, self.backoff_ms);
    }

    /// The leader can be reached again, perhaps: no need to wait for the end of a pause.
    pub fn retry(&mut self) {
        self.rest = Rest::none();
    }

    /// What is to be done because of an answer. An answer to what was asked in an epoch that is past
    /// means nothing.
    pub fn answered(&mut self, of: &K, answer: Answer, own: &Own<'_>, now: Millis) -> Act {
        let backoff_ms = self.backoff_ms;
        let Some(followed) = self.partitions.get_mut(of) else { return Act::Nothing };
        let leader_epoch = followed.leader_epoch;
        if followed.sent.is_none_or(|ask| ask.leader_epoch != leader_epoch) {
            return Act::Nothing;
        }
        match answer {
            Answer::Records => {
                followed.rest = Rest::none();
                Act::Append(leader_epoch)
            }
            Answer::Diverging { epoch, end } => {
                let offset = truncation(own, epoch, end);
                if offset == own.ends.end {
                    // Only an epoch without records goes. Should that not be so, the same would be
                    // asked and answered again and again.
                    followed.rest.begin(now, backoff_ms);
                }
                Act::Truncate { offset, leader_epoch }
            }
            Answer::OutOfRange => Act::AskRange(leader_epoch),
            Answer::Range { end, .. } if end < own.ends.end => {
                Act::Truncate { offset: end, leader_epoch }
            }
            Answer::Range { start, .. } if start > own.ends.end => {
                Act::Restart { offset: start, leader_epoch }
            }
            // By now it has what is asked for.
            Answer::Range { .. } | Answer::Refused => {
                followed.rest.begin(now, backoff_ms);
                Act::Nothing
            }
            Answer::Fenced => {
                followed.fenced = true;
                Act::Nothing
            }
        }
    }

    /// What an answer asked for was not done: the partition rests.
    pub fn refused(&mut self, of: &K, now: Millis) {
        if let Some(followed) = self.partitions.get_mut(of) {
            followed.rest.begin(now, self.backoff_ms);
        }
    }
}

/// Where the log is to end, whose leader has nothing above `epoch`, which ends at `end`. If this log
/// does not know that epoch, what it has above the one before goes, and the next answer tells more.
fn truncation(own: &Own<'_>, epoch: i32, end: i64) -> i64 {
    match (own.end_of_epoch)(epoch) {
        Some((known, own_end)) if known == epoch => own_end.min(end),
        Some((_, own_end)) => own_end,
        None => end,
    }
    .min(own.ends.end)
}
