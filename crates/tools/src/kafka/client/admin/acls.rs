//! Who may do what.

use polyport_kafka_codec::messages::create_acls_request::AclCreation;
use polyport_kafka_codec::messages::delete_acls_request::DeleteAclsFilter;
use polyport_kafka_codec::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Result, To};

/// Any value, in a filter.
const ANY: i8 = 1;

/// What is protected, as codes and a name: also as a filter for such.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclResource {
    /// The kind, as in the protocol: 2 topic, 3 group, 4 cluster, …; 1 any.
    pub kind: i8,
    /// The name; `None` in a filter for any.
    pub name: Option<String>,
    /// How the name is meant: 1 any, 2 whatever matches, 3 literally, 4 as a prefix.
    pub pattern: i8,
}

/// What somebody may or may not do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AclEntry {
    /// Who.
    pub principal: String,
    /// From where.
    pub host: String,
    /// What, as in the protocol.
    pub operation: i8,
    /// 2 may not, 3 may.
    pub permission: i8,
}

impl Admin<'_> {
    /// What is granted on resources that a filter matches.
    ///
    /// # Errors
    /// As the broker says.
    pub fn describe_acls(
        &mut self,
        filter: &AclResource,
    ) -> Result<Vec<(AclResource, Vec<AclEntry>)>> {
        let call = Call::new(To::Any, "describeAcls").within(self.timeout);
        let make = |_| DescribeAclsRequest {
            resource_type_filter: filter.kind,
            resource_name_filter: filter.name.clone(),
            pattern_type_filter: filter.pattern,
            principal_filter: None,
            host_filter: None,
            operation: ANY,
            permission_type: ANY,
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)?;
        let resources = response.resources.into_iter().map(|resource| {
            let what = AclResource {
                kind: resource.resource_type,
                name: Some(resource.resource_name),
                pattern: resource.pattern_type,
            };
            let entries = resource.acls.into_iter().map(|acl| AclEntry {
                principal: acl.principal,
                host: acl.host,
                operation: acl.operation,
                permission: acl.permission_type,
            });
            (what, entries.collect())
        });
        Ok(resources.collect())
    }

    /// Grants.
    ///
    /// # Errors
    /// The first one of a grant.
    pub fn create_acls(&mut self, resource: &AclResource, entries: &[AclEntry]) -> Result<()> {
        let call = Call::new(To::Controller, "createAcls").within(self.timeout);
        let creations: Vec<_> = entries
            .iter()
            .map(|entry| AclCreation {
                resource_type: resource.kind,
                resource_name: resource.name.clone().unwrap_or_default(),
                resource_pattern_type: resource.pattern,
                principal: entry.principal.clone(),
                host: entry.host.clone(),
                operation: entry.operation,
                permission_type: entry.permission,
            })
            .collect();
        let make = |_| CreateAclsRequest { creations: creations.clone() };
        let response = self.client.call(&call, make, |response| {
            response.results.first().map_or(0, |result| result.error_code)
        })?;
        response
            .results
            .into_iter()
            .try_for_each(|result| ClientError::check(result.error_code, result.error_message))
    }

    /// Takes grants back: these, or all on the resources if there are none.
    ///
    /// # Errors
    /// The first one of a filter.
    pub fn delete_acls(&mut self, resource: &AclResource, entries: &[AclEntry]) -> Result<()> {
        let call = Call::new(To::Controller, "deleteAcls").within(self.timeout);
        let all = DeleteAclsFilter {
            resource_type_filter: resource.kind,
            resource_name_filter: resource.name.clone(),
            pattern_type_filter: resource.pattern,
            principal_filter: None,
            host_filter: None,
            operation: ANY,
            permission_type: ANY,
        };
        let one = |entry: &AclEntry| DeleteAclsFilter {
            principal_filter: Some(entry.principal.clone()),
            host_filter: Some(entry.host.clone()),
            operation: entry.operation,
            permission_type: entry.permission,
            ..all.clone()
        };
        let filters: Vec<_> = match entries {
            [] => vec![all.clone()],
            entries => entries.iter().map(one).collect(),
        };
        let make = |_| DeleteAclsRequest { filters: filters.clone() };
        let response = self.client.call(&call, make, |response| {
            response.filter_results.first().map_or(0, |result| result.error_code)
        })?;
        for result in response.filter_results {
            ClientError::check(result.error_code, result.error_message)?;
            for acl in result.matching_acls {
                ClientError::check(acl.error_code, acl.error_message)?;
            }
        }
        Ok(())
    }
}
