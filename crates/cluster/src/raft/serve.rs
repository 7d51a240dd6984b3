//! What other nodes ask of this one.

mod operators;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use futures_util::StreamExt;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::AppendEntriesRequest;
use openraft::storage::Snapshot;
use parking_lot::Mutex;
use polyport_base::{Clock, NodeId};
use polyport_storage::disk::Disk;
use polyport_storage::snapshot::SnapshotStore;
use polyport_wire::Cursor;
use tokio::sync::watch;

use super::network::{Kind, question};
use super::state_machine::SnapshotFile;
use super::{Proposal, Raft, Refused, Types, codec};
use crate::StateMachine;
use crate::content::Content;
use crate::node::{Amnesia, Change, Channels, Heard, OnNote, Status, reconfigure, standing_of};
use crate::operator;
use crate::proposals::frame;
use crate::transport::{Connection, closed};

/// What a node serves its peers with.
pub(crate) struct Inbound<D: Disk, S: StateMachine> {
    pub(crate) raft: Raft<D, S>,
    pub(crate) snapshots: SnapshotStore<D>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) heard: Heard,
    /// What this node may have forgotten that it promised.
    pub(crate) amnesia: Arc<Amnesia>,
    pub(crate) on_note: OnNote,
    pub(crate) change: Change,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) content: Arc<OnceLock<Content>>,
    pub(crate) channels: Channels,
}

impl<D: Disk, S: StateMachine> Clone for Inbound<D, S> {
    fn clone(&self) -> Self {
        Self {
            raft: self.raft.clone(),
            snapshots: self.snapshots.clone(),
            clock: self.clock.clone(),
            heard: self.heard.clone(),
            amnesia: self.amnesia.clone(),
            on_note: self.on_note.clone(),
            change: self.change.clone(),
            status: self.status.clone(),
            content: self.content.clone(),
            channels: self.channels.clone(),
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

pub(crate) use operators::take_backup;

/// Serves one connection until it ends.
pub(crate) async fn serve<D: Disk, S: StateMachine>(
    inbound: Inbound<D, S>,
    mut connection: Connection,
) -> io::Result<()> {
    let hello = tokio::time::timeout(Duration::from_secs(2), connection.receiver.recv());
    let hello = hello.await?.ok_or_else(closed)?;
    let mut cursor = Cursor::new(&hello);
    let kind = Kind::from_u8(cursor.u8("kind of connection").map_err(malformed)?);
    let from = NodeId(cursor.u64("node").map_err(malformed)?);
    match kind {
        Some(Kind::Append) => appends(&inbound, connection).await,
        Some(Kind::Question) => questions(&inbound, connection).await,
        Some(Kind::Snapshot) => snapshot(&inbound, connection).await,
        Some(Kind::Backup) => operators::backup(&inbound, connection).await,
        Some(Kind::Restore) => operators::restore(&inbound, connection).await,
        Some(Kind::Proposals) => proposals(&inbound, from, connection).await,
        Some(Kind::Channel) => inbound.channels.take(cursor.rest(), from, connection),
        None => Err(malformed("unknown kind of connection: is the other node newer?")),
    }
}

/// Whether this node may listen to the sender of a request.
fn admit(amnesia: &Amnesia, request: &AppendEntriesRequest<Types>) -> io::Result<()> {
    let committed = request.leader_commit.map(|id| (id.leader_id.term, id.index));
    amnesia.admit(request.vote.leader_id.term, committed)
}

async fn appends<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    connection: Connection,
) -> io::Result<()> {
    let Connection { sender, receiver } = connection;
    let ended = Arc::new(Mutex::new(None));
    // openraft has a task that takes requests from this as they come.
    let state = (receiver, inbound.heard.clone(), inbound.amnesia.clone(), ended.clone());
    let requests =
        futures_util::stream::unfold(state, |(mut receiver, heard, amnesia, ended)| async {
            let frame = receiver.recv().await?;
            let request = codec::decode_append(&frame).map_err(malformed);
            let admitted = request.and_then(|(request, stranded)| {
                admit(&amnesia, &request)?;
                if !stranded {
                    heard.now();
                }
                Ok(request)
            });
            match admitted {
                Ok(request) => Some((request, (receiver, heard, amnesia, ended))),
                Err(error) => {
                    *ended.lock() = Some(error);
                    None
                }
            }
        });
    let mut results = std::pin::pin!(inbound.raft.stream_append(requests));
    while let Some(result) = results.next().await {
        let result = result.map_err(malformed)?;
        sender.send(codec::encode_append_result(&result)).await.map_err(|_| closed())?;
    }
    let error = ended.lock().take();
    error.map_or(Ok(()), Err)
}

async fn questions<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    mut connection: Connection,
) -> io::Result<()> {
    while let Some(frame) = connection.receiver.recv().await {
        let answer = answer(inbound, &frame).await?;
        connection.sender.send(answer).await.map_err(|_| closed())?;
    }
    Ok(())
}

async fn answer<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    frame: &Bytes,
) -> io::Result<Bytes> {
    let raft = &inbound.raft;
    let mut cursor = Cursor::new(frame);
    let mut out = Vec::new();
    match cursor.u8("question").map_err(malformed)? {
        tag @ (question::VOTE | question::PRE_VOTE) => {
            let request = codec::vote_request(&mut cursor).map_err(malformed)?;
            inbound.amnesia.check()?;
            let response = match tag {
                question::VOTE => raft.vote(request).await,
                _ => raft.pre_vote(request).await,
            };
            codec::put_vote_response(&mut out, &response.map_err(malformed)?);
        }
        question::APPEND => {
            let (request, stranded) = codec::decode_append(&frame.slice(1..)).map_err(malformed)?;
            admit(&inbound.amnesia, &request)?;
            if !stranded {
                inbound.heard.now();
            }
            let stream = futures_util::stream::iter([request]);
            let mut results = std::pin::pin!(raft.stream_append(stream));
            let result = results.next().await.ok_or_else(closed)?.map_err(malformed)?;
            return Ok(codec::encode_append_result(&result));
        }
        question::TRANSFER => {
            inbound.amnesia.check()?;
            let request = codec::transfer(&mut cursor).map_err(malformed)?;
            let done = raft.handle_transfer_leader(request).await.map_err(malformed)?;
            done.map_err(malformed)?;
            out.put_u8(0);
        }
        question::DESCRIBE => {
            let applied = raft.metrics().borrow_watched().last_applied.map_or(0, |id| id.index);
            operator::encode(&mut out, &inbound.status.borrow(), applied);
        }
        question::CONTENT => {
            let content = inbound.content.get();
            let told = content.map_or_else(String::new, |content| (content.describe)());
            out.put_slice(told.as_bytes());
        }
        question::STATUS => {
            standing_of(raft, &inbound.amnesia).encode(&mut out);
        }
        question::RECONFIGURE => {
            let version = cursor.u64("configuration version").map_err(malformed)?;
            let version = (version != u64::MAX).then_some(version);
            let members = codec::decode_members(&mut cursor).map_err(malformed)?;
            match reconfigure(raft, &inbound.change, members, version).await {
                Ok(index) => {
                    out.put_u8(0);
                    out.put_u64(index);
                }
                Err(error) => {
                    out.put_u8(error.code());
                    out.put_slice(error.to_string().as_bytes());
                }
            }
        }
        _ => return Err(malformed("unknown question: is the other node newer?")),
    }
    Ok(out.into())
}

