//! openraft's messages in our encoding, for the fuzz targets.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, Membership};
use polyport_base::Millis;
use polyport_wire::Cursor;

use super::codec;
use super::{Entry, LogId, Proposal, SnapshotMeta, StoredMembership, Types, Vote};
use crate::Members;

/// The first byte chooses the message. What decodes must encode to what decodes the same.
pub(crate) fn decode(bytes: &Bytes) {
    let Some(kind) = bytes.first() else { return };
    let body = bytes.slice(1..);
    let mut cursor = Cursor::new(&body);
    let mut out = Vec::new();
    match kind % 8 {
        0 => {
            if let Ok(request) = codec::decode_append(&body) {
                let again = codec::decode_append(&codec::encode_append(&request.0, request.1));
                assert!(again.is_ok_and(|again| again.0.entries == request.0.entries));
            }
        }
        1 => {
            if let Ok(result) = codec::decode_append_result(&body) {
                codec::encode_append_result(&result);
            }
        }
        2 => {
            if let Ok(request) = codec::vote_request(&mut cursor) {
                codec::put_vote_request(&mut out, &request);
                assert!(codec::vote_request(&mut Cursor::new(&out)).is_ok());
            }
        }
        3 => {
            if let Ok(response) = codec::vote_response(&mut cursor) {
                codec::put_vote_response(&mut out, &response);
                assert!(codec::vote_response(&mut Cursor::new(&out)).is_ok());
            }
        }
        4 => {
            if let Ok(request) = codec::transfer(&mut cursor) {
                codec::put_transfer(&mut out, &request);
                assert!(codec::transfer(&mut Cursor::new(&out)).is_ok());
            }
        }
        5 => {
            if let Ok(meta) = codec::decode_meta(&body) {
                let again = codec::decode_meta(&codec::encode_meta(&meta));
                assert!(again.is_ok_and(|again| again == meta));
            }
        }
        6 => drop(codec::snapshot_response(&body)),
        _ => {
            if let Ok(entry) = codec::entry(&body) {
                codec::put_entry_head(&mut out, &entry);
                out.extend_from_slice(codec::entry_tail(&entry));
                assert!(codec::entry(&out.into()).is_ok_and(|again| again == entry));
            }
        }
    }
}

/// Well-formed messages with the byte that chooses them.
pub(crate) fn seeds(members: &Members) -> Vec<Vec<u8>> {
    let leader = openraft::alias::LeaderIdOf::<Types>::new(3, 1);
    let id = |index| LogId { leader_id: leader, index };
    let vote = Vote { leader_id: leader, committed: true };
    let voters: BTreeSet<u64> = members.keys().map(|node| node.0).collect();
    let nodes: BTreeMap<u64, _> = members.iter().map(|(n, m)| (n.0, m.clone())).collect();
    let Ok(membership) = Membership::new(vec![voters], nodes) else { return Vec::new() };
    let proposal = Proposal { time: Millis(9), bytes: Bytes::from_static(b"proposal") };
    let entries = vec![
        Entry::new(id(1), EntryPayload::Membership(membership.clone())),
        Entry::new(id(2), EntryPayload::Blank),
        Entry::new(id(3), EntryPayload::Normal(proposal)),
    ];
    let with = |kind: u8, body: &[u8]| [&[kind], body].concat();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for entry in &entries {
        let mut body = Vec::new();
        codec::put_entry_head(&mut body, entry);
        body.extend_from_slice(codec::entry_tail(entry));
        seeds.push(with(7, &body));
    }
    let append = AppendEntriesRequest::<Types> {
        vote,
        prev_log_id: Some(id(0)),
        entries,
        leader_commit: None,
    };
    seeds.push(with(0, &codec::encode_append(&append, false)));
    seeds.push(with(1, &codec::encode_append_result(&Ok(Some(id(3))))));
    let mut body = Vec::new();
    codec::put_vote_request(&mut body, &VoteRequest::new(vote, Some(id(3))));
    seeds.push(with(2, &body));
    let stored = StoredMembership::new(Some(id(1)), membership);
    let meta = SnapshotMeta { last_log_id: Some(id(3)), last_membership: stored };
    seeds.push(with(5, &codec::encode_meta(&meta)));
    seeds
}
