//! What must be so when all is quiet, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use polyport_log::{Isolation, TopicPartition};
use polyport_partitions::Read;

use super::client::{Client, Kind};
use super::history::{Content, Ended, Sighting, sightings};
use super::node::Replica;
use super::world::World;

/// All bytes of a replica.
fn bytes_of(replica: &Replica) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let status = replica.status().map_err(|error| error.to_string())?;
    let mut offset = status.log_start_offset;
    while offset < status.log_end_offset {
        let read =
            Read { only_leader: false, ..Read::consumer(offset, 1 << 24, Isolation::LogEnd) };
        let answer = replica.read(&read).map_err(|error| error.to_string())?;
        let Some(range) = answer.fetched.range else { break };
        let bytes = range.read().map_err(|error| error.to_string())?;
        let last = sightings(&bytes)?.last().map_or(offset, |last| last.offset + 1);
        if last <= offset {
            return Err(format!("nothing at {offset}"));
        }
        offset = last;
        all.extend(bytes);
    }
    Ok(all)
}

impl World {
    fn replica(&self, of: &TopicPartition, id: i32) -> Option<Replica> {
        let process = self.nodes[(id - 1) as usize].process.as_ref()?;
        process.store.partition(&of.topic, of.partition)
    }

    /// What keeps the cluster from being quiet: every partition led, every replica in sync and equally
    /// long, everything committed, no transaction open.
    pub fn unrest(&self) -> Option<String> {
        for (of, replicas) in &self.partitions {
            let name = of.dir_name();
            let Some(state) = self.state(of) else { return Some(format!("{name} has no state")) };
            let mut isr = state.isr.clone();
            isr.sort_unstable();
            let mut all = replicas.clone();
            all.sort_unstable();
            if isr != all {
                return Some(format!("{name}: of {all:?} in sync are {isr:?}"));
            }
            let statuses = replicas.iter().map(|id| self.replica(of, *id)?.status().ok());
            let Some(statuses) = statuses.collect::<Option<Vec<_>>>() else {
                return Some(format!("{name} is not everywhere"));
            };
            let end = statuses[0].log_end_offset;
            for (status, id) in statuses.iter().zip(replicas) {
                let ends =
                    (status.last_stable_offset, status.high_watermark, status.log_end_offset);
                if ends != (end, end, end) || status.leader_epoch != state.leader_epoch {
                    return Some(format!("{name} on {id}: {status:?}"));
                }
            }
        }
        None
    }

    /// All replicas have the same bytes. To be asked for when all is quiet.
    pub fn check_replicas(&mut self) {
        for (of, replicas) in self.partitions.clone() {
            let mut first: Option<(i32, Vec<u8>)> = None;
            for id in replicas {
                let Some(replica) = self.replica(&of, id) else { continue };
                match (bytes_of(&replica), &first) {
                    (Err(error), _) => {
                        let name = of.dir_name();
                        let what = format!("{name} cannot be read on node {id}: {error}");
                        self.bench.history.violation(what);
                    }
                    (Ok(bytes), None) => first = Some((id, bytes)),
                    (Ok(bytes), Some((other, known))) if bytes != *known => {
                        let name = of.dir_name();
                        let what = format!("{name} differs between nodes {other} and {id}");
                        self.bench.history.violation(what);
                    }
                    (Ok(_), Some(_)) => {}
                }
            }
        }
    }

    /// The records of a partition's leader.
    fn led_records(&self, of: &TopicPartition) -> Result<Vec<Sighting>, String> {
        let leader = self.state(of).map_or(-1, |state| state.leader);
        let replica = (leader > 0).then(|| self.replica(of, leader)).flatten();
        sightings(&bytes_of(&replica.ok_or("it is not led")?)?)
    }

    /// Everything that was promised in the run.
    pub fn check_promises(&mut self) {
        let mut found = BTreeMap::new();
        for of in self.partitions.keys().cloned().collect::<Vec<_>>() {
            match self.led_records(&of) {
                Ok(records) => drop(found.insert(of, records)),
                Err(error) => {
                    let name = of.dir_name();
                    self.bench.history.violation(format!("{name} cannot be looked at: {error}"));
                }
            }
        }
        for (of, records) in &found {
            self.check_places(of, records);
        }
        self.check_producers(&found);
        self.check_transactions(&found);
    }

    fn check_places(&mut self, of: &TopicPartition, records: &[Sighting]) {
        let name = of.dir_name();
        let at: BTreeMap<i64, Content> =
            records.iter().map(|one| (one.offset, one.content)).collect();
        if let Some((first, _)) = at.first_key_value()
            && !(*first..).zip(at.keys()).all(|(expected, offset)| expected == *offset)
        {
            self.bench.history.violation(format!("{name} has gaps"));
        }
        let history = &self.bench.history;
        let placed = history.placed.get(of).into_iter().flatten();
        let wrong: Vec<String> = placed
            .filter(|(offset, content)| at.get(offset) != Some(content))
            .map(|(offset, content)| {
                format!("{name}@{offset} was {content:?} and is {:?}", at.get(offset))
            })
            .collect();
        let values: BTreeSet<u64> = records
            .iter()
            .filter_map(|one| match one.content {
                Content::Value(value) => Some(value),
                Content::Marker(..) => None,
            })
            .collect();
        let acknowledged = history.acknowledged.get(of).into_iter().flatten();
        let lost: Vec<String> = acknowledged
            .filter(|value| !values.contains(value))
            .map(|value| format!("{value} was acknowledged and is not in {name}"))
            .collect();
        for what in wrong.into_iter().chain(lost).take(3) {
            self.bench.history.violation(what);
        }
    }

