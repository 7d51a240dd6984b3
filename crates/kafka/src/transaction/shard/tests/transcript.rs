//! Runs transcripts: lines that begin with `> ` are commands, the others are what came of them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::Millis;
use polyport_log::TopicPartition;

use super::super::super::config::TransactionConfig;
use super::super::super::error::TransactionError;
use super::super::super::machine::{Append, Context, End, Markers, Producer, TransactionalId};
use super::super::super::record::{Record, TransactionState, TransactionValue};
use crate::internal::log::AppendError;

use super::super::{InitProducerId, Initialised, ListFilter, Shard};

/// The partition of `__transaction_state`, in memory.
#[derive(Default)]
pub struct MemoryLog {
    pub records: Vec<Record>,
    pub refuses: Option<AppendError>,
}

impl Append for MemoryLog {
    fn append(&mut self, _: Millis, records: &[Record]) -> Result<(), AppendError> {
        if let Some(error) = self.refuses {
            return Err(error);
        }
        self.records.extend_from_slice(records);
        Ok(())
    }
}

pub fn partition(text: &str) -> TopicPartition {
    let (topic, partition) = text.rsplit_once('-').unwrap();
    TopicPartition { topic: topic.into(), partition: partition.parse().unwrap() }
}

pub fn names<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> String {
    let name = |of: &TopicPartition| format!("{}-{}", of.topic, of.partition);
    partitions.into_iter().map(name).collect::<Vec<_>>().join(" ")
}

struct Play {
    shard: Shard,
    log: MemoryLog,
    now: Millis,
    config: TransactionConfig,
    fresh: i64,
}

/// Plays a transcript, and compares. It begins with an empty partition at time 1,000,000.
pub fn check(transcript: &str) {
    let config = TransactionConfig {
        id_expiration: Duration::from_secs(1000),
        expiration_interval: Duration::from_secs(100),
        ..TransactionConfig::default()
    };
    let now = Millis(1_000_000);
    let shard = Shard::new(0, now, &config);
    let mut play = Play { shard, log: MemoryLog::default(), now, config, fresh: 0 };
    let mut played = String::new();
    let mut expected = String::new();
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        writeln!(expected, "{line}").unwrap();
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(played, "{line}").unwrap();
            play.command(command, &mut played);
        }
    }
    assert!(played == expected, "expected:\n{expected}\nplayed:\n{played}");
}

