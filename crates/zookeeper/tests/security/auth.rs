//! Opcode 100, and what must be proved before anything else.

use polyport_tree::{Acl, Id, Perms};
use polyport_zookeeper::auth::{DigestAlgorithm, digest_id};
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{ErrorCode, OpCode, Request};
use polyport_zookeeper::server::{Authentication, Settings};

use crate::client::{create, pair};
use crate::node::Node;

fn auth<'a>(scheme: &'a str, auth: Option<&'a [u8]>) -> Request<'a> {
    Request::Auth { scheme, auth }
}

fn only(scheme: &str, id: &str) -> Vec<Acl> {
    vec![Acl { perms: Perms::ALL, id: Id::new(scheme, id) }]
}

async fn with(authentication: Authentication) -> Node {
    Node::start(Settings { authentication, ..Settings::default() }).await
}

#[tokio::test]
async fn what_proves_nothing_is_refused_and_ends_the_connection() {
    let rules = Authentication { ensemble_names: vec!["a".to_owned()], ..Default::default() };
    let node = with(rules).await;
    for (scheme, credentials) in [
        ("unknown", Some(&b"x"[..])),
        ("world", Some(b"anyone")),
        ("sasl", Some(b"bob")),
        ("super", Some(b"")),
        ("x509", None),
        ("digest", None),
        ("ensemble", Some(b"b")),
    ] {
        let mut client = node.client().await;
        // What follows in the same breath is not carried out.
        let xid = client.send(&auth(scheme, credentials)).await;
        client.send(&create("/unproved", b"", Acl::open())).await;
        let (error, _) = client.reply(xid).await.unwrap();
        assert_eq!(error, ErrorCode::AUTH_FAILED, "{scheme}");
        assert_eq!(client.frame().await, None, "{scheme}");
    }
    let mut client = node.client().await;
    let path = "/unproved";
    let error = client.error(&Request::Exists { path, watch: false }).await;
    assert_eq!(error, ErrorCode::NO_NODE);
    for name in [Some(&b"a"[..]), Some(b""), None] {
        assert_eq!(client.error(&auth("ensemble", name)).await, ErrorCode::OK);
    }
    assert_eq!(client.error(&auth("digest", Some(b""))).await, ErrorCode::OK);
    assert_eq!(client.error(&auth("ip", None)).await, ErrorCode::OK);
    assert_eq!(client.who().await, [pair("digest", ""), pair("ip", "127.0.0.1")]);
    let of = |what: &str| node.metric(&format!("ensemble_auth_{what}"));
    assert_eq!((of("success"), of("fail"), of("skip")), (1.0, 1.0, 2.0));
    node.still_works().await;
}

#[tokio::test]
async fn the_super_user_passes_every_list_by_the_configured_hash() {
    for algorithm in [DigestAlgorithm::Sha1, DigestAlgorithm::Sha256, DigestAlgorithm::Sha3_256] {
        let super_digest = Some(digest_id(algorithm, b"super:admin"));
        let rules =
            Authentication { super_digest, digest_algorithm: algorithm, ..Default::default() };
        let node = with(rules).await;
        let mut owner = node.client().await;
        assert_eq!(owner.error(&auth("digest", Some(b"owner:x"))).await, ErrorCode::OK);
        let list = only("digest", &digest_id(algorithm, b"owner:x"));
        assert_eq!(owner.error(&create("/own", b"1", list)).await, ErrorCode::OK);
        assert_eq!(owner.get("/own").await, b"1");
        let mut other = node.client().await;
        let read = Request::GetData { path: "/own", watch: false };
        assert_eq!(other.error(&read).await, ErrorCode::NO_AUTH);
        assert_eq!(other.error(&auth("digest", Some(b"super:admin"))).await, ErrorCode::OK);
        assert_eq!(other.get("/own").await, b"1");
        node.still_works().await;
    }
}

#[tokio::test]
async fn a_scheme_that_is_off_neither_proves_nor_protects() {
    let node = with(Authentication { no_digest: true, ..Default::default() }).await;
    let mut client = node.client().await;
    let error = client.error(&create("/n", b"", only("digest", "u:h"))).await;
    assert_eq!(error, ErrorCode::INVALID_ACL);
    for (scheme, id) in [("x509", "x"), ("sasl", "a@b@c"), ("super", "x"), ("what", "x")] {
        let error = client.error(&create("/n", b"", only(scheme, id))).await;
        assert_eq!(error, ErrorCode::INVALID_ACL, "{scheme}");
    }
    for (path, scheme, id) in [("/x", "x509", "CN=a,O=b"), ("/s", "sasl", "bob")] {
        assert_eq!(client.error(&create(path, b"", only(scheme, id))).await, ErrorCode::OK);
    }
    assert_eq!(client.error(&auth("digest", Some(b"u:p"))).await, ErrorCode::AUTH_FAILED);
    client.ends().await;
    node.still_works().await;
}

#[tokio::test]
async fn who_must_prove_a_scheme_can_do_nothing_before() {
    let required_schemes = vec!["digest".to_owned()];
    let node = with(Authentication { required_schemes, ..Default::default() }).await;
    for request in [Request::Ping, Request::WhoAmI, create("/n", b"", Acl::open())] {
        let mut client = node.client().await;
        let error = client.error(&request).await;
        assert_eq!(error, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
        assert_eq!(client.frame().await, None);
    }
    let mut client = node.client().await;
    assert_eq!(client.error(&auth("digest", Some(b"u:p"))).await, ErrorCode::OK);
    client.create("/n", b"").await;
}

#[tokio::test]
async fn times_to_live_can_be_switched_off() {
    let ask = |flags| Create {
        op: OpCode::CreateTtl,
        path: "/t",
        data: None,
        acl: Acl::open(),
        flags,
        ttl_ms: 60_000,
    };
    let node = Node::start(Settings { ttl: false, ..Settings::default() }).await;
    let mut client = node.client().await;
    for flags in [5, 6] {
        let error = client.error(&Request::Create(ask(flags))).await;
        assert_eq!(error, ErrorCode::UNIMPLEMENTED);
    }
    node.still_works().await;
    let node = Node::start(Settings::default()).await;
    assert_eq!(node.client().await.error(&Request::Create(ask(5))).await, ErrorCode::OK);
    node.still_works().await;
}