    /// Consumers have come to the end of every partition.
    pub fn check_consumers(&mut self) {
        let mut behind = Vec::new();
        for client in &self.clients {
            let Client::Consumer(consumer) = client else { continue };
            for (of, position) in &consumer.positions {
                let leader = self.state(of).map_or(-1, |state| state.leader);
                let replica = (leader > 0).then(|| self.replica(of, leader)).flatten();
                let end = replica.and_then(|replica| Some(replica.status().ok()?.high_watermark));
                if end != Some(*position) {
                    let name = of.dir_name();
                    behind.push(format!("a consumer of {name} is at {position}, not at {end:?}"));
                }
            }
        }
        behind.into_iter().for_each(|what| self.bench.history.violation(what));
    }

    /// Idempotent producers: each value once, in order, and all.
    fn check_producers(&mut self, found: &BTreeMap<TopicPartition, Vec<Sighting>>) {
        let mut wrong = Vec::new();
        for client in &self.clients {
            let Client::Producer(producer) = client else { continue };
            let Some(records) =
                found.get(&producer.of).filter(|_| producer.kind == Kind::Idempotent)
            else {
                continue;
            };
            let range = producer.first_value..producer.first_value + producer.made;
            let values: Vec<u64> = records
                .iter()
                .filter_map(|one| match one.content {
                    Content::Value(value) if range.contains(&value) => Some(value),
                    _ => None,
                })
                .collect();
            if !values.iter().copied().eq(range.clone()) {
                let at = values.iter().zip(range.clone()).find(|(value, due)| *value != due);
                let name = producer.of.dir_name();
                wrong.push(format!(
                    "the idempotent producer's {} values in {name} are not {range:?} once and in order: {at:?}",
                    values.len()
                ));
            }
        }
        wrong.into_iter().for_each(|what| self.bench.history.violation(what));
    }

    /// Transactions: all or nothing, as their clients were told, and consumers of committed records saw
    /// each once.
    fn check_transactions(&mut self, found: &BTreeMap<TopicPartition, Vec<Sighting>>) {
        let (mut shown, mut wrong) = (BTreeMap::<u64, (u64, u64)>::new(), Vec::new());
        let mut committed: BTreeMap<&TopicPartition, BTreeMap<u64, u32>> = BTreeMap::new();
        for (of, records) in found {
            let mut open: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
            for one in records.iter().filter(|one| one.is_transactional) {
                match one.content {
                    Content::Value(value) => open.entry(one.producer_id).or_default().push(value),
                    Content::Marker(producer, is_commit) => {
                        for value in open.remove(&producer).unwrap_or_default() {
                            let known = self.bench.history.transaction_of.get(&value);
                            let Some(number) = known else { continue };
                            let counts = shown.entry(*number).or_default();
                            match is_commit {
                                true => {
                                    counts.0 += 1;
                                    let times = committed.entry(of).or_default();
                                    *times.entry(value).or_default() += 1;
                                }
                                false => counts.1 += 1,
                            }
                        }
                    }
                }
            }
            if let Some((producer, values)) = open.pop_first() {
                let name = of.dir_name();
                wrong.push(format!("{name}: producer {producer} left {values:?} without an end"));
            }
        }
        let history = &self.bench.history;
        for (number, transaction) in &history.transactions {
            let (committed, aborted) = shown.get(number).copied().unwrap_or_default();
            let written = transaction.records.len() as u64;
            let is_right = match transaction.ended {
                Ended::Committed => aborted == 0 && committed == written,
                Ended::Aborted => committed == 0,
                Ended::Unknown => (committed, aborted) == (written, 0) || committed == 0,
            };
            if !is_right {
                wrong.push(format!(
                    "transaction {number:x} of {written} records, {:?}: {committed} are committed, {aborted} aborted",
                    transaction.ended
                ));
            }
        }
        for ((consumer, of), seen) in &history.committed {
            let due = committed.get(of);
            for (value, times) in seen {
                let is_transactional = history.transaction_of.contains_key(value);
                let known = due.and_then(|due| due.get(value)).copied().unwrap_or(0);
                if is_transactional && (known != 1 || *times != 1) {
                    let name = of.dir_name();
                    wrong.push(format!(
                        "consumer {consumer} saw {value} of {name} {times} times; it is committed {known} times"
                    ));
                }
            }
        }
        wrong.into_iter().take(5).for_each(|what| self.bench.history.violation(what));
    }
}
