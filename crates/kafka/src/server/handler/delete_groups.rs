//! DeleteGroups.

use polyport_kafka_codec::messages::delete_groups_response::DeletableGroupResult;
use polyport_kafka_codec::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let error_code = match call.group(Operation::Delete, &group_id) {
            Ok(()) => code_of(&call.broker.groups.delete(&group_id).await),
            Err(code) => code.code(),
        };
        results.push(DeletableGroupResult { group_id, error_code });
    }
    DeleteGroupsResponse { results, ..Default::default() }
}
