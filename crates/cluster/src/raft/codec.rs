//! Our encoding of what openraft stores and sends.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes};
use openraft::entry::RaftEntry;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, Membership};
use polyport_base::{Millis, NodeId};
use polyport_wire::{Cursor, DecodeError};

use super::{Entry, LogId, Proposal, SnapshotMeta, StoredMembership, Types, Vote};
use crate::{Member, Members};

type LeaderId = openraft::alias::LeaderIdOf<Types>;

pub(crate) fn put_log_id(out: &mut Vec<u8>, id: &LogId) {
    out.put_u64(id.leader_id.term);
    out.put_u64(id.leader_id.node_id);
    out.put_u64(id.index);
}

pub(crate) fn log_id(cursor: &mut Cursor<'_>) -> Result<LogId, DecodeError> {
    let term = cursor.u64("log id")?;
    let node = cursor.u64("log id")?;
    Ok(LogId { leader_id: LeaderId::new(term, node), index: cursor.u64("log id")? })
}

pub(crate) fn put_opt_log_id(out: &mut Vec<u8>, id: Option<&LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

pub(crate) fn opt_log_id(cursor: &mut Cursor<'_>) -> Result<Option<LogId>, DecodeError> {
    match cursor.u8("log id")? {
        0 => Ok(None),
        _ => log_id(cursor).map(Some),
    }
}

pub(crate) fn put_vote(out: &mut Vec<u8>, vote: &Vote) {
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.node_id);
    out.put_u8(u8::from(vote.committed));
}

pub(crate) fn vote(cursor: &mut Cursor<'_>) -> Result<Vote, DecodeError> {
    let leader_id = LeaderId::new(cursor.u64("vote")?, cursor.u64("vote")?);
    Ok(Vote { leader_id, committed: cursor.u8("vote")? != 0 })
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership<u64, Member>) {
    let configs = membership.get_joint_config();
    out.put_u8(configs.len() as u8);
    for config in configs {
        out.put_u16(config.len() as u16);
        for node in config {
            out.put_u64(*node);
        }
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.put_u16(nodes.len() as u16);
    for (node, member) in nodes {
        out.put_u64(*node);
        member.encode(out);
    }
}

fn membership(cursor: &mut Cursor<'_>) -> Result<Membership<u64, Member>, DecodeError> {
    let at = cursor.position();
    let mut configs = Vec::new();
    for _ in 0..cursor.u8("membership")? {
        let mut config = BTreeSet::new();
        for _ in 0..cursor.u16("membership")? {
            config.insert(cursor.u64("membership")?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..cursor.u16("membership")? {
        nodes.insert(cursor.u64("membership")?, Member::decode(cursor)?);
    }
    Membership::new(configs, nodes).map_err(|_| DecodeError { at, what: "membership" })
}

pub(crate) fn encode_members(members: &Members) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u16(members.len() as u16);
    for (node, member) in members {
        out.put_u64(node.0);
        member.encode(&mut out);
    }
    out
}

pub(crate) fn decode_members(cursor: &mut Cursor<'_>) -> Result<Members, DecodeError> {
    let mut members = Members::new();
    for _ in 0..cursor.u16("members")? {
        members.insert(NodeId(cursor.u64("members")?), Member::decode(cursor)?);
    }
    Ok(members)
}

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// The part of an entry before its proposal's bytes, so that those need not be copied.
pub(crate) fn put_entry_head(out: &mut Vec<u8>, entry: &Entry) {
    put_log_id(out, &entry.log_id);
    match &entry.payload {
        EntryPayload::Blank => out.put_u8(BLANK),
        EntryPayload::Normal(proposal) => {
            out.put_u8(NORMAL);
            out.put_i64(proposal.time.0);
        }
        EntryPayload::Membership(membership) => {
            out.put_u8(MEMBERSHIP);
            put_membership(out, membership);
        }
    }
}

/// The proposal's bytes of an entry.
pub(crate) fn entry_tail(entry: &Entry) -> &[u8] {
    match &entry.payload {
        EntryPayload::Normal(proposal) => &proposal.bytes,
        _ => &[],
    }
}

/// Reads head and tail. `bytes` is the buffer under the cursor: the proposal shares it.
pub(crate) fn entry(bytes: &Bytes) -> Result<Entry, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let id = log_id(&mut cursor)?;
    let payload = match cursor.u8("kind of entry")? {
        BLANK => EntryPayload::Blank,
        NORMAL => {
            let time = Millis(cursor.i64("entry time")?);
            EntryPayload::Normal(Proposal { time, bytes: bytes.slice(cursor.position()..) })
        }
        MEMBERSHIP => EntryPayload::Membership(membership(&mut cursor)?),
        _ => return Err(cursor.error("kind of entry")),
    };
    Ok(Entry::new(id, payload))
}

/// `stranded`: whether the leader that sends it has no majority.
pub(crate) fn encode_append(request: &AppendEntriesRequest<Types>, stranded: bool) -> Bytes {
    let tails: usize = request.entries.iter().map(|entry| entry_tail(entry).len() + 48).sum();
    let mut out = Vec::with_capacity(96 + tails);
    out.put_u8(u8::from(stranded));
    put_vote(&mut out, &request.vote);
    put_opt_log_id(&mut out, request.prev_log_id.as_ref());
    put_opt_log_id(&mut out, request.leader_commit.as_ref());
    out.put_u32(request.entries.len() as u32);
    for entry in &request.entries {
        let start = out.len();
        out.put_u32(0);
        put_entry_head(&mut out, entry);
        out.put_slice(entry_tail(entry));
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }
    out.into()
}

pub(crate) fn decode_append(
    bytes: &Bytes,
) -> Result<(AppendEntriesRequest<Types>, bool), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let stranded = cursor.u8("append")? != 0;
    let vote = vote(&mut cursor)?;
    let prev_log_id = opt_log_id(&mut cursor)?;
    let leader_commit = opt_log_id(&mut cursor)?;
    let mut entries = Vec::new();
    for _ in 0..cursor.u32("entries")? {
        let len = cursor.u32("entry")? as usize;
        let start = cursor.position();
        cursor.take(len, "entry")?;
        entries.push(entry(&bytes.slice(start..start + len))?);
    }
    cursor.finish()?;
    Ok((AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }, stranded))
}

