//! A shard with a log in memory and a clock that a test turns.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use polyport_base::Millis;

use super::super::Shard;
use crate::group::classic::{
    JoinGroup, JoinOutcome, LeavingMember, Protocol, SyncGroup, SyncOutcome,
};
use crate::group::config::GroupConfig;
use crate::group::consumer::TopicView;
use crate::group::error::{AppendError, GroupError};
use crate::group::machine::{
    Answer, Append, Context, EndTransaction, InTransaction, Moment, TransactionalProducer, Waiter,
};
use crate::group::offsets::{CommitOffset, CommitOffsets, FetchOffsets, FetchedOffset};
use crate::group::record::{Record, TopicId};

/// One append: records of one batch, or the end of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Appended {
    Batch(Vec<Record>, Option<TransactionalProducer>),
    End(EndTransaction),
}

/// The partition. Every record goes through its encoding.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryLog {
    pub(crate) appends: Vec<(i64, Appended)>,
    pub(crate) end: i64,
    /// What the next appends answer.
    pub(crate) fails: Option<AppendError>,
}

impl Append for MemoryLog {
    fn append(
        &mut self,
        _: Moment,
        records: &[Record],
        transaction: Option<InTransaction>,
    ) -> Result<i64, AppendError> {
        if let Some(error) = self.fails {
            return Err(error);
        }
        let base = self.end;
        self.end += records.len() as i64;
        let records = records.iter().map(through_encoding).collect();
        let producer = transaction.map(|transaction| transaction.producer);
        self.appends.push((base, Appended::Batch(records, producer)));
        Ok(base)
    }

    fn append_marker(&mut self, _: Moment, end: EndTransaction) -> Result<i64, AppendError> {
        if let Some(error) = self.fails {
            return Err(error);
        }
        self.end += 1;
        self.appends.push((self.end - 1, Appended::End(end)));
        Ok(self.end - 1)
    }
}

fn through_encoding(record: &Record) -> Record {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    record.encode_key(&mut key).unwrap();
    let is_there = record.encode_value(&mut value).unwrap();
    let read = Record::decode(&key, is_there.then_some(value.as_slice())).unwrap().unwrap();
    assert_eq!(&read, record);
    read
}

/// The cluster's topics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topics(pub(crate) BTreeMap<String, (TopicId, i32)>, pub(crate) u64);

impl TopicView for Topics {
    fn version(&self) -> u64 {
        self.1
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        self.0.get(name).copied()
    }
}

impl Topics {
    /// Makes or changes a topic, whose id is made of its name.
    pub(crate) fn set(&mut self, name: &str, partitions: i32) {
        self.0.insert(name.into(), (topic_id(name), partitions));
        self.1 += 1;
    }
}

pub(crate) fn topic_id(name: &str) -> TopicId {
    let mut id = [0; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    TopicId(id)
}

/// A shard at work.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) log: MemoryLog,
    pub(crate) config: GroupConfig,
    pub(crate) topics: Topics,
    pub(crate) now: Moment,
    pub(crate) answers: Vec<(Waiter, Answer)>,
    next_waiter: u64,
    fresh: u64,
}

pub(crate) const START: i64 = 1_700_000_000_000;

impl World {
    pub(crate) fn new() -> Self {
        let mut world = World {
            shard: Shard::default(),
            log: MemoryLog::default(),
            config: GroupConfig::default(),
            topics: Topics::default(),
            now: Moment { wall: Millis(START), uptime: Duration::from_secs(1000) },
            answers: Vec::new(),
            next_waiter: 0,
            fresh: 0,
        };
        world.run(Shard::on_loaded);
        world
    }

