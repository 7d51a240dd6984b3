//! AlterPartitionReassignments.

use std::collections::BTreeMap;
use std::time::Duration;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::alter_partition_reassignments_request::ReassignableTopic;
use polyport_kafka_codec::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use polyport_kafka_codec::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use tokio::time::{Instant, timeout_at};

use crate::metadata::topics::{Moves, TopicError};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    if let Err(code) = call.cluster(Operation::Alter) {
        return AlterPartitionReassignmentsResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        };
    }
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        responses.push(one(call, topic, deadline).await);
    }
    AlterPartitionReassignmentsResponse { error_message: None, responses, ..Default::default() }
}

async fn one(
    call: &Call,
    topic: ReassignableTopic,
    deadline: Instant,
) -> ReassignableTopicResponse {
    let ReassignableTopic { name, partitions } = topic;
    let moves: Moves = partitions.into_iter().map(|it| (it.partition_index, it.replicas)).collect();
    let all = |code: ErrorCode, text: String| -> BTreeMap<i32, (ErrorCode, Option<String>)> {
        moves.keys().map(|number| (*number, (code, Some(text.clone())))).collect()
    };
    let outcomes = match timeout_at(deadline, call.broker.topics.reassign(&name, &moves)).await {
        Ok(Ok(results)) => results.into_iter().map(|(number, it)| (number, outcome(it))).collect(),
        Ok(Err(error)) => all(error.code(), error.to_string()),
        Err(_) => {
            let code = ErrorCode::RequestTimedOut;
            all(code, code.message().to_owned())
        }
    };
    let partition = |(partition_index, (code, error_message)): (i32, (ErrorCode, _))| {
        let error_code = code.code();
        ReassignablePartitionResponse { partition_index, error_code, error_message }
    };
    ReassignableTopicResponse { name, partitions: outcomes.into_iter().map(partition).collect() }
}

fn outcome(result: Result<(), TopicError>) -> (ErrorCode, Option<String>) {
    match result {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => (error.code(), Some(error.to_string())),
    }
}
