//! JoinGroup.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::join_group_response::JoinGroupResponseMember;
use polyport_kafka_codec::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::group::classic::{JoinGroup, Joined, JoinedMember, Protocol};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request, when the group has been joined.
pub(in crate::server) async fn handle(call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = call.version();
    if let Err(code) = call.group(Operation::Read, &request.group_id) {
        return failed(code, String::new(), version);
    }
    // Version 0 has one timeout for both.
    let rebalance_timeout_ms = match version {
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms,
    };
    let require_member_id = version >= 4 && request.group_instance_id.is_none();
    let protocols = request.protocols.into_iter();
    let join = JoinGroup {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        require_member_id,
        can_skip_assignment: version >= 9,
        client_id: call.header.client_id.clone().unwrap_or_default(),
        client_host: format!("/{}", call.client.address.ip()),
        rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        protocol_type: request.protocol_type,
        protocols: protocols.map(|p| Protocol { name: p.name, metadata: p.metadata }).collect(),
    };
    match call.broker.groups.join(&request.group_id, join).await {
        Ok(joined) => response(joined, version),
        Err(refused) => failed(refused.error.code(), refused.member_id, version),
    }
}

fn failed(code: ErrorCode, member_id: String, version: i16) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        generation_id: -1,
        // Versions before 7 cannot say that there is none.
        protocol_name: (version < 7).then(String::new),
        member_id,
        ..Default::default()
    }
}

fn response(joined: Joined, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| JoinGroupResponseMember {
        member_id: member.member_id,
        group_instance_id: member.instance_id.filter(|_| version >= 5),
        metadata: member.metadata,
    };
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type,
        protocol_name: joined.protocol.or_else(|| (version < 7).then(String::new)),
        leader: joined.leader,
        skip_assignment: joined.skip_assignment && version >= 9,
        member_id: joined.member_id,
        members: joined.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}
