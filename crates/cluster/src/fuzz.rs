//! The private decoders, for the fuzz targets. Not an interface.

use bytes::{BufMut, Bytes};
use futures_util::FutureExt;
use polyport_base::NodeId;
use polyport_wire::Cursor;
use tokio::sync::mpsc;

use crate::node::{ClusterError, Standing, decode_standing};
use crate::raft::fuzzing as raft;
use crate::transport::fuzzing as transport;
use crate::{Member, Members, Role, Status, operator};

/// Feeds a frame to the decoder that its first byte chooses.
pub fn frame(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => {
            if let Ok(members) = crate::raft::decode_members(&mut Cursor::new(bytes)) {
                let again = crate::raft::encode_members(&members);
                let again = crate::raft::decode_members(&mut Cursor::new(&again));
                assert_eq!(again.as_ref(), Ok(&members));
            }
        }
        _ => raft::decode(&Bytes::copy_from_slice(bytes)),
    }
}

/// What nodes answer an operator and each other: the first byte chooses the answer.
pub fn answer(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            let Ok(known) = operator::decode(bytes) else { return };
            let again = operator::decode(&description(&status(&known), known.applied));
            assert_eq!(again.as_ref(), Ok(&known));
        }
        1 => {
            let _ = decode_standing(bytes);
        }
        _ => {
            let _ = ClusterError::from_answer(bytes);
        }
    }
}

fn status(known: &operator::Description) -> Status {
    Status {
        node: known.node,
        standing: known.standing,
        leader: known.leader,
        term: known.term,
        members: known.members.clone(),
        members_index: known.members_index,
        in_quorum: known.in_quorum,
        forgetful: known.forgetful,
        ..Status::default()
    }
}

fn description(status: &Status, applied: u64) -> Vec<u8> {
    let mut out = Vec::new();
    operator::encode(&mut out, status, applied);
    out
}

/// What a stranger sends to the node port, or answers from one: the first byte chooses the side. No
/// stranger is ever taken for a node.
pub fn handshake(bytes: &[u8]) {
    let Some((side, bytes)) = bytes.split_first() else { return };
    assert!(transport::handshake(side % 2 == 0, bytes).is_err(), "taken for a node");
}

/// Frames of an authenticated node: each that arrives is one that was sent, whole.
pub fn frames(bytes: &[u8]) {
    let (sender, mut receiver) = mpsc::channel(bytes.len() + 1);
    // All bytes are there: nothing is waited for.
    let ended = transport::read_frames(bytes, &sender).now_or_never();
    assert!(ended.is_some(), "waits for bytes that never come");
    let mut sent = Vec::new();
    while let Ok(frame) = receiver.try_recv() {
        sent.put_u32(frame.len() as u32);
        sent.put_slice(&frame);
    }
    assert!(bytes.starts_with(&sent), "frames are not what was sent");
}

/// Well-formed answers.
pub fn answers() -> Vec<Vec<u8>> {
    let status = Status {
        node: NodeId(1),
        standing: Standing::Leading,
        leader: Some(NodeId(1)),
        term: 3,
        members: Members::from([(NodeId(1), Member::voter("127.0.0.1:7700"))]),
        members_index: 9,
        in_quorum: true,
        ..Status::default()
    };
    let members = crate::raft::encode_members(&status.members);
    vec![
        [&[0][..], &description(&status, 11)].concat(),
        [&[1, 3][..], &[0; 16], &members].concat(),
        b"\x02\x00\0\0\0\0\0\0\0\x07".to_vec(),
        b"\x02\x02the version is 17".to_vec(),
    ]
}

/// What begins like a handshake.
pub fn handshakes() -> Vec<Vec<u8>> {
    let hello = [b"\0PPN1".as_slice(), &[7; 64]].concat();
    vec![hello, [&[1][..], &[7; 64]].concat()]
}

/// Several frames, the last cut short.
pub fn streams() -> Vec<Vec<u8>> {
    vec![b"\0\0\0\x03abc\0\0\0\0\0\0\0\x09cut".to_vec()]
}

/// Well-formed frames.
pub fn seeds() -> Vec<Vec<u8>> {
    let member = Member {
        address: "h:7700".to_owned(),
        quorum: "h:2888:3888".to_owned(),
        client: "h:2181".to_owned(),
        role: Role::Observer,
    };
    let members =
        Members::from([(NodeId(1), Member::voter("127.0.0.1:7700")), (NodeId(2), member)]);
    let mut seeds = vec![[&[0][..], &crate::raft::encode_members(&members)].concat()];
    for body in raft::seeds(&members) {
        let mut seed = Vec::with_capacity(1 + body.len());
        seed.put_u8(1);
        seed.put_slice(&body);
        seeds.push(seed);
    }
    seeds
}
