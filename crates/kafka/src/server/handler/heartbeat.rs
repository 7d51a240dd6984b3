//! Heartbeat.

use polyport_kafka_codec::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;

/// Answers the request.
pub(in crate::server) async fn handle(call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    if let Err(code) = call.group(Operation::Read, &request.group_id) {
        return HeartbeatResponse { error_code: code.code(), ..Default::default() };
    }
    let groups = &call.broker.groups;
    let instance = request.group_instance_id.as_deref();
    let beat =
        groups.heartbeat(&request.group_id, &request.member_id, instance, request.generation_id);
    HeartbeatResponse { error_code: code_of(&beat.await), ..Default::default() }
}
