//! LeaveGroup.

use polyport_kafka_codec::messages::leave_group_response::MemberResponse;
use polyport_kafka_codec::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::group::classic::LeavingMember;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};

/// The first version in which several members leave at once.
const FIRST_VERSION_OF_MANY: i16 = 3;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    if let Err(code) = call.group(Operation::Read, &request.group_id) {
        return LeaveGroupResponse { error_code: code.code(), ..Default::default() };
    }
    let many = call.version() >= FIRST_VERSION_OF_MANY;
    let members: Vec<LeavingMember> = match many {
        true => {
            let members = request.members.into_iter();
            let leaving = members.map(|member| LeavingMember {
                member_id: member.member_id,
                instance_id: member.group_instance_id,
            });
            leaving.collect()
        }
        false => vec![LeavingMember { member_id: request.member_id, instance_id: None }],
    };
    let outcomes = match call.broker.groups.leave(&request.group_id, &members).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            return LeaveGroupResponse { error_code: error.code().code(), ..Default::default() };
        }
    };
    if !many {
        let error_code = outcomes.first().map_or(0, code_of);
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let members = members.into_iter().zip(&outcomes).map(|(member, outcome)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        error_code: code_of(outcome),
    });
    LeaveGroupResponse { members: members.collect(), ..Default::default() }
}
