//! What ZooKeeper's clients and servers send.

use polyport_tree::{Acl, CreateMode, EventKind, Stat};
use polyport_wire::Cursor;
use polyport_zookeeper::codec::multi::{MultiOp, MultiReadOp};
use polyport_zookeeper::codec::request::{Create, WatchLists};
use polyport_zookeeper::codec::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, ReplyHeader, Request, RequestHeader,
    Response, WatcherEvent,
};

/// A request: header and body, without the frame's length.
pub fn zk_request(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let Ok(header) = RequestHeader::decode(&mut cursor) else { return };
    let Some(op) = OpCode::from_i32(header.op) else { return };
    let Ok(request) = Request::decode(op, &mut cursor) else { return };
    let mut again = Vec::new();
    request.encode(&mut again);
    let decoded = Request::decode(op, &mut Cursor::new(&again));
    assert_eq!(decoded.as_ref(), Ok(&request), "what was decoded encodes to the same");
}

/// A handshake, of either side.
pub fn zk_connect(bytes: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(bytes) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(ConnectRequest::decode(&again).as_ref(), Ok(&request));
    }
    if let Ok(response) = ConnectResponse::decode(bytes) {
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(ConnectResponse::decode(&again).as_ref(), Ok(&response));
    }
}

/// A reply as a client reads it. The first four bytes choose the operation it answers.
pub fn zk_reply(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let Ok(op) = cursor.i32("operation") else { return };
    if ReplyHeader::decode(&mut cursor).is_err() {
        return;
    }
    let _ = WatcherEvent::decode(&mut cursor.clone());
    let Some(op) = OpCode::from_i32(op) else { return };
    if let Ok(response) = Response::decode(op, &mut cursor) {
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(Response::decode(op, &mut Cursor::new(&again)).as_ref(), Ok(&response));
    }
}

fn create(op: OpCode, mode: CreateMode, ttl_ms: i64) -> Create<'static> {
    let acl = Acl::open();
    Create { op, path: "/a/b", data: Some(b"data"), acl, flags: mode.flag(), ttl_ms }
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let lists = WatchLists {
        relative_zxid: 7,
        data: vec!["/a", "/b"],
        exist: vec!["/c"],
        child: vec!["/d"],
        ..WatchLists::default()
    };
    let more =
        WatchLists { persistent: vec!["/e"], persistent_recursive: vec!["/f"], ..lists.clone() };
    let multi = vec![
        MultiOp::Create(create(OpCode::Create, CreateMode::Persistent, 0)),
        MultiOp::Create(create(OpCode::CreateTtl, CreateMode::PersistentWithTtl, 1000)),
        MultiOp::SetData { path: "/a", data: None, version: -1 },
        MultiOp::Check { path: "/a", version: 3 },
        MultiOp::Delete { path: "/a/b", version: 0 },
    ];
    let reads = vec![MultiReadOp::GetData { path: "/a" }, MultiReadOp::GetChildren { path: "/" }];
    let all = [
        Request::Create(create(OpCode::Create2, CreateMode::EphemeralSequential, 0)),
        Request::Create(create(OpCode::CreateTtl, CreateMode::PersistentWithTtl, 5000)),
        Request::SetData { path: "/a", data: Some(b"new"), version: 2 },
        Request::SetAcl { path: "/a", acl: Acl::open(), version: -1 },
        Request::GetData { path: "/a", watch: true },
        Request::Multi(multi),
        Request::MultiRead(reads),
        Request::SetWatches(lists),
        Request::SetWatches2(more),
        Request::Auth { scheme: "digest", auth: b"user:password" },
        Request::Reconfig {
            joining: Some("server.4=h:1:2;3"),
            leaving: None,
            new_members: None,
            version: -1,
        },
        Request::RemoveWatches { path: "/a", kind: 3 },
        Request::WhoAmI,
    ];
    let body = |request: &Request<'_>| {
        let mut frame = Vec::new();
        request.encode_frame(1, &mut frame);
        frame.split_off(4)
    };
    all.iter().map(body).collect()
}

pub(crate) fn connects() -> Vec<Vec<u8>> {
    let mut request = Vec::new();
    let asked = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 9,
        timeout_ms: 30_000,
        session_id: 1,
        password: &[7; 16],
        read_only: Some(true),
    };
    asked.encode(&mut request);
    let mut old = Vec::new();
    ConnectRequest { read_only: None, ..asked }.encode(&mut old);
    vec![request, old]
}

pub(crate) fn replies() -> Vec<Vec<u8>> {
    let stat = Stat::default();
    let result = |op, response| Ok((op, response));
    let multi = vec![
        result(OpCode::Create, Response::Path("/a".to_owned())),
        result(OpCode::SetData, Response::Stat(stat)),
        Err(ErrorCode(-101)),
    ];
    let all = [
        (OpCode::GetData, Response::Data(Some(b"data".to_vec()), stat)),
        (OpCode::GetAcl, Response::Acl(Acl::open(), stat)),
        (OpCode::GetChildren2, Response::ChildrenStat(vec!["a".to_owned()], stat)),
        (OpCode::Multi, Response::Multi(multi)),
        (OpCode::WhoAmI, Response::WhoAmI(vec![("ip".to_owned(), "::1".to_owned())])),
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (op, response) in all {
        let mut bytes = i32::from(op).to_be_bytes().to_vec();
        ReplyHeader { xid: 1, zxid: 2, err: ErrorCode::OK }.encode(&mut bytes);
        response.encode(&mut bytes);
        seeds.push(bytes);
    }
    let mut event = i32::from(OpCode::Exists).to_be_bytes().to_vec();
    ReplyHeader { xid: -1, zxid: 2, err: ErrorCode::OK }.encode(&mut event);
    WatcherEvent { kind: EventKind::NodeCreated, state: 3, path: "/a".to_owned() }
        .encode(&mut event);
    seeds.push(event);
    seeds
}
