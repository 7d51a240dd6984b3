//! What the audit log keeps of a client's changes.

use polyport_tree::Acl;
use polyport_zookeeper::audit::Audit;
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request};
use polyport_zookeeper::server::Settings;

use crate::client::create;
use crate::node::{Dir, Node};

/// The fields of each line, without the time, the level and the logger.
fn lines(dir: &Dir) -> Vec<String> {
    let text = std::fs::read_to_string(dir.0.join("audit.log")).unwrap();
    text.lines().map(|line| line.split_once("Logger: ").unwrap().1.to_owned()).collect()
}

#[tokio::test]
async fn changes_and_what_the_end_of_a_session_deletes_are_written_down() {
    let dir = Dir::new();
    let audit = Audit::open(&dir.0.join("audit.log")).unwrap();
    let node = Node::start(Settings { audit: Some(audit.clone()), ..Settings::default() }).await;
    let mut client = node.client().await;
    client.create("/a", b"").await;
    let again = client.error(&create("/a", b"", Acl::open())).await;
    assert_eq!(again, ErrorCode::NODE_EXISTS);
    // Refused before the tree is asked.
    assert_eq!(client.error(&create("/b", b"", Vec::new())).await, ErrorCode::INVALID_ACL);
    let acl = Acl::open();
    let ephemeral = Create { op: OpCode::Create, path: "/e", data: None, acl, flags: 1, ttl_ms: 0 };
    assert_eq!(client.error(&Request::Create(ephemeral)).await, ErrorCode::OK);
    client.get("/a").await;
    assert_eq!(client.error(&Request::CloseSession).await, ErrorCode::OK);
    audit.ended();
    let lines = lines(&dir);
    let own = lines[0].split('\t').take(3).collect::<Vec<_>>().join("\t");
    let (session, who) = own.split_once('\t').unwrap();
    assert!(session.starts_with("session=0x"), "{session}");
    assert_eq!(who, "user=127.0.0.1\tip=127.0.0.1");
    let expected = [
        "operation=create\tznode=/a\tznode_type=persistent\tresult=success",
        "operation=create\tznode=/a\tznode_type=persistent\tresult=failure",
        "operation=create\tznode=/b\tznode_type=persistent\tresult=failure",
        "operation=create\tznode=/e\tznode_type=ephemeral\tresult=success",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(*line, format!("{own}\t{expected}"));
    }
    let deleted =
        "\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire\tznode=/e\tresult=success";
    assert!(lines[4].starts_with(session) && lines[4].ends_with(deleted), "{}", lines[4]);
    // It was never said to be up.
    assert!(lines[5].ends_with("\toperation=serverStart\tresult=failure"), "{}", lines[5]);
    assert_eq!(lines.len(), 6);
}
