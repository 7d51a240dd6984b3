//! FindCoordinator: who coordinates a group or a transactional id.

use std::time::Duration;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::find_coordinator_response::Coordinator;
use polyport_kafka_codec::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::internal::partition_of;
use crate::metadata::topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;

/// The first version that asks for several at once.
const FIRST_VERSION_OF_MANY: i16 = 4;

/// How long a topic that was just made may take to be led before the client is told to come back.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let many = call.version() >= FIRST_VERSION_OF_MANY;
    let keys = if many { request.coordinator_keys } else { vec![request.key] };
    let mut coordinators = Vec::with_capacity(keys.len());
    for key in keys {
        coordinators.push(one(call, key, request.key_type).await);
    }
    if many {
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let Some(found) = coordinators.pop() else { return FindCoordinatorResponse::default() };
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

async fn one(call: &Call, key: String, kind: i8) -> Coordinator {
    match find(call, &key, kind).await {
        Ok((node_id, host, port)) => Coordinator { key, node_id, host, port, ..Default::default() },
        Err(code) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        },
    }
}

async fn find(call: &Call, key: &str, kind: i8) -> Result<(i32, String, i32), ErrorCode> {
    let broker = &call.broker;
    let topic = match kind {
        0 => {
            call.group(Operation::Describe, key)?;
            CONSUMER_OFFSETS
        }
        1 => {
            call.transactional_id(Operation::Describe, key)?;
            TRANSACTION_STATE
        }
        _ => return Err(ErrorCode::InvalidRequest),
    };
    // With too few brokers the topic cannot be made yet.
    let made = broker.ensure(topic).await;
    made.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    // Whoever is sent here should find the coordinator at work.
    let _ = tokio::time::timeout(SERVED_WITHIN, broker.served(topic)).await;
    let image = broker.images.current();
    let found = image.topic(topic).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let count = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
    let number = partition_of(key, count);
    let leader = found.partition(number).and_then(|partition| partition.leader());
    let leader = leader.filter(|leader| !broker.gone.contains(*leader));
    let leader = leader.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let node = image.brokers().get(&leader).ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let endpoint = node.endpoint(&call.client.listener);
    let endpoint = endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    Ok((leader, endpoint.host.clone(), i32::from(endpoint.port)))
}
