//! ListGroups.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::list_groups_response::ListedGroup;
use polyport_kafka_codec::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::group::shard::GroupKind;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let mut kinds = Vec::with_capacity(request.types_filter.len());
    for named in &request.types_filter {
        let all = [GroupKind::Classic, GroupKind::Consumer].into_iter();
        match all.clone().find(|kind| kind.name().eq_ignore_ascii_case(named)) {
            Some(kind) => kinds.push(kind),
            None => {
                let error_code = ErrorCode::InvalidRequest.code();
                return ListGroupsResponse { error_code, ..Default::default() };
            }
        }
    }
    let (outcome, groups) = call.broker.groups.list(&request.states_filter, &kinds);
    let version = call.version();
    let all = call.may_cluster(Operation::Describe);
    let shown = groups.into_iter();
    let shown = shown.filter(|of| all || call.group(Operation::Describe, &of.group).is_ok());
    let listed = shown.map(|group| ListedGroup {
        group_id: group.group.to_string(),
        protocol_type: group.protocol_type,
        group_state: if version >= 4 { group.state.to_owned() } else { String::new() },
        group_type: if version >= 5 { group.kind.name().to_owned() } else { String::new() },
    });
    ListGroupsResponse {
        error_code: code_of(&outcome),
        groups: listed.collect(),
        ..Default::default()
    }
}
