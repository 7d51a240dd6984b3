//! One file an API: what a request means, in the words of the rooms that know.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_partition_reassignments;
pub(super) mod api_versions;
mod client_quotas;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets_to_commit;
mod produce;
mod sasl;
mod scram_credentials;
mod sync_group;
mod txn_offset_commit;
mod verification;
mod write_txn_markers;

use polyport_kafka_codec::{ApiKey, Reader};

use super::connection::Ended;
use super::dispatch::{Call, Handled, answer};

/// Handles a request whose API and version are served.
///
/// # Errors
/// What ends the connection.
pub(super) async fn handle(call: Call, reader: Reader) -> Result<Handled, Ended> {
    match call.header.api_key {
        ApiKey::Produce => produce::begin(call, reader).await,
        ApiKey::Fetch => fetch::handle(&call, reader).await,
        ApiKey::ListOffsets => answer(call, reader, list_offsets::handle).await,
        ApiKey::Metadata => answer(call, reader, metadata::handle).await,
        ApiKey::OffsetCommit => answer(call, reader, offset_commit::handle).await,
        ApiKey::OffsetFetch => answer(call, reader, offset_fetch::handle).await,
        ApiKey::FindCoordinator => answer(call, reader, find_coordinator::handle).await,
        ApiKey::JoinGroup => answer(call, reader, join_group::handle).await,
        ApiKey::Heartbeat => answer(call, reader, heartbeat::handle).await,
        ApiKey::LeaveGroup => answer(call, reader, leave_group::handle).await,
        ApiKey::SyncGroup => answer(call, reader, sync_group::handle).await,
        ApiKey::SaslHandshake => answer(call, reader, sasl::handshake).await,
        ApiKey::SaslAuthenticate => answer(call, reader, sasl::authenticate).await,
        ApiKey::DescribeGroups => answer(call, reader, describe_groups::handle).await,
        ApiKey::ListGroups => answer(call, reader, list_groups::handle).await,
        ApiKey::ApiVersions => answer(call, reader, api_versions::handle).await,
        ApiKey::CreateTopics => answer(call, reader, create_topics::handle).await,
        ApiKey::DeleteTopics => answer(call, reader, delete_topics::handle).await,
        ApiKey::DeleteRecords => answer(call, reader, delete_records::handle).await,
        ApiKey::InitProducerId => answer(call, reader, init_producer_id::handle).await,
        ApiKey::AddPartitionsToTxn => answer(call, reader, add_partitions_to_txn::handle).await,
        ApiKey::AddOffsetsToTxn => answer(call, reader, add_offsets_to_txn::handle).await,
        ApiKey::EndTxn => answer(call, reader, end_txn::handle).await,
        ApiKey::WriteTxnMarkers => answer(call, reader, write_txn_markers::handle).await,
        ApiKey::TxnOffsetCommit => answer(call, reader, txn_offset_commit::handle).await,
        ApiKey::DescribeTransactions => answer(call, reader, describe_transactions::handle).await,
        ApiKey::ListTransactions => answer(call, reader, list_transactions::handle).await,
        ApiKey::OffsetForLeaderEpoch => answer(call, reader, offset_for_leader_epoch::handle).await,
        ApiKey::DescribeConfigs => answer(call, reader, describe_configs::handle).await,
        ApiKey::AlterConfigs => answer(call, reader, alter_configs::replace).await,
        ApiKey::IncrementalAlterConfigs => answer(call, reader, alter_configs::change).await,
        ApiKey::DescribeLogDirs => answer(call, reader, describe_log_dirs::handle).await,
        ApiKey::CreatePartitions => answer(call, reader, create_partitions::handle).await,
        ApiKey::DeleteGroups => answer(call, reader, delete_groups::handle).await,
        ApiKey::ElectLeaders => answer(call, reader, elect_leaders::handle).await,
        ApiKey::AlterPartitionReassignments => {
            answer(call, reader, alter_partition_reassignments::handle).await
        }
        ApiKey::ListPartitionReassignments => {
            answer(call, reader, list_partition_reassignments::handle).await
        }
        ApiKey::OffsetDelete => answer(call, reader, offset_delete::handle).await,
        ApiKey::DescribeClientQuotas => answer(call, reader, client_quotas::describe).await,
        ApiKey::AlterClientQuotas => answer(call, reader, client_quotas::alter).await,
        ApiKey::DescribeAcls => answer(call, reader, acls::describe).await,
        ApiKey::CreateAcls => answer(call, reader, acls::create).await,
        ApiKey::DeleteAcls => answer(call, reader, acls::delete).await,
        ApiKey::DescribeUserScramCredentials => {
            answer(call, reader, scram_credentials::describe).await
        }
        ApiKey::AlterUserScramCredentials => answer(call, reader, scram_credentials::alter).await,
        ApiKey::DescribeCluster => answer(call, reader, describe_cluster::handle).await,
        ApiKey::DescribeProducers => answer(call, reader, describe_producers::handle).await,
        ApiKey::ConsumerGroupHeartbeat => {
            answer(call, reader, consumer_group_heartbeat::handle).await
        }
        ApiKey::ConsumerGroupDescribe => {
            answer(call, reader, consumer_group_describe::handle).await
        }
        ApiKey::DescribeTopicPartitions => {
            answer(call, reader, describe_topic_partitions::handle).await
        }
        api => Err(Ended::NotServed { api: api.name(), version: call.version() }),
    }
}
