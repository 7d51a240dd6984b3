//! ConsumerGroupDescribe (KIP-848).

use polyport_kafka_codec::Uuid;
use polyport_kafka_codec::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use polyport_kafka_codec::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use crate::group::consumer::{ConsumerMemberDescription, NamedPartitions};
use crate::security::acl::{Operation, ResourceKind};
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// A member of this protocol, as opposed to one of the classic protocol in the same group.
const CONSUMER: i8 = 1;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        if let Err(code) = call.group(Operation::Describe, &group_id) {
            let error_code = code.code();
            groups.push(DescribedGroup { group_id, error_code, ..Default::default() });
            continue;
        }
        let authorized_operations = match request.include_authorized_operations {
            true => call.operations(ResourceKind::Group, &group_id),
            false => i32::MIN,
        };
        groups.push(match call.broker.groups.describe_consumer(&group_id).await {
            Ok(found) => DescribedGroup {
                group_id,
                group_state: found.state.to_owned(),
                group_epoch: found.epoch,
                assignment_epoch: found.assignment_epoch,
                assignor_name: found.assignor.to_owned(),
                members: found.members.into_iter().map(|m| member(call, m)).collect(),
                authorized_operations,
                ..Default::default()
            },
            Err(error) => DescribedGroup {
                group_id,
                error_code: error.code().code(),
                error_message: Some(error.to_string()),
                ..Default::default()
            },
        });
    }
    ConsumerGroupDescribeResponse { groups, ..Default::default() }
}

fn member(call: &Call, member: ConsumerMemberDescription) -> Member {
    let unknown = Member::default().member_type;
    Member {
        member_id: member.member_id,
        instance_id: member.instance_id,
        rack_id: member.rack_id,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics,
        subscribed_topic_regex: None,
        assignment: assignment(member.assigned),
        target_assignment: assignment(member.target),
        member_type: if call.version() >= 1 { CONSUMER } else { unknown },
    }
}

fn assignment(partitions: Vec<NamedPartitions>) -> Assignment {
    let topic = |of: NamedPartitions| TopicPartitions {
        topic_id: Uuid(of.topic_id.0),
        topic_name: of.topic,
        partitions: of.partitions,
    };
    Assignment { topic_partitions: partitions.into_iter().map(topic).collect() }
}
