//! openraft's messages to one peer.
//!
//! A connection begins with a frame that says what it is for ([`Kind`]). Appends are pipelined on a
//! connection of their own; votes and the like are questions and answers on another; a snapshot
//! takes a third.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use futures_util::{Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend, RaftNetworkFactory};
use parking_lot::Mutex;
use polyport_storage::disk::Disk;
use polyport_storage::snapshot::SnapshotStore;
use polyport_wire::{Cursor, DecodeError};

use super::state_machine::SnapshotFile;
use super::{Types, Vote, codec};
use crate::Member;
use crate::node::Shared;
use crate::transport::{Connection, Transport, closed};

/// What a connection is for: its first frame's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Append = 1,
    Question = 2,
    Snapshot = 3,
    Proposals = 4,
    Backup = 5,
    Restore = 6,
    /// Frames of a service above the cluster, whose name follows.
    Channel = 7,
}

impl Kind {
    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        use Kind::{Append, Backup, Channel, Proposals, Question, Restore, Snapshot};
        [Append, Question, Snapshot, Proposals, Backup, Restore, Channel]
            .into_iter()
            .find(|kind| *kind as u8 == value)
    }
}

/// The first byte of a question.
pub(crate) mod question {
    pub(crate) const VOTE: u8 = 1;
    pub(crate) const PRE_VOTE: u8 = 2;
    pub(crate) const APPEND: u8 = 3;
    pub(crate) const TRANSFER: u8 = 4;
    /// Who are you, and are you part of a cluster?
    pub(crate) const STATUS: u8 = 5;
    /// Change the membership, please.
    pub(crate) const RECONFIGURE: u8 = 6;
    /// How do you stand?
    pub(crate) const DESCRIBE: u8 = 7;
    /// What do you hold?
    pub(crate) const CONTENT: u8 = 8;
}

/// Bytes of a snapshot in one frame.
const PIECE: usize = 256 * 1024;

/// Connects to members.
#[derive(Debug)]
pub(crate) struct Dialer<T, D: Disk> {
    transport: T,
    node: u64,
    snapshots: SnapshotStore<D>,
    shared: Shared,
    _disk: PhantomData<D>,
}

impl<T: Clone, D: Disk> Clone for Dialer<T, D> {
    fn clone(&self) -> Self {
        let shared = self.shared.clone();
        Self::new(self.transport.clone(), self.node, self.snapshots.clone(), shared)
    }
}

impl<T, D: Disk> Dialer<T, D> {
    pub(crate) fn new(
        transport: T,
        node: u64,
        snapshots: SnapshotStore<D>,
        shared: Shared,
    ) -> Self {
        Self { transport, node, snapshots, shared, _disk: PhantomData }
    }
}

impl<T: Transport, D: Disk> Dialer<T, D> {
    /// Connects and says what for.
    pub(crate) async fn dial(&self, address: &str, kind: Kind) -> io::Result<Connection> {
        self.dial_for(address, kind, "").await
    }

    /// Connects for a service above the cluster.
    ///
    /// # Errors
    /// `NotFound` if there is no such member.
    pub(crate) async fn open(&self, node: u64, service: &str) -> io::Result<Connection> {
        let address = self.shared.addresses.read().get(&node).cloned();
        let address = address.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("node {node} is not a member"))
        })?;
        self.dial_for(&address, Kind::Channel, service).await
    }

    async fn dial_for(&self, address: &str, kind: Kind, service: &str) -> io::Result<Connection> {
        let connection = self.transport.connect(address).await?;
        let mut hello = Vec::with_capacity(9 + service.len());
        hello.put_u8(kind as u8);
        hello.put_u64(self.node);
        hello.put_slice(service.as_bytes());
        connection.sender.send(hello.into()).await.map_err(|_| closed())?;
        Ok(connection)
    }

    /// One question on a connection of its own.
    pub(crate) async fn ask(
        &self,
        address: &str,
        question: Vec<u8>,
        patience: Duration,
    ) -> io::Result<Bytes> {
        let ask = async {
            let mut connection = self.dial(address, Kind::Question).await?;
            connection.sender.send(question.into()).await.map_err(|_| closed())?;
            connection.receiver.recv().await.ok_or_else(closed)
        };
        tokio::time::timeout(patience, ask).await?
    }
}

