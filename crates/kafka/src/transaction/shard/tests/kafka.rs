//! The machine answers as a real Kafka did: plays `compare/transactions.txt`.

use std::time::Duration;

use polyport_base::Millis;

use super::super::super::config::TransactionConfig;
use super::super::super::error::TransactionError;
use super::super::super::machine::{Context, End, Markers, Producer, TransactionalId};
use super::super::{InitProducerId, Initialised, ListFilter, Shard};
use super::transcript::{MemoryLog, names, partition};

const KAFKA: &str = include_str!("../../../../compare/transactions.txt");

fn code(error: TransactionError) -> i16 {
    match error {
        TransactionError::UnknownServerError => -1,
        TransactionError::CoordinatorLoadInProgress => 14,
        TransactionError::CoordinatorNotAvailable => 15,
        TransactionError::NotCoordinator => 16,
        TransactionError::InvalidRequest => 42,
        TransactionError::InvalidProducerEpoch => 47,
        TransactionError::InvalidTxnState => 48,
        TransactionError::InvalidProducerIdMapping => 49,
        TransactionError::InvalidTransactionTimeout => 50,
        TransactionError::ConcurrentTransactions => 51,
        TransactionError::ProducerFenced => 90,
        TransactionError::TransactionalIdNotFound => 105,
        TransactionError::TransactionAbortable => 120,
    }
}

struct Broker {
    shard: Shard,
    log: MemoryLog,
    now: Millis,
    config: TransactionConfig,
    fresh: i64,
    markers: Vec<Markers>,
}

#[test]
fn requests_are_answered_as_a_real_kafka_answers_them() {
    let config = TransactionConfig {
        id_expiration: Duration::from_secs(1_000_000),
        ..TransactionConfig::default()
    };
    let now = Millis(1_700_000_000_000);
    let shard = Shard::new(0, now, &config);
    let mut broker =
        Broker { shard, log: MemoryLog::default(), now, config, fresh: 0, markers: Vec::new() };
    let mut lines = KAFKA.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut played = 0;
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("> ").unwrap();
        let expected = lines.next().unwrap();
        if let Some(answer) = broker.play(command) {
            assert_eq!(answer, expected, "{command}");
            played += 1;
        }
    }
    assert!(played > 70, "{played}");
}

fn producer(word: &str) -> (i64, i16) {
    let (id, epoch) = word.split_once('/').unwrap();
    let id = match id.strip_prefix('#') {
        // Numbers are given in the order in which a fresh broker gives ids.
        Some(number) => number.parse().unwrap(),
        None => id.parse().unwrap(),
    };
    (id, epoch.parse().unwrap())
}

fn named(Producer { id, epoch }: Producer) -> String {
    format!("#{id}/{epoch}")
}

