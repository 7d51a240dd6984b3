//! SyncGroup.

use polyport_kafka_codec::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::group::classic::SyncGroup;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request, when the leader has brought the assignment.
pub(in crate::server) async fn handle(call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    if let Err(code) = call.group(Operation::Read, &request.group_id) {
        return SyncGroupResponse { error_code: code.code(), ..Default::default() };
    }
    let assignments = request.assignments.into_iter();
    let sync = SyncGroup {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: assignments.map(|given| (given.member_id, given.assignment)).collect(),
    };
    match call.broker.groups.sync(&request.group_id, sync).await {
        Ok(synced) => SyncGroupResponse {
            protocol_type: synced.protocol_type,
            protocol_name: synced.protocol,
            assignment: synced.assignment,
            ..Default::default()
        },
        Err(error) => SyncGroupResponse { error_code: error.code().code(), ..Default::default() },
    }
}