impl<T: Transport, D: Disk> RaftNetworkFactory<Types> for Dialer<T, D> {
    type Network = PeerNetwork<T, D>;

    async fn new_client(&mut self, target: u64, node: &Member) -> Self::Network {
        let known = node.address.clone();
        PeerNetwork { dialer: self.clone(), target, known, question: None, append: Arc::default() }
    }
}

/// One peer.
pub(crate) struct PeerNetwork<T, D: Disk> {
    dialer: Dialer<T, D>,
    target: u64,
    /// Its address when it became a peer.
    known: String,
    question: Option<Connection>,
    /// The connection for appends while no stream has it. openraft sends each heartbeat as a stream of
    /// one request.
    append: Arc<Mutex<Option<Connection>>>,
}

fn unreachable(error: io::Error) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&AnyError::new(&error)))
}

fn network(error: impl std::fmt::Display) -> RPCError<Types> {
    let error = io::Error::other(error.to_string());
    RPCError::Network(NetworkError::new(&AnyError::new(&error)))
}

impl<T: Transport, D: Disk> PeerNetwork<T, D> {
    async fn dial(&self, kind: Kind) -> io::Result<Connection> {
        let moved = self.dialer.shared.addresses.read().get(&self.target).cloned();
        self.dialer.dial(moved.as_ref().unwrap_or(&self.known), kind).await
    }

