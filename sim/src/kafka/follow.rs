//! A follower's fetching and its leader's side, between the processes of a run. What is fetched and
//! what is done with it the real machine decides.

use std::collections::BTreeMap;

use polyport_base::Millis;
use polyport_log::{Isolation, TopicPartition};
use polyport_partitions::fetching::{self, Act, Answer, Ends, Fetching, Own};
use polyport_partitions::{
    FetchError, FollowedLeader, FollowerFetch, IsrProposal, Read, Refused, Store,
};
use polyport_storage::SimDisk;

use super::bench::Bench;
use super::message::{Address, Ask, Event};
use super::node::Replica;

/// A follower's question to a leader.
#[derive(Clone, Debug)]
pub struct FollowQuestion {
    /// Who asks.
    pub follower: i32,
    /// What.
    pub request: fetching::Request<TopicPartition>,
}

/// What a leader says of one partition.
#[derive(Clone, Debug)]
pub struct Said {
    answer: Answer,
    bytes: Vec<u8>,
    high_watermark: i64,
    log_start: i64,
    /// Where the leader's log begins and ends, which production asks for in a question of its own.
    range: (i64, i64),
}

/// A leader's answer: the session, and what it says; nothing if it does not know the session.
#[derive(Clone, Debug)]
pub struct FollowAnswer(Option<(i32, Vec<(TopicPartition, Said)>)>);

/// One fetcher's session as the leader has it.
#[derive(Debug, Default)]
struct Session {
    id: i32,
    epoch: i32,
    wanted: BTreeMap<TopicPartition, fetching::Ask>,
}

/// The sessions of a leader's followers.
#[derive(Debug, Default)]
pub struct Sessions {
    by_follower: BTreeMap<i32, Session>,
    last: i32,
}

/// How much is fetched of a partition at a time.
const MAX_BYTES: u64 = 4000;

impl Sessions {
    /// Answers a follower; also what its fetch makes of the in-sync replicas.
    pub fn answer(
        &mut self,
        question: FollowQuestion,
        store: &Store<SimDisk>,
        now: Millis,
        bench: &mut Bench,
    ) -> (FollowAnswer, Vec<(Replica, IsrProposal)>) {
        let FollowQuestion { follower, request } = question;
        let session = self.by_follower.entry(follower).or_default();
        match request.session {
            (0, _) => {
                self.last += 1;
                *session = Session { id: self.last, epoch: 1, wanted: BTreeMap::new() };
            }
            asked if asked == (session.id, session.epoch) => session.epoch += 1,
            _ => return (FollowAnswer(None), Vec::new()),
        }
        for of in &request.forgotten {
            session.wanted.remove(of);
        }
        session.wanted.extend(request.wanted);
        let (mut said, mut proposals) = (Vec::new(), Vec::new());
        for (of, ask) in &session.wanted {
            let Some(partition) = store.partition(&of.topic, of.partition) else { continue };
            let one = serve(&partition, follower, ask, now, &mut proposals);
            if let Some((_, proposal)) = proposals.last().filter(|(led, _)| led.of() == of) {
                bench.history.event(format_args!(
                    "{follower} fetches {} from {}: in sync should be {:?}, high watermark {}, end {}",
                    of.dir_name(),
                    ask.offset,
                    proposal.isr,
                    one.high_watermark,
                    one.range.1
                ));
            }
            said.push((of.clone(), one));
        }
        (FollowAnswer(Some((session.id, said))), proposals)
    }
}

/// The leader's side of one partition's fetch.
fn serve(
    partition: &Replica,
    follower: i32,
    ask: &fetching::Ask,
    now: Millis,
    proposals: &mut Vec<(Replica, IsrProposal)>,
) -> Said {
    let range = partition.status().map_or((0, 0), |is| (is.log_start_offset, is.log_end_offset));
    let nothing =
        |answer| Said { answer, bytes: Vec::new(), high_watermark: 0, log_start: 0, range };
    let read = Read {
        offset: ask.offset,
        max_bytes: MAX_BYTES,
        at_least_one: true,
        isolation: Isolation::LogEnd,
        leader_epoch: Some(ask.leader_epoch),
        only_leader: true,
        last_fetched_epoch: ask.last_epoch,
    };
    let answer = match partition.read(&read) {
        Ok(answer) => answer,
        Err(FetchError::OutOfRange(_)) => return nothing(Answer::OutOfRange),
        Err(FetchError::Refused(Refused::FencedEpoch)) => return nothing(Answer::Fenced),
        Err(FetchError::Refused(_)) => return nothing(Answer::Refused),
    };
    if let Some((epoch, end)) = answer.diverging {
        return nothing(Answer::Diverging { epoch, end });
    }
    let fetch = FollowerFetch {
        follower,
        offset: ask.offset,
        log_start: ask.log_start,
        leader_end: answer.log_end_offset,
    };
    match partition.follower_fetched(fetch, now) {
        Ok(proposal) => proposals.extend(proposal.map(|proposal| (partition.clone(), proposal))),
        Err(_) => return nothing(Answer::Refused),
    }
    let bytes = answer.fetched.range.as_ref().and_then(|range| range.read().ok());
    // The fetch itself may have moved the high watermark.
    let known = partition.status().map_or(0, |status| status.high_watermark);
    Said {
        answer: Answer::Records,
        bytes: bytes.unwrap_or_default(),
        high_watermark: known,
        log_start: answer.fetched.log_start_offset,
        range,
    }
}

/// One fetcher: of all partitions that one leader leads.
#[derive(Debug)]
struct Fetcher {
    fetching: Fetching<TopicPartition>,
    /// The question under way, and when it is given up.
    asked: Option<(u64, u64)>,
    /// An event will come to go on.
    is_woken: bool,
}