impl Play {
    fn command(&mut self, command: &str, out: &mut String) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let appended = self.log.records.len();
        let (answer, markers) = self.run(&words);
        for record in &self.log.records[appended..] {
            let Some(value) = &record.value else {
                writeln!(out, "record {} forgotten", record.id).unwrap();
                continue;
            };
            let Producer { id, epoch } = value.producer;
            let start = value.start.map_or(-1, |at| at.0);
            writeln!(
                out,
                "record {} {} {id}/{epoch} timeout {} start {start} [{}]",
                record.id,
                value.state.name(),
                value.timeout_ms,
                names(&value.partitions)
            )
            .unwrap();
        }
        for markers in markers {
            let Producer { id, epoch } = markers.marker.producer;
            writeln!(
                out,
                "markers {} {} {:?} {id}/{epoch} by {} [{}]",
                markers.ending,
                markers.transactional_id,
                markers.marker.end,
                markers.marker.coordinator_epoch,
                names(&markers.partitions)
            )
            .unwrap();
        }
        match answer {
            Ok(text) if text.is_empty() => {}
            Ok(text) => writeln!(out, "{text}").unwrap(),
            Err(error) => writeln!(out, "{error:?}").unwrap(),
        }
    }

    fn run(&mut self, words: &[&str]) -> (Result<String, TransactionError>, Vec<Markers>) {
        let mut markers = Vec::new();
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            log: &mut self.log,
            markers: &mut markers,
        };
        let id = || TransactionalId::from(words[1].trim_matches('"'));
        let producer = |word: &str| {
            let (id, epoch) = word.split_once('/').unwrap();
            Producer { id: id.parse().unwrap(), epoch: epoch.parse().unwrap() }
        };
        let partitions = |from: usize| words[from..].iter().map(|word| partition(word)).collect();
        let answer = match words[0] {
            "init" => {
                let mut request = InitProducerId { timeout_ms: 60_000, expected: None };
                for option in &words[2..] {
                    match option.split_once('=').unwrap() {
                        ("timeout", value) => request.timeout_ms = value.parse().unwrap(),
                        ("expected", value) => request.expected = Some(producer(value)),
                        _ => panic!("{option}"),
                    }
                }
                let init = self.shard.init_producer_id(&id(), request, &mut None, &mut cx);
                let init = match init {
                    Ok(Initialised::NeedsProducerId) => {
                        self.fresh += 1;
                        let mut fresh = Some(self.fresh);
                        self.shard.init_producer_id(&id(), request, &mut fresh, &mut cx)
                    }
                    done => done,
                };
                init.map(|done| match done {
                    Initialised::Producer(Producer { id, epoch }) => {
                        format!("producer {id}/{epoch}")
                    }
                    Initialised::NeedsProducerId => "needs an id".into(),
                })
            }
            "add" => {
                let partitions: Vec<_> = partitions(3);
                let added =
                    self.shard.add_partitions(&id(), producer(words[2]), &partitions, &mut cx);
                added.map(|()| "ok".into())
            }
            "verify" => {
                let partitions: Vec<_> = partitions(3);
                let verified = self.shard.verify_partitions(&id(), producer(words[2]), &partitions);
                verified.map(|each| format!("{each:?}"))
            }
            "commit" | "abort" => {
                let end = if words[0] == "commit" { End::Commit } else { End::Abort };
                self.shard.end(&id(), producer(words[2]), end, &mut cx).map(|()| "ok".into())
            }
            "marked" => {
                let partitions: Vec<_> = partitions(3);
                self.shard.marked(&id(), words[2].parse().unwrap(), &partitions, &mut cx);
                Ok(String::new())
            }
            "wait" => {
                cx.now = Millis(cx.now.0 + words[1].parse::<i64>().unwrap());
                self.shard.tick(&mut cx);
                self.now = cx.now;
                Ok(String::new())
            }
            "deadline" => Ok(format!("in {}", self.shard.next_deadline().0 - self.now.0)),
            "stored" => {
                let state = TransactionState::from_name(words[2]).unwrap();
                let value = TransactionValue {
                    producer: producer(words[3]),
                    timeout_ms: 60_000,
                    state,
                    partitions: words[4..].iter().map(|word| partition(word)).collect(),
                    last_update: cx.now,
                    start: (state != TransactionState::Empty).then_some(cx.now),
                };
                self.log.records.push(Record { id: id(), value: Some(value) });
                Ok(String::new())
            }
            "refuse" => {
                self.log.refuses = match words[1] {
                    "nothing" => None,
                    "replicas" => Some(AppendError::NotEnoughReplicas),
                    "size" => Some(AppendError::TooLarge),
                    _ => Some(AppendError::NotLeader),
                };
                Ok(String::new())
            }
            "epoch" => {
                let epoch = words[1].parse().unwrap();
                self.shard = Shard::new(epoch, self.now, &self.config);
                // As it is read: through bytes.
                for record in &self.log.records {
                    let (key, value) = (record.key().unwrap(), record.value().unwrap());
                    let read = Record::decode(&key, value.as_deref()).unwrap().unwrap();
                    assert_eq!(read, *record);
                    self.shard.load(read);
                }
                let (now, config, log) = (self.now, &self.config, &mut self.log);
                let mut cx = Context { now, config, log, markers: &mut markers };
                self.shard.on_loaded(&mut cx);
                Ok(String::new())
            }
            "describe" => self.shard.describe(words[1]).map(|found| {
                let Producer { id, epoch } = found.producer;
                format!("{} {id}/{epoch} [{}]", found.state.name(), names(&found.partitions))
            }),
            "list" => {
                let mut filter = ListFilter::default();
                let mut unknown = Vec::new();
                for option in &words[1..] {
                    match option.split_once('=').unwrap() {
                        ("state", name) => unknown.extend(filter.set_states([name])),
                        ("producer", id) => {
                            filter.producer_ids.insert(id.parse().unwrap());
                        }
                        ("older", ms) => filter.older_than_ms = Some(ms.parse().unwrap()),
                        _ => panic!("{option}"),
                    }
                }
                let listed = self.shard.list(&filter, self.now);
                let mut lines: Vec<String> = listed
                    .map(|it| format!("{} {} {}", it.id, it.producer_id, it.state.name()))
                    .collect();
                lines.extend(unknown.iter().map(|name| format!("unknown state {name}")));
                Ok(lines.join("\n"))
            }
            word => panic!("{word}"),
        };
        (answer, markers)
    }
}

/// What a machine that reads the log again has.
pub fn reread(records: &[Record], epoch: i32, now: Millis, config: &TransactionConfig) -> Shard {
    let mut shard = Shard::new(epoch, now, config);
    for record in records {
        shard.load(record.clone());
    }
    shard
}

/// An id that tests share.
pub fn id_of(number: u64) -> TransactionalId {
    Arc::from(format!("t{number}"))
}
