//! One connection: bytes in, requests to the tree in their order, bytes out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use polyport_tree::access;
use polyport_tree::replica::{Place as BatchPlace, View};
use polyport_tree::{Id, TreeError};
use polyport_wire::Cursor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answered::Answer;
use super::counters::Counters;
use super::handshake::{Attached, Refused, handshake};
use super::outbound::{Ending, Outbound, Queued, Write};
use super::{Connected, Happened, Server, four_letter, read, reconfig, write};
use crate::auth::{Identities, digest_id};
use crate::codec::{ErrorCode, OpCode, ReplyHeader, Request, RequestHeader};

/// Bytes owed beyond which nothing more is read from the client.
const HIGH_WATER: usize = 1 << 20;
/// Room made for each read from the socket.
const READ_BYTES: usize = 16 * 1024;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("frame of {0} bytes (jute.maxbuffer is {1})")]
    FrameLength(i64, usize),
    #[error("the client closed the connection")]
    Hangup,
    #[error("{0:?}")]
    By(Ending),
    #[error("the client stopped reading")]
    Stalled,
}

struct Connection<'a, S> {
    server: &'a Server,
    stream: S,
    input: BytesMut,
    output: Vec<u8>,
    outbound: Arc<Outbound>,
    counters: Arc<Counters>,
    batch_place: BatchPlace,
    peer: SocketAddr,
    attached: Option<Attached>,
    /// A reconfig request that waits for those before it; nothing after it begins before it ends.
    barrier: Option<Bytes>,
}

