//! What handlers ask before they do something. Without an authorizer everybody may do everything, and
//! asking costs a look at an option.

use polyport_kafka_codec::{ApiKey, ErrorCode};

use super::dispatch::Call;
use crate::security::acl::model::CLUSTER;
use crate::security::acl::{Operation, ResourceKind};
use crate::security::{Caller, access};

impl Call {
    /// Whether the caller may do something to a resource.
    pub(super) fn may(&self, operation: Operation, resource: ResourceKind, name: &str) -> bool {
        let Some(access) = &self.broker.access else { return true };
        let host = access::host(self.client.address.ip());
        access.allows((&self.client.caller, &host), operation, resource, name)
    }

    /// Whether the caller may do something to any resource of a kind.
    pub(super) fn may_any(&self, operation: Operation, resource: ResourceKind) -> bool {
        let Some(access) = &self.broker.access else { return true };
        let host = access::host(self.client.address.ip());
        access.allows_any((&self.client.caller, &host), operation, resource)
    }

    /// Whether the caller may do something to the cluster.
    pub(super) fn may_cluster(&self, operation: Operation) -> bool {
        self.may(operation, ResourceKind::Cluster, CLUSTER)
    }

    /// Lets only those go on who may do something to a topic.
    ///
    /// # Errors
    /// TOPIC_AUTHORIZATION_FAILED.
    pub(super) fn topic(&self, operation: Operation, name: &str) -> Result<(), ErrorCode> {
        let may = self.may(operation, ResourceKind::Topic, name);
        may.then_some(()).ok_or(ErrorCode::TopicAuthorizationFailed)
    }

    /// Lets only those go on who may do something to a group.
    ///
    /// # Errors
    /// GROUP_AUTHORIZATION_FAILED.
    pub(super) fn group(&self, operation: Operation, name: &str) -> Result<(), ErrorCode> {
        let may = self.may(operation, ResourceKind::Group, name);
        may.then_some(()).ok_or(ErrorCode::GroupAuthorizationFailed)
    }

    /// Lets only those go on who may do something to a transactional id.
    ///
    /// # Errors
    /// TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    pub(super) fn transactional_id(
        &self,
        operation: Operation,
        name: &str,
    ) -> Result<(), ErrorCode> {
        let may = self.may(operation, ResourceKind::TransactionalId, name);
        may.then_some(()).ok_or(ErrorCode::TransactionalIdAuthorizationFailed)
    }

    /// Lets only those go on who may do something to the cluster.
    ///
    /// # Errors
    /// CLUSTER_AUTHORIZATION_FAILED.
    pub(super) fn cluster(&self, operation: Operation) -> Result<(), ErrorCode> {
        let may = self.may_cluster(operation);
        may.then_some(()).ok_or(ErrorCode::ClusterAuthorizationFailed)
    }

    /// What the caller may do to a resource, a bit for each operation's number.
    pub(super) fn operations(&self, resource: ResourceKind, name: &str) -> i32 {
        let all = resource.operations().iter();
        let may = all.filter(|operation| self.may(**operation, resource, name));
        may.fold(0, |bits, operation| bits | 1 << *operation as i32)
    }

    /// What the caller may do to the cluster, if it may look at it.
    pub(super) fn operations_on_cluster(&self) -> i32 {
        match self.may_cluster(Operation::Describe) {
            true => self.operations(ResourceKind::Cluster, CLUSTER),
            false => 0,
        }
    }

    /// Whether an API's handler may be asked by this caller at all: with an authorizer, one that does
    /// not judge access is not for clients.
    pub(super) fn is_judged(&self) -> bool {
        self.broker.access.is_none()
            || self.client.caller == Caller::Broker
            || JUDGED.contains(&self.header.api_key)
    }
}

/// APIs whose handlers ask what the caller may do, or where everybody may ask. An API that is missing
/// here is closed to clients while there is an authorizer.
pub(super) const JUDGED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::SaslHandshake,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslAuthenticate,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::OffsetDelete,
    ApiKey::ElectLeaders,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::WriteTxnMarkers,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::DescribeTopicPartitions,
];

#[cfg(test)]
mod tests {
    use super::JUDGED;
    use crate::server::served::SERVED;

    /// An API that fails here needs its checks (those of Kafka's KafkaApis), and then a place above.
    #[test]
    fn every_api_that_is_served_judges_access() {
        for (api, ..) in SERVED {
            assert!(JUDGED.contains(api), "{}", api.name());
        }
    }
}