async fn snapshot<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    mut connection: Connection,
) -> io::Result<()> {
    let head = connection.receiver.recv().await.ok_or_else(closed)?;
    let mut cursor = Cursor::new(&head);
    let vote = codec::vote(&mut cursor).map_err(malformed)?;
    let len = cursor.u64("snapshot length").map_err(malformed)?;
    let meta = codec::decode_meta(cursor.rest()).map_err(malformed)?;
    inbound.amnesia.admit(vote.leader_id.term, None)?;
    let mut receiver = inbound.snapshots.receive(len)?;
    while receiver.received() < len {
        let Some(piece) = connection.receiver.recv().await else {
            receiver.abort()?;
            return Err(closed());
        };
        inbound.heard.now();
        let offset = receiver.received();
        if let Err(error) = receiver.write(offset, &piece) {
            let error = io::Error::from(error);
            receiver.abort()?;
            return Err(error);
        }
    }
    let file = SnapshotFile(receiver.finish()?);
    tracing::info!(bytes = len, "received a snapshot from the leader");
    let snapshot = Snapshot { meta, snapshot: file };
    let answer = inbound.raft.install_full_snapshot(vote, snapshot).await.map_err(malformed)?;
    let mut out = Vec::new();
    codec::put_vote(&mut out, &answer.vote);
    connection.sender.send(out.into()).await.map_err(|_| closed())
}

/// Another node's proposals, while this one leads and takes them. Closing the connection says that it
/// does not.
async fn proposals<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    from: NodeId,
    mut connection: Connection,
) -> io::Result<()> {
    let refused = Refused::default();
    loop {
        let received = tokio::select! {
            received = connection.receiver.recv() => received,
            () = refused.told() => None,
        };
        let Some(bytes) = received else { return Ok(()) };
        if !inbound.raft.is_leader() {
            return Ok(());
        }
        match bytes.first() {
            Some(&frame::PROPOSAL) => {
                let proposal = Proposal { time: inbound.clock.now(), bytes: bytes.slice(1..) };
                let receipt = Some(refused.receipt());
                inbound.raft.client_write_ff(proposal, receipt).await.map_err(malformed)?;
            }
            Some(&frame::NOTE) => (inbound.on_note)(from, &bytes[1..]),
            _ => return Err(malformed("unknown frame on a connection for proposals")),
        }
    }
}
