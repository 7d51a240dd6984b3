//! CreatePartitions.

use std::time::Duration;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_partitions_request::CreatePartitionsTopic;
use polyport_kafka_codec::messages::create_partitions_response::CreatePartitionsTopicResult;
use polyport_kafka_codec::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use tokio::time::{Instant, timeout_at};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let wait = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let deadline = Instant::now() + wait;
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        results.push(one(call, topic, request.validate_only, deadline).await);
    }
    CreatePartitionsResponse { results, ..Default::default() }
}

async fn one(
    call: &Call,
    topic: CreatePartitionsTopic,
    validate_only: bool,
    deadline: Instant,
) -> CreatePartitionsTopicResult {
    let broker = &call.broker;
    let name = topic.name;
    if let Err(code) = call.topic(Operation::Alter, &name) {
        let error_message = Some("The topic authorization is failed.".to_owned());
        return CreatePartitionsTopicResult { name, error_code: code.code(), error_message };
    }
    let replicas = topic.assignments.map(|assignments| {
        assignments.into_iter().map(|assignment| assignment.broker_ids).collect::<Vec<_>>()
    });
    let grown =
        broker.topics.create_partitions(&name, topic.count, replicas.as_deref(), validate_only);
    let (code, text) = match grown.await {
        Err(error) => (error.code(), Some(error.to_string())),
        Ok(_) if validate_only => (ErrorCode::None, None),
        Ok(zxid) => {
            let led = async {
                broker.images.at(zxid).await;
                broker.served(&name).await;
            };
            match timeout_at(deadline, led).await {
                Ok(()) => (ErrorCode::None, None),
                Err(_) => (ErrorCode::RequestTimedOut, None),
            }
        }
    };
    CreatePartitionsTopicResult { name, error_code: code.code(), error_message: text }
}
