//! SASL DIGEST-MD5 over opcode 102.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use polyport_tree::{Acl, Id, Perms};
use polyport_wire::Cursor;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request, Response};
use polyport_zookeeper::server::{Authentication, Settings};

use crate::client::{Client, create, pair};
use crate::node::Node;

fn rules() -> Authentication {
    let users = [("bob", "bobsecret"), ("root", "rootsecret")];
    let users = users.map(|(name, password)| (name.to_owned(), password.to_owned()));
    Authentication {
        sasl_users: BTreeMap::from(users),
        super_user: Some("root".to_owned()),
        ..Default::default()
    }
}

async fn start(authentication: Authentication) -> Node {
    Node::start(Settings { authentication, ..Settings::default() }).await
}

async fn token(client: &mut Client, token: &[u8]) -> (ErrorCode, Vec<u8>) {
    let (error, body) = client.ask(&Request::Sasl { token }).await.unwrap();
    match error {
        ErrorCode::OK => match Response::decode(OpCode::Sasl, &mut Cursor::new(&body)).unwrap() {
            Response::Token(token) => (error, token),
            other => panic!("{other:?}"),
        },
        _ => (error, body),
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 2831's formulas, written down once more. The server's proof is expected at the end.
async fn log_in(client: &mut Client, user: &str, password: &str) -> ErrorCode {
    const URI: &str = "zookeeper/zk-sasl-md5";
    let (error, challenge) = token(client, b"").await;
    assert_eq!(error, ErrorCode::OK);
    let challenge = String::from_utf8(challenge).unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let rest = format!("realm=\"zk-sasl-md5\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess");
    assert_eq!(challenge, rest);
    let secret = Md5::digest(format!("{user}:zk-sasl-md5:{password}"));
    let a1 = hex(Md5::digest([&secret[..], format!(":{nonce}:cnonce").as_bytes()].concat()));
    let response = |a2: String| {
        hex(Md5::digest(format!("{a1}:{nonce}:00000001:cnonce:auth:{}", hex(Md5::digest(a2)))))
    };
    let said = format!(
        "charset=utf-8,username=\"{user}\",realm=\"zk-sasl-md5\",nonce=\"{nonce}\",nc=00000001,\
         cnonce=\"cnonce\",digest-uri=\"{URI}\",maxbuf=65536,response={},qop=auth",
        response(format!("AUTHENTICATE:{URI}"))
    );
    let (error, proof) = token(client, said.as_bytes()).await;
    if error == ErrorCode::OK && !proof.is_empty() {
        assert_eq!(proof, format!("rspauth={}", response(format!(":{URI}"))).as_bytes());
    }
    error
}

#[tokio::test]
async fn who_knows_the_password_is_the_user() {
    let node = start(rules()).await;
    let mut bob = node.client().await;
    assert_eq!(log_in(&mut bob, "bob", "bobsecret").await, ErrorCode::OK);
    assert_eq!(bob.who().await, [pair("ip", "127.0.0.1"), pair("sasl", "bob")]);
    let list = vec![Acl { perms: Perms::ALL, id: Id::new("sasl", "bob") }];
    assert_eq!(bob.error(&create("/bobs", b"b", list)).await, ErrorCode::OK);
    assert_eq!(bob.get("/bobs").await, b"b");
    let read = Request::GetData { path: "/bobs", watch: false };
    assert_eq!(node.client().await.error(&read).await, ErrorCode::NO_AUTH);
    let mut root = node.client().await;
    assert_eq!(log_in(&mut root, "root", "rootsecret").await, ErrorCode::OK);
    assert_eq!(root.get("/bobs").await, b"b");
    // A finished exchange takes no more tokens.
    assert_eq!(token(&mut bob, b"").await.0, ErrorCode::AUTH_FAILED);
    bob.ends().await;
    node.still_works().await;
}

#[tokio::test]
async fn without_a_named_super_user_super_is_every_sasl_user_and_no_more() {
    let mut rules = rules();
    rules.super_user = None;
    rules.sasl_users.insert("super".to_owned(), "s".to_owned());
    let node = start(rules).await;
    let mut owner = node.client().await;
    for (path, scheme, id) in [("/bobs", "sasl", "bob"), ("/elsewhere", "ip", "10.0.0.1")] {
        let list = vec![Acl { perms: Perms::ALL, id: Id::new(scheme, id) }];
        assert_eq!(owner.error(&create(path, b"b", list)).await, ErrorCode::OK);
    }
    let mut client = node.client().await;
    assert_eq!(log_in(&mut client, "super", "s").await, ErrorCode::OK);
    assert_eq!(client.who().await, [pair("ip", "127.0.0.1"), pair("sasl", "super")]);
    assert_eq!(client.get("/bobs").await, b"b");
    for path in ["/elsewhere", "/bobs"] {
        let exists = Request::Exists { path, watch: false };
        assert_eq!(owner.error(&exists).await, ErrorCode::NO_AUTH);
    }
    let exists = Request::Exists { path: "/elsewhere", watch: false };
    assert_eq!(client.error(&exists).await, ErrorCode::NO_AUTH);
    node.still_works().await;
}

#[tokio::test]
async fn who_does_not_know_it_is_out_unless_allowed_to_go_on() {
    let node = start(rules()).await;
    for (user, password) in [("bob", "wrong"), ("nobody", ""), ("nobody", "bobsecret")] {
        let mut client = node.client().await;
        assert_eq!(log_in(&mut client, user, password).await, ErrorCode::AUTH_FAILED);
        assert_eq!(client.frame().await, None);
    }
    node.still_works().await;

    let node = start(Authentication { allow_sasl_failed: true, ..rules() }).await;
    let mut client = node.client().await;
    assert_eq!(log_in(&mut client, "bob", "wrong").await, ErrorCode::OK);
    assert_eq!(client.who().await, [pair("ip", "127.0.0.1")]);
    node.still_works().await;

    let required_schemes = vec!["sasl".to_owned()];
    let node = start(Authentication { allow_sasl_failed: true, required_schemes, ..rules() }).await;
    let mut client = node.client().await;
    let error = log_in(&mut client, "bob", "wrong").await;
    assert_eq!(error, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    client.ends().await;
    let mut client = node.client().await;
    assert_eq!(log_in(&mut client, "bob", "bobsecret").await, ErrorCode::OK);
    client.create("/n", b"").await;
}