    async fn ask<R>(
        &mut self,
        question: Vec<u8>,
        option: &RPCOption,
        read: impl FnOnce(&mut Cursor<'_>) -> Result<R, DecodeError>,
    ) -> Result<R, RPCError<Types>> {
        let exchange = async {
            // Taken out: a question given up half-way must not leave its answer to the next.
            let mut connection = match self.question.take() {
                Some(connection) if connection.is_open() => connection,
                _ => self.dial(Kind::Question).await?,
            };
            connection.sender.send(question.into()).await.map_err(|_| closed())?;
            let answer = connection.receiver.recv().await.ok_or_else(closed)?;
            io::Result::Ok((connection, answer))
        };
        let exchange = tokio::time::timeout(option.hard_ttl(), exchange).await;
        let (connection, answer) =
            exchange.map_err(|late| unreachable(late.into()))?.map_err(unreachable)?;
        self.question = Some(connection);
        read(&mut Cursor::new(&answer)).map_err(network)
    }
}

/// Before a peer that could not be reached is dialled again for entries.
const REDIAL: Duration = Duration::from_millis(50);

/// The silence after which a peer that owes an answer counts as gone.
const SILENCE: Duration = Duration::from_secs(2);

impl<T: Transport, D: Disk> RaftNetworkV2<Types> for PeerNetwork<T, D> {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let mut question = vec![question::APPEND];
        question.put_slice(&codec::encode_append(
            &rpc,
            self.dialer.shared.stranded.load(Ordering::Acquire),
        ));
        let answer = self.ask(question, &option, |cursor| Ok(cursor.rest().to_vec())).await?;
        Ok(match codec::decode_append_result(&answer).map_err(network)? {
            Ok(last) if last == rpc.entries.last().map(|e| e.log_id).or(rpc.prev_log_id) => {
                AppendEntriesResponse::Success
            }
            Ok(last) => AppendEntriesResponse::PartialSuccess(last),
            error => AppendEntriesResponse::from(error),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            // Before dialling: here openraft makes a peer wait that could not be reached. Else a peer
            // that is down and refuses at once would be dialled again at once.
            let Some(first) = input.next().await else {
                let none: BoxStream<'s, _> = Box::pin(futures_util::stream::empty());
                return Ok(none);
            };
            let stranded = self.dialer.shared.stranded.clone();
            let kept = self.append.lock().take().filter(Connection::is_open);
            let connection = match kept {
                Some(connection) => connection,
                None => self.dial(Kind::Append).await.map_err(unreachable)?,
            };
            let Connection { sender, receiver } = connection;
            // One permit a request that waits for its answer.
            let (sent, awaited) = tokio::sync::mpsc::unbounded_channel();
            let sending = tokio::spawn(async move {
                let mut first = Some(first);
                loop {
                    let request = match first.take() {
                        first @ Some(_) => first,
                        None => tokio::select! {
                            request = input.next() => request,
                            () = sent.closed() => return None,
                        },
                    };
                    let Some(request) = request else { return Some(sender) };
                    let frame = codec::encode_append(&request, stranded.load(Ordering::Acquire));
                    if sent.send(()).is_err() || sender.send(frame).await.is_err() {
                        return None;
                    }
                }
            });
            let state = Some((awaited, receiver, sending, self.append.clone()));
            let answers = futures_util::stream::unfold(state, |state| async {
                let (mut awaited, mut receiver, sending, free) = state?;
                let Some(()) = awaited.recv().await else {
                    // Everything that was asked has been answered: the next stream may have it.
                    if let Ok(Some(sender)) = sending.await {
                        *free.lock() = Some(Connection { sender, receiver });
                    }
                    return None;
                };
                let answer = tokio::time::timeout(SILENCE, receiver.recv()).await;
                let answer = match answer {
                    Ok(Some(answer)) => answer,
                    Ok(None) => return Some((Err(unreachable(closed())), None)),
                    Err(late) => return Some((Err(unreachable(late.into())), None)),
                };
                match codec::decode_append_result(&answer) {
                    Ok(result) => {
                        let next = result.is_ok().then_some((awaited, receiver, sending, free));
                        Some((Ok(result), next))
                    }
                    Err(error) => Some((Err(network(error)), None)),
                }
            });
            let answers: BoxStream<'s, _> = Box::pin(answers);
            Ok(answers)
        })
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(REDIAL)))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let mut question = vec![question::VOTE];
        codec::put_vote_request(&mut question, &rpc);
        self.ask(question, &option, codec::vote_response).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let mut question = vec![question::PRE_VOTE];
        codec::put_vote_request(&mut question, &rpc);
        self.ask(question, &option, codec::vote_response).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<Types, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let gone = |error: io::Error| {
            StreamingError::Unreachable(Unreachable::new(&AnyError::new(&error)))
        };
        let send = async {
            let raw = self.dialer.snapshots.open_raw(snapshot.snapshot.0)?;
            let mut connection = self.dial(Kind::Snapshot).await?;
            let mut head = Vec::new();
            codec::put_vote(&mut head, &vote);
            head.put_u64(raw.len());
            head.put_slice(&codec::encode_meta(&snapshot.meta));
            connection.sender.send(head.into()).await.map_err(|_| closed())?;
            let mut offset = 0;
            while offset < raw.len() {
                let mut piece = vec![0; PIECE];
                let read = raw.read_at(&mut piece, offset)?;
                if read == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                piece.truncate(read);
                offset += read as u64;
                connection.sender.send(piece.into()).await.map_err(|_| closed())?;
            }
            connection.receiver.recv().await.ok_or_else(closed)
        };
        let answer = tokio::select! {
            answer = send => answer.map_err(gone)?,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        codec::snapshot_response(&answer).map_err(|error| gone(io::Error::other(error)))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let mut question = vec![question::TRANSFER];
        codec::put_transfer(&mut question, &request);
        self.ask(question, &option, |_| Ok(())).await.map(Ok)
    }
}
