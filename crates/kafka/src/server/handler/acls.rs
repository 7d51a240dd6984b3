//! DescribeAcls, CreateAcls and DeleteAcls.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_acls_request::AclCreation;
use polyport_kafka_codec::messages::create_acls_response::AclCreationResult;
use polyport_kafka_codec::messages::delete_acls_request::DeleteAclsFilter;
use polyport_kafka_codec::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use polyport_kafka_codec::messages::describe_acls_response::{
    AclDescription, DescribeAclsResource,
};
use polyport_kafka_codec::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};

use crate::security::Access;
use crate::security::acl::model::NameFilter;
use crate::security::acl::{
    Entry, EntryFilter, Operation, Pattern, PatternFilter, PatternKind, Permission, ResourceKind,
};
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Numbers of any of something, and of patterns that cover a name.
const ANY: i8 = 1;
const MATCH: i8 = 2;

type Refused = (ErrorCode, String);

/// The lists, for those who may do that to the cluster.
fn access<'a>(call: &'a Call, operation: Operation, none: &str) -> Result<&'a Access, Refused> {
    call.cluster(operation).map_err(|code| (code, code.message().to_owned()))?;
    let access = call.broker.access.as_ref();
    access.ok_or_else(|| (ErrorCode::SecurityDisabled, none.to_owned()))
}

/// Answers DescribeAcls.
pub(in crate::server) async fn describe(
    call: &Call,
    request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let failed = |(code, text): Refused| DescribeAclsResponse {
        error_code: code.code(),
        error_message: Some(text),
        ..Default::default()
    };
    let none = "No Authorizer is configured on the broker";
    let access = match access(call, Operation::Describe, none) {
        Ok(access) => access,
        Err(refused) => return failed(refused),
    };
    let filter = DeleteAclsFilter {
        resource_type_filter: request.resource_type_filter,
        resource_name_filter: request.resource_name_filter,
        pattern_type_filter: request.pattern_type_filter,
        principal_filter: request.principal_filter,
        host_filter: request.host_filter,
        operation: request.operation,
        permission_type: request.permission_type,
    };
    let (patterns, entries) = match filters(filter) {
        Ok(filters) => filters,
        Err(refused) => return failed(refused),
    };
    let found = access.lists().find(&patterns, &entries).await;
    let resources = found.into_iter().map(|(pattern, entries)| DescribeAclsResource {
        resource_type: pattern.resource as i8,
        resource_name: pattern.name.to_string(),
        pattern_type: pattern.kind as i8,
        acls: entries.iter().map(description).collect(),
    });
    DescribeAclsResponse { resources: resources.collect(), ..Default::default() }
}

fn description(entry: &Entry) -> AclDescription {
    AclDescription {
        principal: entry.principal.to_string(),
        host: entry.host.to_string(),
        operation: entry.operation as i8,
        permission_type: entry.permission as i8,
    }
}

/// Answers CreateAcls.
pub(in crate::server) async fn create(
    call: &Call,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let access = access(call, Operation::Alter, "No Authorizer is configured.");
    let mut results = Vec::with_capacity(request.creations.len());
    for creation in request.creations {
        let added = match &access {
            Ok(access) => add(access, creation).await,
            Err(refused) => Err(refused.clone()),
        };
        results.push(match added {
            Ok(()) => AclCreationResult::default(),
            Err((code, text)) => {
                AclCreationResult { error_code: code.code(), error_message: Some(text) }
            }
        });
    }
    CreateAclsResponse { results, ..Default::default() }
}

async fn add(access: &Access, creation: AclCreation) -> Result<(), Refused> {
    let wrong =
        |what: &str, number: i8| (ErrorCode::InvalidRequest, format!("Invalid {what} {number}"));
    let (kind, resource) = (creation.resource_pattern_type, creation.resource_type);
    let pattern = Pattern {
        resource: ResourceKind::numbered(resource)
            .ok_or_else(|| wrong("resourceType", resource))?,
        kind: PatternKind::numbered(kind).ok_or_else(|| wrong("patternType", kind))?,
        name: creation.resource_name.into(),
    };
    let (operation, permission) = (creation.operation, creation.permission_type);
    let entry = Entry {
        principal: creation.principal.into(),
        host: creation.host.into(),
        operation: Operation::numbered(operation).ok_or_else(|| wrong("operation", operation))?,
        permission: Permission::numbered(permission)
            .ok_or_else(|| wrong("permissionType", permission))?,
    };
    let added = access.lists().add(&pattern, &entry).await;
    added.map_err(|error| (error.code(), error.to_string()))
}

/// Answers DeleteAcls.
pub(in crate::server) async fn delete(
    call: &Call,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let access = access(call, Operation::Alter, "No Authorizer is configured.");
    let mut filter_results = Vec::with_capacity(request.filters.len());
    for filter in request.filters {
        let removed = match &access {
            Ok(access) => remove(access, filter).await,
            Err(refused) => Err(refused.clone()),
        };
        filter_results.push(match removed {
            Ok(matching_acls) => DeleteAclsFilterResult { matching_acls, ..Default::default() },
            Err((code, text)) => DeleteAclsFilterResult {
                error_code: code.code(),
                error_message: Some(text),
                ..Default::default()
            },
        });
    }
    DeleteAclsResponse { filter_results, ..Default::default() }
}

async fn remove(
    access: &Access,
    filter: DeleteAclsFilter,
) -> Result<Vec<DeleteAclsMatchingAcl>, Refused> {
    let (patterns, entries) = filters(filter)?;
    let mut matching = Vec::new();
    for (pattern, gone) in access.lists().find(&patterns, &entries).await {
        let removed = access.lists().remove(&pattern, &gone).await;
        let (code, text) = match removed {
            Ok(()) => (ErrorCode::None, None),
            Err(error) => (error.code(), Some(error.to_string())),
        };
        matching.extend(gone.iter().map(|entry| DeleteAclsMatchingAcl {
            error_code: code.code(),
            error_message: text.clone(),
            resource_type: pattern.resource as i8,
            resource_name: pattern.name.to_string(),
            pattern_type: pattern.kind as i8,
            principal: entry.principal.to_string(),
            host: entry.host.to_string(),
            operation: entry.operation as i8,
            permission_type: entry.permission as i8,
        }));
    }
    Ok(matching)
}

fn filters(filter: DeleteAclsFilter) -> Result<(PatternFilter, EntryFilter), Refused> {
    fn some<T>(number: i8, what: &str, of: fn(i8) -> Option<T>) -> Result<Option<T>, Refused> {
        let unknown = || (ErrorCode::InvalidRequest, format!("The filter has an unknown {what}"));
        if number == ANY { Ok(None) } else { of(number).map(Some).ok_or_else(unknown) }
    }
    let kind = match filter.pattern_type_filter {
        MATCH => NameFilter::Match,
        number => match some(number, "pattern type", PatternKind::numbered)? {
            Some(kind) => NameFilter::Kind(kind),
            None => NameFilter::Any,
        },
    };
    let patterns = PatternFilter {
        resource: some(filter.resource_type_filter, "resource type", ResourceKind::numbered)?,
        name: filter.resource_name_filter,
        kind,
    };
    let entries = EntryFilter {
        principal: filter.principal_filter,
        host: filter.host_filter,
        operation: some(filter.operation, "operation", Operation::numbered)?,
        permission: some(filter.permission_type, "permission", Permission::numbered)?,
    };
    Ok((patterns, entries))
}
