//! Plays a transcript of transactions' requests against a broker, a real Kafka or this one, and prints
//! what it answered: `transactions ADDRESS <transcript`. Producer ids become numbers by the order in
//! which they are met. See `compare/transactions.sh`.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use polyport_kafka_codec::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use polyport_kafka_codec::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, CreateTopicsRequest, CreateTopicsResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse, create_topics_request,
};
use polyport_kafka_codec::{Message, Reader, Request, frame, header};

/// How long a broker may take to be ready, or to carry something out.
const PATIENCE: Duration = Duration::from_secs(60);

struct Play {
    connection: TcpStream,
    arrived: BytesMut,
    /// Producer ids by the numbers that they have here.
    ids: Vec<i64>,
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("the broker's address is missing")?;
    let connection = TcpStream::connect(&address).context(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut play = Play { connection, arrived: BytesMut::new(), ids: Vec::new() };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.starts_with('#') || line.is_empty() {
            println!("{line}");
        } else if let Some(command) = line.strip_prefix("> ") {
            println!("{line}\n{}", play.play(command).context(line.clone())?);
        }
    }
    Ok(())
}

/// A word of a command that begins with this and an equals sign.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn version(words: &[&str], newest: i16) -> Result<i16> {
    Ok(option(words, "version").map(str::parse).transpose()?.unwrap_or(newest))
}

impl Play {
    fn ask<Q: Request, A: Message>(&mut self, request: &Q, version: i16) -> Result<A> {
        let mut out = Vec::new();
        frame::encode_request(&mut out, request, version, 7, Some("transactions"))?;
        self.connection.write_all(&out)?;
        loop {
            if let Some(whole) = frame::split(&mut self.arrived, 1 << 20)? {
                let mut reader = Reader::new(whole);
                header::decode_response(&mut reader, Q::API, version)?;
                return Ok(A::decode(&mut reader, version)?);
            }
            let mut more = [0; 4096];
            let count = self.connection.read(&mut more)?;
            ensure!(count > 0, "the broker has closed the connection");
            self.arrived.extend_from_slice(&more[..count]);
        }
    }