/// All fetchers of a process.
#[derive(Debug, Default)]
pub struct Following(BTreeMap<i32, Fetcher>);

/// The longest pause of a fetcher.
const BACKOFF_MS: i64 = 100;

/// How long an answer may take.
const TIMEOUT_MS: u64 = 400;

/// Who fetches.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    /// The node.
    pub node: i32,
    /// Its process.
    pub life: u64,
}

impl Following {
    /// The metadata say that somebody leads a partition that is kept here, or nobody whom this node
    /// would follow.
    pub fn follow(&mut self, of: &TopicPartition, leader: Option<(i32, i32)>) {
        for (id, fetcher) in &mut self.0 {
            if leader.is_none_or(|(leader, _)| leader != *id) {
                fetcher.fetching.forget(of);
            }
        }
        if let Some((leader, epoch)) = leader {
            let fetcher = self.0.entry(leader).or_insert_with(|| Fetcher {
                fetching: Fetching::new(BACKOFF_MS),
                asked: None,
                is_woken: false,
            });
            fetcher.fetching.follow(of.clone(), epoch);
        }
    }

    /// Leaders that are followed.
    pub fn leaders(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// Asks a leader for more, if nothing is under way.
    pub fn go_on(&mut self, me: Me, leader: i32, store: &Store<SimDisk>, bench: &mut Bench) {
        let Some(fetcher) = self.0.get_mut(&leader) else { return };
        let now = Millis(bench.now as i64);
        match fetcher.asked {
            Some((_, until)) if until > bench.now => return,
            Some(_) => {
                bench.break_wire(Address::Node(me.node), Address::Node(leader));
                fetcher.asked = None;
                fetcher.fetching.failed(now);
            }
            None => {}
        }
        let forgets = bench.rules.follower_forgets_epochs;
        let ends = |of: &TopicPartition| -> Option<Ends> {
            let mut ends = store.partition(&of.topic, of.partition)?.followed()?;
            if forgets {
                ends.last_epoch = None;
            }
            Some(ends)
        };
        if let Some(request) = fetcher.fetching.request(now, ends) {
            let question = FollowQuestion { follower: me.node, request };
            let ask = Ask::Follow(question);
            let id = bench.ask(Address::Node(me.node), Address::Node(leader), ask);
            fetcher.asked = Some((id, bench.now + TIMEOUT_MS));
        }
    }

    /// Lets a fetcher go on soon.
    fn wake(&mut self, me: Me, leader: i32, ms: u64, bench: &mut Bench) {
        let Some(fetcher) = self.0.get_mut(&leader) else { return };
        if !fetcher.is_woken {
            fetcher.is_woken = true;
            bench.after(ms, Event::Refetch { node: me.node, life: me.life, leader });
        }
    }

    /// It is time to go on.
    pub fn woken(&mut self, me: Me, leader: i32, store: &Store<SimDisk>, bench: &mut Bench) {
        if let Some(fetcher) = self.0.get_mut(&leader) {
            fetcher.is_woken = false;
            self.go_on(me, leader, store, bench);
        }
    }

    /// A leader has answered.
    pub fn answered(
        &mut self,
        me: Me,
        (leader, id): (i32, u64),
        answer: FollowAnswer,
        store: &Store<SimDisk>,
        clock: Millis,
        bench: &mut Bench,
    ) {
        let Some(fetcher) = self.0.get_mut(&leader) else { return };
        if fetcher.asked.is_none_or(|(asked, _)| asked != id) {
            return;
        }
        fetcher.asked = None;
        let Some((session, said)) = answer.0 else {
            fetcher.fetching.session_lost();
            return self.wake(me, leader, 1, bench);
        };
        fetcher.fetching.succeeded(session);
        let mut is_more = false;
        for (of, said) in said {
            is_more |= !said.bytes.is_empty() || !matches!(said.answer, Answer::Records);
            take(&mut fetcher.fetching, &of, said, store, clock, bench);
        }
        let pause_ms = if is_more { 1 } else { 10 + bench.rng.below(20) };
        self.wake(me, leader, pause_ms, bench);
    }
}

/// Does what the machine makes of what a leader said.
fn take(
    fetching: &mut Fetching<TopicPartition>,
    of: &TopicPartition,
    said: Said,
    store: &Store<SimDisk>,
    clock: Millis,
    bench: &mut Bench,
) {
    let Some(partition) = store.partition(&of.topic, of.partition) else { return };
    let Some(ends) = partition.followed() else { return };
    let now = Millis(bench.now as i64);
    let end_of_epoch =
        |epoch: i32| partition.end_offset_for_epoch(epoch, None, false).ok().flatten();
    let own = Own { ends, end_of_epoch: &end_of_epoch };
    let mut act = fetching.answered(of, said.answer, &own, now);
    if matches!(act, Act::AskRange(_)) {
        let (start, end) = said.range;
        act = fetching.answered(of, Answer::Range { start, end }, &own, now);
    }
    let done = match act {
        Act::Append(epoch) => {
            let leader = FollowedLeader {
                epoch,
                high_watermark: said.high_watermark,
                log_start: said.log_start,
            };
            partition.append_as_follower(&said.bytes, leader, clock).is_ok()
        }
        Act::Truncate { offset, leader_epoch } => {
            bench.history.truncations += usize::from(offset < ends.end);
            bench.history.event(format_args!(
                "a follower truncates {} from {} to {offset}",
                of.dir_name(),
                ends.end
            ));
            partition.truncate(offset, leader_epoch, clock).is_ok()
        }
        Act::Restart { offset, leader_epoch } => {
            partition.restart_at(offset, leader_epoch, clock).is_ok()
        }
        Act::AskRange(_) | Act::Nothing => true,
    };
    if !done {
        fetching.refused(of, now);
    }
}