    pub(crate) fn run<T>(&mut self, work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            topics: &self.topics,
            log: &mut self.log,
            answers: &mut self.answers,
        };
        work(&mut self.shard, &mut cx)
    }

    /// Lets time pass, with everything that happens in it at its time.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.uptime + Duration::from_millis(ms);
        while self.shard.next_deadline() <= end {
            let at = self.shard.next_deadline().max(self.now.uptime);
            self.set_uptime(at);
            self.run(Shard::tick);
        }
        self.set_uptime(end);
    }

    fn set_uptime(&mut self, uptime: Duration) {
        let passed = uptime - self.now.uptime;
        self.now.wall.0 += passed.as_millis() as i64;
        self.now.uptime = uptime;
    }

    /// The answer to a held request, if it has come.
    pub(crate) fn take(&mut self, waiter: Waiter) -> Option<Answer> {
        let at = self.answers.iter().position(|(of, _)| *of == waiter)?;
        Some(self.answers.remove(at).1)
    }

    pub(crate) fn joined(&mut self, waiter: Waiter) -> JoinOutcome {
        match self.take(waiter) {
            Some(Answer::Join(outcome)) => outcome,
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    pub(crate) fn synced(&mut self, waiter: Waiter) -> SyncOutcome {
        match self.take(waiter) {
            Some(Answer::Sync(outcome)) => outcome,
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    pub(crate) fn waiter(&mut self) -> Waiter {
        self.next_waiter += 1;
        Waiter(self.next_waiter)
    }

    pub(crate) fn join(&mut self, group: &str, request: JoinGroup) -> Waiter {
        let waiter = self.waiter();
        self.fresh += 1;
        let fresh = format!("m{}", self.fresh);
        self.run(|shard, cx| shard.join(group, request, &fresh, waiter, cx));
        waiter
    }

    pub(crate) fn sync(&mut self, group: &str, request: SyncGroup) -> Waiter {
        let waiter = self.waiter();
        self.run(|shard, cx| shard.sync(group, request, waiter, cx));
        waiter
    }

    pub(crate) fn heartbeat(
        &mut self,
        group: &str,
        member: &str,
        generation: i32,
    ) -> Result<(), GroupError> {
        self.run(|shard, cx| shard.heartbeat(group, member, None, generation, cx))
    }

    pub(crate) fn leave(&mut self, group: &str, member: &str) -> Result<(), GroupError> {
        let leaving = LeavingMember { member_id: member.into(), instance_id: None };
        self.run(|shard, cx| shard.leave(group, &[leaving], cx)).remove(0)
    }

    pub(crate) fn commit(
        &mut self,
        group: &str,
        request: CommitOffsets,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let requests = [(group.into(), request)];
        self.run(|shard, cx| shard.commit(&requests, cx)).remove(0)
    }

    pub(crate) fn fetch(&mut self, group: &str) -> Vec<FetchedOffset> {
        self.shard.fetch(group, &FetchOffsets::default()).unwrap()
    }

    /// The committed offset, `None` if there is none.
    pub(crate) fn offset(&mut self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let found = self.fetch(group).into_iter();
        let mut found = found.filter(|of| &*of.topic == topic && of.partition == partition);
        found.next().map(|of| of.offset.unwrap().unwrap().offset)
    }

    /// A group of these members, stable, whose member ids are answered. The first one leads.
    pub(crate) fn stable(&mut self, group: &str, members: &[JoinGroup]) -> Vec<String> {
        let waiters: Vec<Waiter> =
            members.iter().map(|member| self.join(group, member.clone())).collect();
        self.pass(self.config.initial_rebalance_delay.as_millis() as u64 * 2);
        let joined: Vec<_> = waiters.into_iter().map(|of| self.joined(of).unwrap()).collect();
        let generation = joined[0].generation;
        let ids: Vec<String> = joined.iter().map(|joined| joined.member_id.clone()).collect();
        for joined in &joined {
            let assignments = match joined.member_id == joined.leader {
                true => share(&ids),
                false => BTreeMap::new(),
            };
            self.sync(group, sync(&joined.member_id, generation, assignments));
        }
        self.answers.clear();
        assert_eq!(self.shard.describe(group).state, "Stable");
        ids
    }

    /// A shard that has read the log.
    pub(crate) fn reloaded(&self) -> World {
        let mut world = World::new();
        world.config = self.config.clone();
        world.topics = self.topics.clone();
        world.now = self.now;
        (world.next_waiter, world.fresh) = (self.next_waiter, self.fresh);
        for (base, appended) in self.log.appends.clone() {
            world.run(|shard, cx| match appended {
                Appended::End(end) => shard.apply_marker(end.producer.id, end.commit),
                Appended::Batch(records, producer) => {
                    for record in records {
                        shard.apply(record, producer.map(|of| of.id), base, cx);
                    }
                }
            });
        }
        world.log = self.log.clone();
        world.run(Shard::on_loaded);
        world
    }
}

/// Every member's assignment is its own id.
pub(crate) fn share(ids: &[String]) -> BTreeMap<String, Bytes> {
    ids.iter().map(|id| (id.clone(), Bytes::from(id.clone()))).collect()
}

pub(crate) fn protocol(name: &str, topics: &[&str]) -> Protocol {
    let mut metadata = vec![0, 1];
    metadata.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        metadata.extend((topic.len() as i16).to_be_bytes());
        metadata.extend(topic.as_bytes());
    }
    metadata.extend([0xff, 0xff, 0xff, 0xff]);
    Protocol { name: name.into(), metadata: metadata.into() }
}

/// A consumer of topic `t`, of a version that needs no second request.
pub(crate) fn consumer(member: &str) -> JoinGroup {
    JoinGroup {
        member_id: member.into(),
        instance_id: None,
        require_member_id: false,
        can_skip_assignment: true,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", &["t"]), protocol("sticky", &["t"])],
    }
}

pub(crate) fn static_consumer(member: &str, instance: &str) -> JoinGroup {
    JoinGroup { instance_id: Some(instance.into()), ..consumer(member) }
}

pub(crate) fn sync(
    member: &str,
    generation: i32,
    assignments: BTreeMap<String, Bytes>,
) -> SyncGroup {
    SyncGroup { member_id: member.into(), generation, assignments, ..SyncGroup::default() }
}

pub(crate) fn offset(topic: &str, partition: i32, offset: i64) -> CommitOffset {
    CommitOffset {
        topic: topic.into(),
        partition,
        offset,
        leader_epoch: None,
        metadata: None,
        commit_timestamp: None,
        retention_ms: None,
    }
}

/// A commit of a client that manages its partitions by itself.
pub(crate) fn simple(offsets: Vec<CommitOffset>) -> CommitOffsets {
    CommitOffsets { generation: -1, offsets, ..CommitOffsets::default() }
}

pub(crate) fn commit(member: &str, generation: i32, offsets: Vec<CommitOffset>) -> CommitOffsets {
    CommitOffsets { member_id: member.into(), generation, offsets, ..CommitOffsets::default() }
}
