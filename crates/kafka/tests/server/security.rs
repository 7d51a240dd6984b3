//! Who comes in, and what they may do.

use bytes::Bytes;
use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_acls_request::AclCreation;
use polyport_kafka_codec::messages::create_topics_request::CreatableTopic;
use polyport_kafka_codec::messages::metadata_request::MetadataRequestTopic;
use polyport_kafka_codec::messages::{
    AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreateAclsRequest, CreateTopicsRequest,
    DescribeAclsRequest, ElectLeadersRequest, HeartbeatRequest, ListPartitionReassignmentsRequest,
    MetadataRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};

use super::node::{Connection, Node};
use super::records::{batch, produce};

const USERS: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                     user_alice=\"alice-secret\" user_bob=\"bob-secret\";";
const LINES: &[(&str, &str)] = &[
    ("sasl.enabled.mechanisms", "PLAIN"),
    ("listener.name.sasl_plaintext.plain.sasl.jaas.config", USERS),
    ("connection.failed.authentication.delay.ms", "1"),
    ("authorizer.class.name", "kafka.security.authorizer.AclAuthorizer"),
    ("super.users", "User:ANONYMOUS"),
];

async fn authenticate(
    connection: &mut Connection,
    user: &str,
    password: &str,
) -> SaslAuthenticateResponse {
    let handshake = SaslHandshakeRequest { mechanism: "PLAIN".to_owned() };
    let answer = connection.ask(&handshake, 1).await;
    assert_eq!((answer.error_code, &answer.mechanisms[..]), (0, &["PLAIN".to_owned()][..]));
    let auth_bytes = Bytes::from(format!("\0{user}\0{password}"));
    connection.ask(&SaslAuthenticateRequest { auth_bytes }, 2).await
}

async fn alice(node: &Node, port: u16) -> Connection {
    let mut connection = node.connect_to(port).await;
    let answer = authenticate(&mut connection, "alice", "alice-secret").await;
    assert_eq!(answer.error_code, 0);
    connection
}

async fn make_topic(node: &Node) {
    let (name, num_partitions, replication_factor) = ("t".to_owned(), 1, 1);
    let topic =
        CreatableTopic { name, num_partitions, replication_factor, ..CreatableTopic::default() };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    assert_eq!(node.connect().await.ask(&request, 7).await.topics[0].error_code, 0);
}

/// Allows alice (3) or denies her (2) something (4: to write) on the topic.
async fn add(node: &Node, operation: i8, permission_type: i8) {
    let creation = AclCreation {
        resource_type: 2,
        resource_name: "t".to_owned(),
        resource_pattern_type: 3,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation,
        permission_type,
    };
    let request = CreateAclsRequest { creations: vec![creation] };
    let answer = node.connect().await.ask(&request, 3).await;
    assert_eq!(answer.results[0].error_code, 0, "{:?}", answer.results[0].error_message);
}

#[tokio::test]
async fn nobody_comes_through_the_gate_without_a_password() {
    let node = Node::start_with(LINES).await;
    let port = node.listen("SASL_PLAINTEXT").await;

    let mut unknown = node.connect_to(port).await;
    assert_eq!(unknown.ask(&ApiVersionsRequest::default(), 0).await.error_code, 0);
    unknown.send(&MetadataRequest::default(), 12).await;
    assert!(unknown.receive::<MetadataRequest>(12).await.is_none());

    let mut wrong = node.connect_to(port).await;
    let answer = authenticate(&mut wrong, "alice", "bob-secret").await;
    assert_eq!(answer.error_code, ErrorCode::SaslAuthenticationFailed.code());
    let text = "Authentication failed: Invalid username or password";
    assert_eq!(answer.error_message.as_deref(), Some(text));
    assert!(wrong.receive::<MetadataRequest>(12).await.is_none());

    let mut known = alice(&node, port).await;
    assert_eq!(known.ask(&MetadataRequest::default(), 12).await.topics, []);
    // Before it is authenticated a client has little to say.
    let mut long = node.connect_to(port).await;
    let auth_bytes = Bytes::from(vec![0; 600_000]);
    long.ask(&SaslHandshakeRequest { mechanism: "PLAIN".to_owned() }, 1).await;
    long.send(&SaslAuthenticateRequest { auth_bytes }, 2).await;
    assert!(long.receive::<SaslAuthenticateRequest>(2).await.is_none());
    node.stop().await;
}

#[tokio::test]
async fn what_nobody_allowed_is_refused() {
    let node = Node::start_with(LINES).await;
    let port = node.listen("SASL_PLAINTEXT").await;
    make_topic(&node).await;
    let mut alice = alice(&node, port).await;
    let refused = ErrorCode::TopicAuthorizationFailed.code();
    let write = || produce("t", -1, Some(batch(b"v")));
    let code = async |alice: &mut Connection| {
        alice.ask(&write(), 9).await.responses[0].partition_responses[0].error_code
    };

    let named = MetadataRequestTopic { name: Some("t".to_owned()), ..Default::default() };
    let metadata = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
    let seen = alice.ask(&metadata, 12).await;
    assert_eq!((seen.topics[0].error_code, seen.topics[0].partitions.len()), (refused, 0));
    assert_eq!(code(&mut alice).await, refused);

    add(&node, 4, 3).await;
    assert_eq!(code(&mut alice).await, 0);
    assert_eq!(alice.ask(&metadata, 12).await.topics[0].error_code, 0);
    add(&node, 4, 2).await;
    assert_eq!(code(&mut alice).await, refused);

    let refused_cluster = ErrorCode::ClusterAuthorizationFailed.code();
    let elected = alice.ask(&ElectLeadersRequest::default(), 2).await.error_code;
    let moved = alice.ask(&AlterPartitionReassignmentsRequest::default(), 0).await.error_code;
    let moving = alice.ask(&ListPartitionReassignmentsRequest::default(), 0).await.error_code;
    assert_eq!([elected, moved, moving], [refused_cluster; 3]);

    let group = HeartbeatRequest { group_id: "g".to_owned(), ..Default::default() };
    let answer = alice.ask(&group, 4).await.error_code;
    assert_eq!(answer, ErrorCode::GroupAuthorizationFailed.code());
    let all = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        resource_name_filter: None,
        principal_filter: None,
        host_filter: None,
    };
    let answer = alice.ask(&all, 3).await;
    assert_eq!(answer.error_code, ErrorCode::ClusterAuthorizationFailed.code());
    let answer = node.connect().await.ask(&all, 3).await;
    assert_eq!(answer.resources[0].acls.len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn without_an_authorizer_there_are_no_lists() {
    let node = Node::start().await;
    let request = CreateAclsRequest { creations: vec![Default::default()] };
    let answer = node.connect().await.ask(&request, 3).await;
    assert_eq!(answer.results[0].error_code, ErrorCode::SecurityDisabled.code());
    node.stop().await;
}
