//! ConsumerGroupHeartbeat (KIP-848).

use polyport_kafka_codec::Uuid;
use polyport_kafka_codec::messages::consumer_group_heartbeat_response::{
    Assignment, TopicPartitions,
};
use polyport_kafka_codec::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use polyport_log::checkpoint::partition_metadata::TopicId;

use crate::group::consumer::{ConsumerHeartbeat, ConsumerHeartbeatAnswer};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if let Err(code) = call.group(Operation::Read, &request.group_id) {
        return ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() };
    }
    let owned = request.topic_partitions.map(|owned| {
        let topic = |of: polyport_kafka_codec::messages::consumer_group_heartbeat_request::TopicPartitions| {
            (TopicId(of.topic_id.0), of.partitions.into_iter().collect())
        };
        owned.into_iter().map(topic).collect()
    });
    let beat = ConsumerHeartbeat {
        member_id: request.member_id,
        require_member_id: call.version() >= 1,
        member_epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        rebalance_timeout_ms: (request.rebalance_timeout_ms >= 0)
            .then_some(request.rebalance_timeout_ms),
        client_id: call.header.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", call.client.address.ip()),
        topics: request.subscribed_topic_names,
        topic_regex: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
    };
    match call.broker.groups.consumer_heartbeat(&request.group_id, &beat).await {
        Ok(answer) => response(answer),
        Err(error) => ConsumerGroupHeartbeatResponse {
            error_code: error.code().code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        },
    }
}

fn response(answer: ConsumerHeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|partitions| {
        let topic = |(id, partitions): (TopicId, std::collections::BTreeSet<i32>)| {
            TopicPartitions { topic_id: Uuid(id.0), partitions: partitions.into_iter().collect() }
        };
        Assignment { topic_partitions: partitions.into_iter().map(topic).collect() }
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(answer.member_id.to_string()),
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: i32::try_from(answer.heartbeat_interval.as_millis())
            .unwrap_or(i32::MAX),
        assignment,
        ..Default::default()
    }
}