    /// Asks until the answer is none of these errors.
    fn patiently<T>(&mut self, mut ask: impl FnMut(&mut Self) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            ensure!(Instant::now() < deadline, "it does not come to it");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn named(&mut self, id: i64, epoch: i16) -> String {
        if id < 0 {
            return format!("{id}/{epoch}");
        }
        let known = self.ids.iter().position(|known| *known == id);
        let number = known.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        });
        format!("#{number}/{epoch}")
    }

    /// A producer as it is named here; numbers that were not met are ids that nobody has.
    fn producer(&self, name: &str) -> Result<(i64, i16)> {
        let (id, epoch) = name.split_once('/').context("a producer is id/epoch")?;
        let id = match id.strip_prefix('#') {
            Some(number) => {
                let number: usize = number.parse()?;
                self.ids.get(number).copied().unwrap_or(1 << 40 | number as i64)
            }
            None => id.parse()?,
        };
        Ok((id, epoch.parse()?))
    }

    fn play(&mut self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let id = words.get(1).map_or_else(String::new, |word| word.trim_matches('"').to_owned());
        match words[0] {
            "topic" => self.topic(&id),
            "ready" => self.ready(&id),
            "init" => self.init(Some(id).filter(|id| id != "-"), &words),
            "add" | "verify" => self.add(&id, &words),
            "offsets" => {
                let (producer_id, producer_epoch) = self.producer(words[2])?;
                let group_id = words[3].to_owned();
                let request = AddOffsetsToTxnRequest {
                    transactional_id: id,
                    producer_id,
                    producer_epoch,
                    group_id,
                };
                let answer: AddOffsetsToTxnResponse = self.ask(&request, version(&words, 3)?)?;
                Ok(answer.error_code.to_string())
            }
            end @ ("commit" | "abort") => {
                let (producer_id, producer_epoch) = self.producer(words[2])?;
                let committed = end == "commit";
                let request =
                    EndTxnRequest { transactional_id: id, producer_id, producer_epoch, committed };
                let answer: EndTxnResponse = self.ask(&request, version(&words, 3)?)?;
                Ok(answer.error_code.to_string())
            }
            "describe" => self.describe(&id),
            "until" => {
                let state = words[2].to_owned();
                self.patiently(|play| {
                    let described = play.describe(&id)?;
                    Ok(described.starts_with(&state).then_some(described))
                })
            }
            "list" => self.list(&words),
            word => bail!("no such command: {word}"),
        }
    }

    fn topic(&mut self, name: &str) -> Result<String> {
        let topic = create_topics_request::CreatableTopic {
            name: name.to_owned(),
            num_partitions: 3,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let answer: CreateTopicsResponse = self.ask(&request, 5)?;
        Ok(answer.topics.iter().map(|topic| topic.error_code.to_string()).collect())
    }

    /// Waits until an id has a coordinator, which may have to make its topic first.
    fn ready(&mut self, id: &str) -> Result<String> {
        let find = FindCoordinatorRequest { key: id.into(), key_type: 1, ..Default::default() };
        self.patiently(|play| {
            let found: FindCoordinatorResponse = play.ask(&find, 3)?;
            Ok((found.error_code == 0).then(|| "0".to_owned()))
        })
    }

    fn init(&mut self, transactional_id: Option<String>, words: &[&str]) -> Result<String> {
        let timeout = option(words, "timeout").map(str::parse).transpose()?;
        let expected = option(words, "expected").map(|name| self.producer(name)).transpose()?;
        let (producer_id, producer_epoch) = expected.unwrap_or((-1, -1));
        let request = InitProducerIdRequest {
            transactional_id,
            transaction_timeout_ms: timeout.unwrap_or(60_000),
            producer_id,
            producer_epoch,
        };
        let version = version(words, 5)?;
        // While the topic or its partition is being made ready.
        let answer: InitProducerIdResponse = self.patiently(|play| {
            let answer: InitProducerIdResponse = play.ask(&request, version)?;
            Ok((!matches!(answer.error_code, 14..=16)).then_some(answer))
        })?;
        let producer = self.named(answer.producer_id, answer.producer_epoch);
        Ok(format!("{} {producer}", answer.error_code))
    }

    fn add(&mut self, id: &str, words: &[&str]) -> Result<String> {
        let (producer_id, producer_epoch) = self.producer(words[2])?;
        let verify_only = words[0] == "verify";
        let version = version(words, if verify_only { 4 } else { 3 })?;
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        for word in words[3..].iter().filter(|word| !word.contains('=')) {
            let (name, partition) = word.rsplit_once('-').context("a partition is topic-0")?;
            let partition = partition.parse()?;
            match topics.iter_mut().find(|topic| topic.name == name) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(AddPartitionsToTxnTopic {
                    name: name.to_owned(),
                    partitions: vec![partition],
                }),
            }
        }
        let transactional_id = id.to_owned();
        let request = match version {
            0..=3 => AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: transactional_id,
                v3_and_below_producer_id: producer_id,
                v3_and_below_producer_epoch: producer_epoch,
                v3_and_below_topics: topics,
                ..Default::default()
            },
            _ => AddPartitionsToTxnRequest {
                transactions: vec![AddPartitionsToTxnTransaction {
                    transactional_id,
                    producer_id,
                    producer_epoch,
                    verify_only,
                    topics,
                }],
                ..Default::default()
            },
        };
        let answer: AddPartitionsToTxnResponse = self.ask(&request, version)?;
        let batched = answer.results_by_transaction.iter().flat_map(|it| &it.topic_results);
        let mut results = Vec::new();
        for topic in answer.results_by_topic_v3_and_below.iter().chain(batched) {
            for of in &topic.results_by_partition {
                let (name, code) = (&topic.name, of.partition_error_code);
                results.push(format!("{name}-{}: {code}", of.partition_index));
            }
        }
        results.sort();
        Ok(format!("{} {}", answer.error_code, results.join(" ")))
    }

    fn describe(&mut self, id: &str) -> Result<String> {
        let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
        let answer: DescribeTransactionsResponse = self.ask(&request, 0)?;
        let state = answer.transaction_states.first().context("nothing is described")?;
        if state.error_code != 0 {
            return Ok(state.error_code.to_string());
        }
        let producer = self.named(state.producer_id, state.producer_epoch);
        let mut partitions = Vec::new();
        for topic in &state.topics {
            partitions.extend(topic.partitions.iter().map(|at| format!("{}-{at}", topic.topic)));
        }
        partitions.sort();
        let (name, timeout) = (&state.transaction_state, state.transaction_timeout_ms);
        let started = if state.transaction_start_time_ms >= 0 { "started" } else { "not started" };
        Ok(format!("{name} {producer} timeout {timeout} {started} [{}]", partitions.join(" ")))
    }

    fn list(&mut self, words: &[&str]) -> Result<String> {
        let states = words.iter().filter_map(|word| word.strip_prefix("state="));
        let producers = words.iter().filter_map(|word| word.strip_prefix("producer="));
        let producers = producers.map(|name| self.producer(name).map(|(id, _)| id));
        let request = ListTransactionsRequest {
            state_filters: states.map(str::to_owned).collect(),
            producer_id_filters: producers.collect::<Result<_>>()?,
            duration_filter: option(words, "older").map(str::parse).transpose()?.unwrap_or(-1),
        };
        let answer: ListTransactionsResponse = self.ask(&request, 1)?;
        let mut listed = Vec::new();
        for state in &answer.transaction_states {
            let producer = self.named(state.producer_id, 0);
            let producer = producer.trim_end_matches("/0");
            listed
                .push(format!("{} {producer} {}", state.transactional_id, state.transaction_state));
        }
        listed.sort();
        let unknown = answer.unknown_state_filters.join(" ");
        Ok(format!("{} [{}] unknown [{unknown}]", answer.error_code, listed.join(", ")))
    }
}
