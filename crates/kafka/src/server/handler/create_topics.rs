//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polyport_kafka_codec::messages::create_topics_request::CreatableTopic;
use polyport_kafka_codec::messages::create_topics_response::CreatableTopicResult;
use polyport_kafka_codec::messages::{CreateTopicsRequest, CreateTopicsResponse};
use polyport_kafka_codec::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use crate::metadata::topics::{Created, Layout, NewTopic, TopicError};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// The first version that says what the topic became.
const FIRST_VERSION_OF_DETAILS: i16 = 5;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let wait = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let deadline = Instant::now() + wait;
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> = request
        .topics
        .iter()
        .filter(|topic| !seen.insert(&topic.name))
        .map(|topic| topic.name.clone())
        .collect();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut told = BTreeSet::new();
    for topic in request.topics {
        let name = topic.name.clone();
        if twice.contains(&name) {
            if told.insert(name.clone()) {
                let text = "Duplicate topic name.".to_owned();
                topics.push((name, Err((ErrorCode::InvalidRequest, Some(text)))));
            }
            continue;
        }
        let outcome = one(call, topic, request.validate_only).await;
        topics.push((name, outcome));
    }
    // All are made before any is waited for, so that this node makes their files together.
    let mut results = Vec::with_capacity(topics.len());
    for (name, outcome) in topics {
        let served = async {
            let created = outcome?;
            if !request.validate_only {
                let served = served(call, &name, created.zxid);
                let late = |_| (ErrorCode::RequestTimedOut, None);
                timeout_at(deadline, served).await.map_err(late)?;
            }
            Ok(created)
        };
        results.push(match served.await {
            Ok(created) => succeeded(call, name, &created),
            Err((code, text)) => failed(name, code, text),
        });
    }
    CreateTopicsResponse { topics: results, ..Default::default() }
}

/// Returns when a topic that was made answers, as far as this node leads it.
async fn served(call: &Call, topic: &str, zxid: i64) {
    call.broker.images.at(zxid).await;
    call.broker.served(topic).await;
}

/// Why a topic was not made, and what the client is told of it.
type Failure = (ErrorCode, Option<String>);

async fn one(call: &Call, topic: CreatableTopic, validate_only: bool) -> Result<Created, Failure> {
    let broker = &call.broker;
    if !call.may_cluster(Operation::Create) {
        let may = call.topic(Operation::Create, &topic.name);
        may.map_err(|code| (code, Some("Authorization failed.".to_owned())))?;
    }
    let new = wanted(topic).map_err(|text| (ErrorCode::InvalidRequest, Some(text)))?;
    let refused = |error: TopicError| (error.code(), Some(error.to_string()));
    broker.topics.create(&new, validate_only).await.map_err(refused)
}

fn wanted(topic: CreatableTopic) -> Result<NewTopic, String> {
    let mut configs = BTreeMap::new();
    for config in topic.configs {
        let value = config.value;
        let value = value.ok_or_else(|| {
            format!("Null value not supported for topic configs: {}", config.name)
        })?;
        configs.insert(config.name, value);
    }
    let layout = match topic.assignments.is_empty() {
        true => Layout::Counted {
            partitions: (topic.num_partitions != -1).then_some(topic.num_partitions),
            replication_factor: (topic.replication_factor != -1)
                .then_some(topic.replication_factor),
        },
        false if topic.num_partitions != -1 || topic.replication_factor != -1 => {
            return Err(
                "Both numPartitions or replicationFactor and replicasAssignments were set. \
                        Both cannot be used at the same time."
                    .to_owned(),
            );
        }
        false => {
            let mut assigned = BTreeMap::new();
            for assignment in topic.assignments {
                let number = assignment.partition_index;
                if assigned.insert(number, assignment.broker_ids).is_some() {
                    return Err(format!("Partition {number} is assigned twice."));
                }
            }
            Layout::Assigned(assigned)
        }
    };
    Ok(NewTopic { name: topic.name, layout, configs })
}

fn succeeded(call: &Call, name: String, created: &Created) -> CreatableTopicResult {
    let mut result = CreatableTopicResult {
        topic_id: Uuid(created.id.0),
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        ..Default::default()
    };
    if let Err(code) = call.topic(Operation::DescribeConfigs, &name) {
        result = failed(name.clone(), ErrorCode::None, None);
        result.topic_id = Uuid(created.id.0);
        result.error_message = None;
        result.topic_config_error_code = code.code();
    } else if call.version() >= FIRST_VERSION_OF_DETAILS {
        result.configs = Some(super::describe_configs::of_created(call, &name));
    }
    CreatableTopicResult { name, ..result }
}

fn failed(name: String, code: ErrorCode, text: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: code.code(),
        error_message: text.or_else(|| Some(code.message().to_owned())),
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
