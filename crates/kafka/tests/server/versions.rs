//! Every version that is said to be served is served: its answer can be written and read.

use polyport_kafka_codec::messages::api_versions_response::ApiVersion;
use polyport_kafka_codec::messages::create_acls_request::AclCreation;
use polyport_kafka_codec::messages::delete_acls_request::DeleteAclsFilter;
use polyport_kafka_codec::messages::*;
use polyport_kafka_codec::{ApiKey, Request};

use super::node::{Connection, Node};
use super::records::{batch, create, fetch, produce};

async fn all<R: Request>(
    connection: &mut Connection,
    served: &ApiVersion,
    request: impl Fn(i16) -> R,
) {
    for version in served.min_version..=served.max_version {
        connection.ask(&request(version), version).await;
    }
}

async fn ask(node: &Node, served: &ApiVersion) {
    let connection = &mut node.connect().await;
    let api = ApiKey::from_code(served.api_key).unwrap();
    let group = || "g".to_owned();
    match api {
        ApiKey::Produce => {
            all(connection, served, |_| produce("t", 1, Some(batch(b"x")))).await;
        }
        ApiKey::Fetch => {
            let id = node.topic_id("t");
            all(connection, served, |version| {
                let mut request = fetch("t", 0);
                if version >= 13 {
                    request.topics[0].topic = String::new();
                    request.topics[0].topic_id = id;
                }
                if version >= 15 {
                    request.replica_id = -1;
                }
                if version < 7 {
                    request.session_epoch = -1;
                }
                request
            })
            .await;
        }
        ApiKey::ListOffsets => {
            use list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
            all(connection, served, |_| {
                let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
                let topic = ListOffsetsTopic { name: "t".to_owned(), partitions: vec![partition] };
                ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
            })
            .await;
        }
        ApiKey::Metadata => {
            use metadata_request::MetadataRequestTopic;
            all(connection, served, |_| {
                let named = |name: &str| MetadataRequestTopic {
                    name: Some(name.to_owned()),
                    ..Default::default()
                };
                let topics = Some(vec![named("t"), named("not.there"), named("not allowed")]);
                MetadataRequest { topics, allow_auto_topic_creation: true, ..Default::default() }
            })
            .await;
        }
        ApiKey::OffsetCommit => {
            use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
            all(connection, served, |_| {
                let partitions = vec![OffsetCommitRequestPartition {
                    committed_offset: 1,
                    ..Default::default()
                }];
                let topic = OffsetCommitRequestTopic { name: "t".to_owned(), partitions };
                OffsetCommitRequest { group_id: group(), topics: vec![topic], ..Default::default() }
            })
            .await;
        }
        ApiKey::OffsetFetch => {
            use offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
            all(connection, served, |version| match version >= 8 {
                true => {
                    let group = OffsetFetchRequestGroup {
                        group_id: group(),
                        topics: None,
                        ..Default::default()
                    };
                    OffsetFetchRequest { groups: vec![group], ..Default::default() }
                }
                false => {
                    let topic = OffsetFetchRequestTopic {
                        name: "t".to_owned(),
                        partition_indexes: vec![0],
                    };
                    OffsetFetchRequest {
                        group_id: group(),
                        topics: Some(vec![topic]),
                        ..Default::default()
                    }
                }
            })
            .await;
        }
        ApiKey::FindCoordinator => {
            all(connection, served, |version| match version >= 4 {
                true => FindCoordinatorRequest {
                    coordinator_keys: vec![group(), "h".to_owned()],
                    ..Default::default()
                },
                false => FindCoordinatorRequest { key: group(), ..Default::default() },
            })
            .await;
        }
        ApiKey::JoinGroup => {
            use join_group_request::JoinGroupRequestProtocol;
            all(connection, served, |_| JoinGroupRequest {
                // A group of its own each time, or the next would wait for this one.
                group_id: format!("join-{}", rand()),
                session_timeout_ms: 10_000,
                protocol_type: "consumer".to_owned(),
                protocols: vec![JoinGroupRequestProtocol {
                    name: "range".to_owned(),
                    ..Default::default()
                }],
                ..Default::default()
            })
            .await;
        }
        ApiKey::Heartbeat => {
            all(connection, served, |_| HeartbeatRequest {
                group_id: group(),
                ..Default::default()
            })
            .await;
        }
        ApiKey::LeaveGroup => {
            use leave_group_request::MemberIdentity;
            all(connection, served, |version| LeaveGroupRequest {
                group_id: group(),
                members: if version >= 3 { vec![MemberIdentity::default()] } else { vec![] },
                ..Default::default()
            })
            .await;
        }
        ApiKey::SyncGroup => {
            all(connection, served, |_| SyncGroupRequest {
                group_id: group(),
                ..Default::default()
            })
            .await;
        }
        ApiKey::DescribeGroups => {
            all(connection, served, |_| DescribeGroupsRequest {
                groups: vec![group()],
                ..Default::default()
            })
            .await;
        }
        ApiKey::ListGroups => all(connection, served, |_| ListGroupsRequest::default()).await,
        ApiKey::ApiVersions => {
            all(connection, served, |version| match version >= 3 {
                true => ApiVersionsRequest {
                    client_software_name: "test".to_owned(),
                    client_software_version: "1".to_owned(),
                },
                false => ApiVersionsRequest::default(),
            })
            .await;
        }
        ApiKey::CreateTopics => {
            use create_topics_request::CreatableTopic;
            all(connection, served, |version| {
                let topic = |name: String| CreatableTopic {
                    name,
                    num_partitions: 1,
                    replication_factor: 1,
                    ..Default::default()
                };
                let topics =
                    vec![topic(format!("made-{version}")), topic("not allowed".to_owned())];
                CreateTopicsRequest { topics, timeout_ms: 20_000, ..Default::default() }
            })
            .await;
        }
        ApiKey::DeleteTopics => {
            use delete_topics_request::DeleteTopicState;
            all(connection, served, |version| match version >= 6 {
                true => DeleteTopicsRequest {
                    topics: vec![DeleteTopicState {
                        name: Some("gone".to_owned()),
                        ..Default::default()
                    }],
                    timeout_ms: 1000,
                    ..Default::default()
                },
                false => DeleteTopicsRequest {
                    topic_names: vec!["gone".to_owned()],
                    timeout_ms: 1000,
                    ..Default::default()
                },
            })
            .await;
        }
        ApiKey::DeleteRecords => all(connection, served, |_| DeleteRecordsRequest::default()).await,
        ApiKey::InitProducerId => {
            all(connection, served, |_| InitProducerIdRequest {
                transaction_timeout_ms: 1000,
                ..Default::default()
            })
            .await;
        }
        ApiKey::OffsetForLeaderEpoch => {
            all(connection, served, |_| OffsetForLeaderEpochRequest {
                replica_id: -1,
                ..Default::default()
            })
            .await;
        }
        ApiKey::AddPartitionsToTxn => {
            all(connection, served, |_| AddPartitionsToTxnRequest::default()).await;
        }
        ApiKey::AddOffsetsToTxn => {
            all(connection, served, |_| AddOffsetsToTxnRequest::default()).await;
        }
        ApiKey::EndTxn => all(connection, served, |_| EndTxnRequest::default()).await,
        ApiKey::WriteTxnMarkers => {
            all(connection, served, |_| WriteTxnMarkersRequest::default()).await;
        }
        ApiKey::DescribeClientQuotas => {
            all(connection, served, |_| DescribeClientQuotasRequest::default()).await;
        }
        ApiKey::AlterClientQuotas => {
            all(connection, served, |_| AlterClientQuotasRequest::default()).await;
        }
        ApiKey::TxnOffsetCommit => {
            all(connection, served, |_| TxnOffsetCommitRequest::default()).await;
        }
        ApiKey::DescribeConfigs => {
            use describe_configs_request::DescribeConfigsResource;
            all(connection, served, |_| {
                let resource = |resource_type, name: &str| DescribeConfigsResource {
                    resource_type,
                    resource_name: name.to_owned(),
                    configuration_keys: None,
                };
                let resources = vec![resource(2, "t"), resource(4, "1"), resource(2, "gone")];
                DescribeConfigsRequest { resources, ..Default::default() }
            })
            .await;
        }
        ApiKey::AlterConfigs => all(connection, served, |_| AlterConfigsRequest::default()).await,
        ApiKey::DescribeLogDirs => {
            all(connection, served, |_| DescribeLogDirsRequest { topics: None }).await;
        }
        ApiKey::CreatePartitions => {
            use create_partitions_request::CreatePartitionsTopic;
            all(connection, served, |_| {
                let name = "gone".to_owned();
                let topic = CreatePartitionsTopic { name, count: 2, assignments: None };
                CreatePartitionsRequest {
                    topics: vec![topic],
                    timeout_ms: 1000,
                    ..Default::default()
                }
            })
            .await;
        }
        ApiKey::DeleteGroups => {
            all(connection, served, |_| DeleteGroupsRequest { groups_names: vec![group()] }).await;
        }
        ApiKey::IncrementalAlterConfigs => {
            all(connection, served, |_| IncrementalAlterConfigsRequest::default()).await;
        }
        ApiKey::ElectLeaders => {
            all(connection, served, |_| ElectLeadersRequest::default()).await;
        }
        ApiKey::AlterPartitionReassignments => {
            all(connection, served, |_| AlterPartitionReassignmentsRequest::default()).await;
        }
        ApiKey::ListPartitionReassignments => {
            all(connection, served, |_| ListPartitionReassignmentsRequest::default()).await;
        }
        ApiKey::OffsetDelete => all(connection, served, |_| OffsetDeleteRequest::default()).await,
        ApiKey::SaslHandshake => all(connection, served, |_| SaslHandshakeRequest::default()).await,
        ApiKey::SaslAuthenticate => {
            all(connection, served, |_| SaslAuthenticateRequest::default()).await;
        }
        ApiKey::DescribeAcls => {
            all(connection, served, |version| DescribeAclsRequest {
                // Version 0 knows literal patterns only.
                pattern_type_filter: if version == 0 { 3 } else { 1 },
                ..Default::default()
            })
            .await;
        }
        ApiKey::CreateAcls => {
            all(connection, served, |_| CreateAclsRequest {
                creations: vec![AclCreation { resource_pattern_type: 3, ..Default::default() }],
            })
            .await;
        }
        ApiKey::DeleteAcls => {
            all(connection, served, |_| DeleteAclsRequest {
                filters: vec![DeleteAclsFilter { pattern_type_filter: 3, ..Default::default() }],
            })
            .await;
        }
        ApiKey::DescribeUserScramCredentials => {
            all(connection, served, |_| DescribeUserScramCredentialsRequest::default()).await;
        }
        ApiKey::AlterUserScramCredentials => {
            all(connection, served, |_| AlterUserScramCredentialsRequest::default()).await;
        }
        ApiKey::DescribeCluster => {
            all(connection, served, |_| DescribeClusterRequest::default()).await;
        }
        ApiKey::DescribeProducers => {
            all(connection, served, |_| DescribeProducersRequest::default()).await;
        }
        ApiKey::DescribeTransactions => {
            all(connection, served, |_| DescribeTransactionsRequest {
                transactional_ids: vec!["x".to_owned()],
            })
            .await;
        }
        ApiKey::ListTransactions => {
            all(connection, served, |_| ListTransactionsRequest::default()).await;
        }
        ApiKey::ConsumerGroupHeartbeat => {
            all(connection, served, |version| ConsumerGroupHeartbeatRequest {
                group_id: format!("consumers-{version}"),
                member_id: if version >= 1 { "m".to_owned() } else { String::new() },
                rebalance_timeout_ms: 10_000,
                subscribed_topic_names: Some(vec!["t".to_owned()]),
                topic_partitions: Some(Vec::new()),
                ..Default::default()
            })
            .await;
        }
        ApiKey::ConsumerGroupDescribe => {
            all(connection, served, |version| ConsumerGroupDescribeRequest {
                group_ids: vec![format!("consumers-{version}"), "gone".to_owned()],
                ..Default::default()
            })
            .await;
        }
        ApiKey::DescribeTopicPartitions => {
            all(connection, served, |_| DescribeTopicPartitionsRequest {
                response_partition_limit: 10,
                ..Default::default()
            })
            .await;
        }
        other => panic!("{} is served and not asked: add it here", other.name()),
    }
}

/// Another number each time.
fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn every_version_that_is_offered_is_answered() {
    let node = Node::start().await;
    let mut connection = node.connect().await;
    create(&mut connection, "t").await;
    let offered = connection.ask(&ApiVersionsRequest::default(), 0).await;
    // The internal topics are made with the first request for a coordinator.
    let keys = vec!["g".to_owned()];
    for key_type in [0, 1] {
        let find = FindCoordinatorRequest {
            key_type,
            coordinator_keys: keys.clone(),
            ..Default::default()
        };
        connection.ask(&find, 4).await;
    }
    for served in &offered.api_keys {
        ask(&node, served).await;
    }
    assert!(offered.api_keys.len() > 30);
    node.stop().await;
}