impl Broker {
    /// What it answers; `None` if that is not the machine's to say.
    fn play(&mut self, command: &str) -> Option<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let option =
            |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let version = option("version").map_or(i16::MAX, |version| version.parse().unwrap());
        let id = TransactionalId::from(words.get(1)?.trim_matches('"'));
        let of = |word: &str| {
            let (id, epoch) = producer(word);
            Producer { id, epoch }
        };
        let before_fenced = if words[0] == "init" { 4 } else { 2 };
        let coded = |error: TransactionError| match version < before_fenced {
            true => code(error.before_producer_fenced()),
            false => code(error),
        };
        Some(match words[0] {
            "init" if &*id == "-" => {
                self.fresh += 1;
                format!("0 #{}/0", self.fresh - 1)
            }
            "init" => match self.init(&id, option("timeout"), option("expected")) {
                Ok(producer) => format!("0 {}", named(producer)),
                Err(error) => format!("{} -1/-1", coded(error)),
            },
            "add" | "verify" => {
                let partitions: Vec<_> =
                    words[3..].iter().filter(|word| !word.contains('=')).collect();
                if partitions.iter().any(|name| name.starts_with('y')) {
                    return None;
                }
                let named: Vec<_> = partitions.iter().map(|name| partition(name)).collect();
                let each = match words[0] {
                    "verify" => self.shard.verify_partitions(&id, of(words[2]), &named),
                    _ => self
                        .run(|shard, cx| shard.add_partitions(&id, of(words[2]), &named, cx))
                        .map(|()| vec![Ok(()); named.len()]),
                };
                let each = each.unwrap_or_else(|error| vec![Err(error); named.len()]);
                let answers = partitions
                    .iter()
                    .zip(each)
                    .map(|(name, one)| format!("{name}: {}", one.map_or_else(coded, |()| 0)));
                format!("0 {}", answers.collect::<Vec<_>>().join(" "))
            }
            "offsets" => {
                let group = [partition("__consumer_offsets-0")];
                let added =
                    self.run(|shard, cx| shard.add_partitions(&id, of(words[2]), &group, cx));
                added.map_or_else(coded, |()| 0).to_string()
            }
            "commit" | "abort" => {
                let end = if words[0] == "commit" { End::Commit } else { End::Abort };
                let ended = self.run(|shard, cx| shard.end(&id, of(words[2]), end, cx));
                ended.map_or_else(coded, |()| 0).to_string()
            }
            "describe" => self.describe(&id),
            "until" => {
                while !self.describe(&id).starts_with(words[2]) {
                    self.now.0 += 1_000;
                    self.run(|shard, cx| shard.tick(cx));
                    for markers in std::mem::take(&mut self.markers) {
                        let Markers { transactional_id, ending, partitions, .. } = markers;
                        self.run(|shard, cx| {
                            shard.marked(&transactional_id, ending, &partitions, cx);
                        });
                    }
                }
                self.describe(&id)
            }
            "list" => {
                let mut filter = ListFilter {
                    older_than_ms: option("older").map(|ms| ms.parse().unwrap()),
                    ..ListFilter::default()
                };
                let states = words.iter().filter_map(|word| word.strip_prefix("state="));
                let unknown = filter.set_states(states).join(" ");
                let producers = words.iter().filter_map(|word| word.strip_prefix("producer="));
                filter.producer_ids = producers.map(|word| producer(word).0).collect();
                let listed: Vec<_> = self
                    .shard
                    .list(&filter, self.now)
                    .map(|it| format!("{} #{} {}", it.id, it.producer_id, it.state.name()))
                    .collect();
                format!("0 [{}] unknown [{unknown}]", listed.join(", "))
            }
            _ => return None,
        })
    }

    fn run<T>(&mut self, work: impl FnOnce(&mut Shard, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            log: &mut self.log,
            markers: &mut self.markers,
        };
        work(&mut self.shard, &mut cx)
    }

    fn init(
        &mut self,
        id: &TransactionalId,
        timeout_ms: Option<&str>,
        expected: Option<&str>,
    ) -> Result<Producer, TransactionError> {
        let (expected, epoch) = expected.map_or((-1, -1), producer);
        let expected = InitProducerId::expected(expected, epoch)?;
        let timeout_ms = timeout_ms.map_or(60_000, |ms| ms.parse().unwrap());
        let request = InitProducerId { timeout_ms, expected };
        let mut fresh = None;
        loop {
            match self.run(|shard, cx| shard.init_producer_id(id, request, &mut fresh, cx))? {
                Initialised::Producer(producer) => return Ok(producer),
                Initialised::NeedsProducerId => {
                    fresh = Some(self.fresh);
                    self.fresh += 1;
                }
            }
        }
    }

    fn describe(&self, id: &str) -> String {
        match self.shard.describe(id) {
            Err(error) => code(error).to_string(),
            Ok(found) => format!(
                "{} {} timeout {} {} [{}]",
                found.state.name(),
                named(found.producer),
                found.timeout_ms,
                if found.start.is_some() { "started" } else { "not started" },
                names(&found.partitions)
            ),
        }
    }
}
