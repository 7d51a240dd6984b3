//! DescribeGroups.

use polyport_kafka_codec::messages::describe_groups_response::{
    DescribedGroup, DescribedGroupMember,
};
use polyport_kafka_codec::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::group::classic::MemberDescription;
use crate::security::acl::{Operation, ResourceKind};
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        if let Err(code) = call.group(Operation::Describe, &group_id) {
            let error_code = code.code();
            groups.push(DescribedGroup { group_id, error_code, ..Default::default() });
            continue;
        }
        let authorized_operations = match request.include_authorized_operations {
            true => call.operations(ResourceKind::Group, &group_id),
            false => i32::MIN,
        };
        groups.push(match call.broker.groups.describe(&group_id).await {
            Ok(found) => DescribedGroup {
                group_id,
                group_state: found.state,
                protocol_type: found.protocol_type,
                protocol_data: found.protocol,
                members: found.members.into_iter().map(|m| member(call, m)).collect(),
                authorized_operations,
                ..Default::default()
            },
            Err(error) => {
                let error_code = error.code().code();
                DescribedGroup { group_id, error_code, ..Default::default() }
            }
        });
    }
    DescribeGroupsResponse { groups, ..Default::default() }
}

fn member(call: &Call, member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id.filter(|_| call.version() >= 4),
        client_id: member.client_id,
        client_host: member.client_host,
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}