pub(crate) fn encode_append_result(result: &StreamAppendResult<Types>) -> Bytes {
    let mut out = Vec::new();
    match result {
        Ok(id) => {
            out.put_u8(0);
            put_opt_log_id(&mut out, id.as_ref());
        }
        Err(StreamAppendError::Conflict(id)) => {
            out.put_u8(1);
            put_log_id(&mut out, id);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            out.put_u8(2);
            put_vote(&mut out, vote);
        }
    }
    out.into()
}

pub(crate) fn decode_append_result(bytes: &[u8]) -> Result<StreamAppendResult<Types>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    Ok(match cursor.u8("append result")? {
        0 => Ok(opt_log_id(&mut cursor)?),
        1 => Err(StreamAppendError::Conflict(log_id(&mut cursor)?)),
        _ => Err(StreamAppendError::HigherVote(vote(&mut cursor)?)),
    })
}

pub(crate) fn put_vote_request(out: &mut Vec<u8>, request: &VoteRequest<Types>) {
    put_vote(out, &request.vote);
    put_opt_log_id(out, request.last_log_id.as_ref());
    out.put_u8(u8::from(request.leadership_transfer));
}

pub(crate) fn vote_request(cursor: &mut Cursor<'_>) -> Result<VoteRequest<Types>, DecodeError> {
    let mut request = VoteRequest::new(vote(cursor)?, opt_log_id(cursor)?);
    request.leadership_transfer = cursor.u8("leadership transfer")? != 0;
    Ok(request)
}

pub(crate) fn put_vote_response(out: &mut Vec<u8>, response: &VoteResponse<Types>) {
    put_vote(out, &response.vote);
    put_opt_log_id(out, response.last_log_id.as_ref());
    out.put_u8(u8::from(response.vote_granted));
}

pub(crate) fn vote_response(cursor: &mut Cursor<'_>) -> Result<VoteResponse<Types>, DecodeError> {
    let vote = vote(cursor)?;
    let last = opt_log_id(cursor)?;
    Ok(VoteResponse::new(vote, last, cursor.u8("vote granted")? != 0))
}

pub(crate) fn put_transfer(out: &mut Vec<u8>, request: &TransferLeaderRequest<Types>) {
    put_vote(out, request.from_leader());
    out.put_u64(*request.to_node_id());
    put_opt_log_id(out, request.last_log_id());
}

pub(crate) fn transfer(
    cursor: &mut Cursor<'_>,
) -> Result<TransferLeaderRequest<Types>, DecodeError> {
    let from = vote(cursor)?;
    let to = cursor.u64("transfer target")?;
    Ok(TransferLeaderRequest::new(from, to, opt_log_id(cursor)?))
}

pub(crate) fn encode_meta(meta: &SnapshotMeta) -> Vec<u8> {
    let mut out = Vec::new();
    put_opt_log_id(&mut out, meta.last_log_id.as_ref());
    put_opt_log_id(&mut out, meta.last_membership.log_id().as_ref());
    put_membership(&mut out, meta.last_membership.membership());
    out
}

pub(crate) fn decode_meta(bytes: &[u8]) -> Result<SnapshotMeta, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let last_log_id = opt_log_id(&mut cursor)?;
    let at = opt_log_id(&mut cursor)?;
    let last_membership = StoredMembership::new(at, membership(&mut cursor)?);
    cursor.finish()?;
    Ok(SnapshotMeta { last_log_id, last_membership })
}

pub(crate) fn snapshot_response(bytes: &[u8]) -> Result<SnapshotResponse<Types>, DecodeError> {
    Ok(SnapshotResponse::new(vote(&mut Cursor::new(bytes))?))
}