/// Serves a connection until it ends.
pub(super) async fn serve<S>(server: Server, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let settings = server.settings();
    let who = Identities::at(peer.ip(), settings.skip_acl);
    let outbound = Arc::new(Outbound::new(who, server.stats().clone(), settings.max_unread));
    let watcher = server.replica().subscribe(outbound.clone());
    // Set once, here.
    let _ = outbound.watcher.set(watcher);
    let counters = outbound.counters.clone();
    let id = server.register(Connected { peer, outbound: outbound.clone() });
    let mut connection = Connection {
        server: &server,
        stream,
        input: BytesMut::new(),
        output: Vec::new(),
        outbound,
        counters,
        batch_place: BatchPlace::default(),
        peer,
        attached: None,
        barrier: None,
    };
    let ended = connection.run().await;
    let session = connection.attached.as_ref().map_or(0, |attached| attached.session);
    if session != 0 {
        server.stats().count(Happened::ConnectionDropped);
    }
    if let Err(ended) = ended {
        let session = format!("0x{session:x}");
        match ended {
            Ended::FrameLength(..) | Ended::Refused(_) | Ended::Stalled => {
                tracing::warn!(%peer, session, reason = %ended, "connection closed");
            }
            _ => tracing::debug!(%peer, session, reason = %ended, "connection closed"),
        }
    }
    if session != 0 {
        server.replica().forget_if(session, watcher);
    }
    server.replica().unsubscribe(watcher);
    server.unregister(id);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run(&mut self) -> Result<(), Ended> {
        let patience = self.server.settings().handshake_timeout;
        let greeted = tokio::time::timeout(patience, self.greet()).await;
        match greeted {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(ended)) => {
                // A refusal may have been written down.
                self.flush().await?;
                return Err(ended);
            }
            Err(_) => {
                self.server.stats().count(Happened::SessionlessExpired);
                return Err(Refused::Late.into());
            }
        }
        let outbound = self.outbound.clone();
        loop {
            self.requests()?;
            self.flush().await?;
            if self.barrier.is_some() {
                if self.outbound.owed(|owed| owed.queue.is_empty()) {
                    self.reconfig().await?;
                } else {
                    outbound.wake.notified().await;
                }
            } else if self.wants_input() {
                self.input.reserve(READ_BYTES);
                tokio::select! {
                    read = self.stream.read_buf(&mut self.input) => {
                        if read? == 0 {
                            return Err(Ended::Hangup);
                        }
                        if let Some(attached) = &self.attached {
                            attached.touch.set();
                        }
                    }
                    () = outbound.wake.notified() => {}
                }
            } else {
                outbound.wake.notified().await;
            }
        }
    }

    /// The first frame: a four-letter word (false: answered, done) or the handshake.
    async fn greet(&mut self) -> Result<bool, Ended> {
        self.fill(4).await?;
        if let Some(word) = four_letter::word(&self.input) {
            if word == "stmk" {
                self.fill(four_letter::STMK_BYTES).await?;
            }
            self.server.stats().received(1);
            self.counters.received.fetch_add(1, Ordering::Relaxed);
            let answer = four_letter::answer(self.server, word, &self.input);
            self.server.stats().sent();
            self.stream.write_all(answer.as_bytes()).await?;
            self.stream.shutdown().await?;
            return Ok(false);
        }
        let frame = loop {
            if let Some(frame) = self.frame()? {
                break frame;
            }
            let more = self.input.len() + 1;
            self.fill(more).await?;
        };
        self.server.stats().received(1);
        self.server.stats().received_bytes(frame.len());
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        let attached = handshake(self.server, &self.outbound, &frame).await?;
        let timeout_ms = attached.timeout.as_millis() as u64;
        self.counters.timeout_ms.store(timeout_ms, Ordering::Relaxed);
        self.attached = Some(attached);
        Ok(true)
    }

    async fn fill(&mut self, len: usize) -> Result<(), Ended> {
        while self.input.len() < len {
            self.input.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Ended::Hangup);
            }
        }
        Ok(())
    }

    /// Takes a whole frame (without its length) from the input, if there is one.
    fn frame(&mut self) -> Result<Option<Bytes>, Ended> {
        if self.input.len() < 4 {
            return Ok(None);
        }
        let len = i32::from_be_bytes([self.input[0], self.input[1], self.input[2], self.input[3]]);
        let max = self.server.settings().max_frame;
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= max) else {
            return Err(Ended::FrameLength(len.into(), max));
        };
        if self.input.len() < 4 + len {
            return Ok(None);
        }
        self.input.advance(4);
        Ok(Some(self.input.split_to(len).freeze()))
    }

    fn wants_input(&self) -> bool {
        let max = self.server.settings().max_queued;
        self.outbound.owed(|owed| owed.bytes.len() < HIGH_WATER && owed.queue.len() < max)
    }

    /// Handles all whole frames that there are.
    fn requests(&mut self) -> Result<(), Ended> {
        let (mut count, mut bytes) = (0, 0);
        while self.barrier.is_none() && self.wants_input() {
            let Some(frame) = self.frame()? else { break };
            count += 1;
            bytes += frame.len();
            self.request(frame);
        }
        if count > 0 {
            self.server.stats().received(count);
            self.server.stats().received_bytes(bytes);
            self.counters.received.fetch_add(count, Ordering::Relaxed);
            self.server.replica().flush();
        }
        Ok(())
    }

    fn request(&mut self, frame: Bytes) {
        let mut cursor = Cursor::new(&frame);
        let Ok(header) = RequestHeader::decode(&mut cursor) else {
            return self.outbound.end(Ending::Refused);
        };
        match OpCode::from_i32(header.op) {
            Some(OpCode::Auth) => self.auth(header.xid, &mut cursor),
            Some(OpCode::Reconfig) if !self.is_read_only() => self.barrier = Some(frame),
            Some(op) if self.is_read_only() && op == OpCode::CloseSession => {
                self.fail(header.xid, ErrorCode::OK);
                self.outbound.end(Ending::Closed);
            }
            Some(op) if self.is_read_only() && (write::is_write(op) || op == OpCode::Reconfig) => {
                self.fail(header.xid, TreeError::NotReadOnly.into());
            }
            Some(op) if write::is_write(op) => self.write(op, header.xid, &mut cursor),
            op => self.read(op, &frame),
        }
    }

    fn is_read_only(&self) -> bool {
        self.outbound.read_only.load(Ordering::Acquire)
    }

    /// Carries out the reconfig request at the barrier. The change goes on if the client leaves.
    async fn reconfig(&mut self) -> Result<(), Ended> {
        let Some(frame) = self.barrier.take() else { return Ok(()) };
        let since = Instant::now();
        let mut cursor = Cursor::new(&frame);
        // Read once before, when the request came.
        let Ok(header) = RequestHeader::decode(&mut cursor) else { return Ok(()) };
        let Ok(request) = Request::decode(OpCode::Reconfig, &mut cursor) else {
            self.fail(header.xid, ErrorCode::MARSHALLING_ERROR);
            return Ok(());
        };
        let (server, outbound) = (self.server, self.outbound.clone());
        let replica = server.replica();
        let who = outbound.who.lock().clone();
        let result = match reconfig::check(&request, replica, server.settings(), &who) {
            Ok(wanted) => {
                let mut change = tokio::spawn(reconfig::change(replica.clone(), wanted));
                loop {
                    tokio::select! {
                        // A change that panicked is one nobody knows the end of.
                        done = &mut change => break done.unwrap_or(Err(TreeError::RuntimeInconsistency)),
                        () = outbound.wake.notified() => self.flush().await?,
                        // It is this node that keeps the client waiting.
                        () = tokio::time::sleep(Duration::from_millis(500)) => {
                            if let Some(attached) = &self.attached {
                                attached.touch.set();
                            }
                        }
                    }
                }
            }
            Err(error) => Err(error),
        };
        let (err, body) = match result {
            Ok(body) => (ErrorCode::OK, body),
            Err(error) => (error.into(), Vec::new()),
        };
        let zxid = replica.last_zxid();
        let bytes = outbound.owed(|owed| {
            let before = owed.bytes.len();
            owed.frame(|out| {
                ReplyHeader { xid: header.xid, zxid, err }.encode(out);
                out.extend_from_slice(&body);
            });
            owed.bytes.len() - before
        });
        outbound.count(&Answer { op: header.op, xid: header.xid, zxid, since, bytes });
        Ok(())
    }

    fn read(&mut self, op: Option<OpCode>, frame: &Bytes) {
        let now = Instant::now();
        let queued = self.outbound.owed(|owed| {
            let behind = !owed.queue.is_empty();
            if behind {
                owed.queue.push_back(Queued::Read(frame.clone(), now));
            }
            behind
        });
        if queued {
            return;
        }
        let who = self.outbound.who.lock().clone();
        let outbound = &self.outbound;
        let replica = self.server.replica();
        let answer = |mut place: read::Place<'_>| {
            let zxid = place.machine.last_zxid();
            outbound.owed(|owed| {
                let before = owed.bytes.len();
                read::answer(frame, &mut place, outbound, &who, owed);
                outbound.count(&Answer::to(frame, zxid, now, owed.bytes.len() - before));
            });
        };
        if op.is_some_and(|op| read::uses_watches(op, frame)) {
            replica.view(|View { machine, watches }| {
                answer(read::Place { machine, watches: Some(watches) });
            });
        } else {
            answer(read::Place { machine: &replica.read(), watches: None });
        }
    }

    fn write(&mut self, op: OpCode, xid: i32, cursor: &mut Cursor<'_>) {
        let request = match Request::decode(op, cursor) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(peer = %self.peer, %error, ?op, "malformed request");
                return self.fail(xid, ErrorCode::MARSHALLING_ERROR);
            }
        };
        let who = self.outbound.who.lock().clone();
        let (command, detail) = match write::command(request, &who) {
            Ok(command) => command,
            Err(error) => return self.fail(xid, error.into()),
        };
        let replica = self.server.replica();
        let settings = self.server.settings();
        let session = self.attached.as_ref().map_or(0, |attached| attached.session);
        let ids = access::Identities { ids: who.borrowed(), bypass: who.bypass() };
        let enforce = settings.enforce_quota && !who.is_super();
        let from = replica.submitter(session, self.outbound.watcher(), ids, enforce);
        let since = Instant::now();
        self.outbound.owed(|owed| {
            owed.queue.push_back(Queued::Write(Write { xid, op, since, detail }));
        });
        replica.submit(&mut self.batch_place, &from, &command, self.outbound.clone(), 0);
    }

    /// Answers a request that nobody else needs to see, after those before it.
    fn fail(&mut self, xid: i32, code: ErrorCode) {
        let zxid = self.server.replica().last_zxid();
        let queued = self.outbound.owed(|owed| match owed.queue.is_empty() {
            true => {
                owed.reply(xid, zxid, code);
                false
            }
            false => {
                owed.queue.push_back(Queued::Failed { xid, code });
                true
            }
        });
        if !queued {
            self.server.stats().sent();
            self.counters.sent();
        }
    }

    /// Authentication is answered at once: its replies are outside the order of requests.
    fn auth(&mut self, xid: i32, cursor: &mut Cursor<'_>) {
        let zxid = self.server.replica().last_zxid();
        let Ok(Request::Auth { scheme, auth }) = Request::decode(OpCode::Auth, cursor) else {
            return self.outbound.end(Ending::Refused);
        };
        let id = match scheme {
            "digest" => {
                std::str::from_utf8(auth).ok().and_then(digest_id).map(|id| Id::new("digest", id))
            }
            "ip" => Some(Id::new("ip", self.peer.ip().to_canonical().to_string())),
            _ => None,
        };
        let Some(id) = id else {
            tracing::warn!(peer = %self.peer, scheme, "authentication failed");
            self.server.stats().count(Happened::AuthFailed);
            self.outbound.owed(|owed| {
                owed.reply(xid, zxid, ErrorCode::from(TreeError::AuthFailed));
                owed.ending.get_or_insert(Ending::Refused);
            });
            return;
        };
        let mut who = (**self.outbound.who.lock()).clone();
        if id.scheme == "digest"
            && self.server.settings().super_digest.as_deref() == Some(id.id.as_str())
        {
            who.add(Id::new("super", ""));
        }
        who.add(id);
        *self.outbound.who.lock() = Arc::new(who);
        // Commands from here on have another submitter.
        self.batch_place = BatchPlace::default();
        self.outbound.owed(|owed| owed.reply(xid, zxid, ErrorCode::OK));
    }

    /// Sends what is owed; ends the connection when that is all.
    async fn flush(&mut self) -> Result<(), Ended> {
        loop {
            let ending = self.outbound.owed(|owed| {
                std::mem::swap(&mut owed.bytes, &mut self.output);
                owed.ending
            });
            if let Some(Ending::TooSlow) = ending {
                return Err(Ended::By(Ending::TooSlow));
            }
            if self.output.is_empty() {
                return match ending {
                    Some(ending) => {
                        self.stream.shutdown().await?;
                        Err(Ended::By(ending))
                    }
                    None => Ok(()),
                };
            }
            let patience = self.attached.as_ref().map_or(Duration::from_secs(10), |a| a.timeout);
            let written = tokio::time::timeout(patience, self.stream.write_all(&self.output));
            written.await.map_err(|_| Ended::Stalled)??;
            self.output.clear();
            if self.output.capacity() > HIGH_WATER {
                self.output = Vec::new();
            }
        }
    }
}
