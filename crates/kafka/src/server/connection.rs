//! One connection: requests in, answers out in the same order.
//!
//! Requests are handled one after the other, as Kafka does it, but for one thing: while a Produce
//! request waits for its acknowledgements, further Produce requests are appended.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use polyport_kafka_codec::{DecodeError, EncodeError};
use polyport_net::stream::Stream;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::authenticate::{Gate, Passage};
use super::dispatch::Handled;
use super::frames::{FrameLength, Frames};
use super::response::{Output, Response};
use crate::broker::Broker;
use crate::security::Caller;

/// Produce requests of one connection that wait for their acknowledgements. Clients have five under
/// way unless they are told otherwise.
const OVERLAPPING: usize = 32;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    FrameLength(#[from] FrameLength),
    #[error("not a request: {0}")]
    Decode(#[from] DecodeError),
    #[error("no answer: {0}")]
    Encode(#[from] EncodeError),
    #[error("{api} in version {version}, which is not served")]
    NotServed { api: &'static str, version: i16 },
    #[error("{0}")]
    Refused(&'static str),
    #[error("not authenticated: {0}")]
    NotAuthenticated(String),
    #[error("the client closed the connection")]
    Hangup,
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
}

/// Who is at the other end, and what is known of them.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// Name of the listener that the client came in by.
    pub(super) listener: Arc<str>,
    /// On whose behalf its requests are handled.
    pub(super) caller: Caller,
    /// By which door it came in.
    pub(super) peer: Peer,
}

/// By which door somebody came in.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// A listener.
    Client,
    /// The node port: another broker, which has shown that it knows the cluster's secret.
    Broker {
        /// Told when it wants its answer now.
        hurry: Arc<Notify>,
    },
}

impl Client {
    /// Whether it is another broker.
    pub(super) fn is_broker(&self) -> bool {
        matches!(self.peer, Peer::Broker { .. })
    }

    /// Returns when it wants the answer to its request now; clients wait for as long as they said.
    pub(super) async fn hurries(&self) {
        match &self.peer {
            Peer::Broker { hurry, .. } => hurry.notified().await,
            Peer::Client => std::future::pending().await,
        }
    }
}

/// An answer that comes later.
pub(super) type Later = Pin<Box<dyn Future<Output = Result<Response, Ended>> + Send>>;

/// An answer that is owed.
enum Owed {
    Ready(Response),
    /// Nothing is sent: a Produce request with `acks=0`.
    Nothing,
    Waiting(Later),
}

struct Connection<'a> {
    broker: &'a Arc<Broker>,
    stream: Stream,
    frames: Frames,
    output: Output,
    owed: VecDeque<Owed>,
    client: Client,
    /// Where the listener asks clients who they are.
    gate: Option<Gate>,
    /// Until when the client is not listened to, because it is beyond a quota (KIP-219).
    muted: Option<Instant>,
}

/// Serves a connection until it ends.
pub(super) async fn serve(broker: Arc<Broker>, stream: Stream, client: Client, gate: Option<Gate>) {
    let address = client.address;
    let mut connection = Connection {
        stream,
        frames: Frames::new(broker.settings.size("socket.request.max.bytes")),
        output: Output::default(),
        owed: VecDeque::new(),
        client,
        gate,
        muted: None,
        broker: &broker,
    };
    let ended = tokio::select! {
        ended = connection.run() => Some(ended),
        () = broker.drained() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => connection.finish(broker.settings.drain_timeout).await,
    };
    let principal = connection.client.caller.principal();
    match ended {
        Err(Ended::Io(_) | Ended::Hangup | Ended::Idle) | Ok(()) => {
            tracing::debug!(peer = %address, %principal, "connection closed");
        }
        Err(reason) => tracing::warn!(peer = %address, %principal, %reason, "connection closed"),
    }
}

impl Connection<'_> {
    async fn run(&mut self) -> Result<(), Ended> {
        let idle = self.broker.settings.max_idle();
        let most = self.broker.settings.size("socket.request.max.bytes");
        let mut heard = Instant::now();
        loop {
            let limit = self.gate.as_ref().and_then(Gate::limit);
            self.frames.limit(limit.unwrap_or(most));
            self.handle().await?;
            self.send_ready().await?;
            let muted = self.is_muted();
            if self.owed.is_empty() && self.frames.has_next() && !muted {
                continue;
            }
            let reads = !self.frames.has_next() && !muted;
            let until = self.muted.unwrap_or_else(Instant::now);
            let deadline = heard + idle;
            tokio::select! {
                read = self.stream.read_buf(self.frames.room()), if reads => {
                    if read? == 0 {
                        return Err(Ended::Hangup);
                    }
                    heard = Instant::now();
                }
                first = first(&mut self.owed), if !self.owed.is_empty() => first?,
                () = tokio::time::sleep_until(until), if muted => heard = Instant::now(),
                () = tokio::time::sleep_until(deadline), if self.owed.is_empty() && !muted => {
                    return Err(Ended::Idle);
                }
            }
        }
    }

    /// Handles the requests whose turn it is.
    async fn handle(&mut self) -> Result<(), Ended> {
        while self.owed.len() < OVERLAPPING && self.frames.has_next() && !self.is_muted() {
            let next = self.frames.peek_key();
            if !self.owed.is_empty() && !next.is_some_and(overlaps) {
                return Ok(());
            }
            let Some(frame) = self.frames.next()? else { return Ok(()) };
            let owed = self.begin(frame).await?;
            self.owed.push_back(owed);
        }
        Ok(())
    }

    async fn begin(&mut self, frame: BytesMut) -> Result<Owed, Ended> {
        let frame = match &mut self.gate {
            None => frame,
            Some(gate) => match gate.receive(self.broker, &mut self.client, frame)? {
                Passage::Through(frame) => frame,
                Passage::Answer(response) => return Ok(Owed::Ready(response)),
                Passage::Refused(answer, reason) => return self.refuse(answer, reason).await,
            },
        };
        Ok(match self.broker.dispatch(&mut self.client, frame).await? {
            Handled::Answer(response) => Owed::Ready(response),
            Handled::Nothing { throttle } => {
                self.mute(throttle);
                Owed::Nothing
            }
            Handled::Later(answer) => Owed::Waiting(answer),
        })
    }

    /// Tells a client that it cannot come in, after a while, so that guessing takes long.
    async fn refuse(&mut self, answer: Option<Response>, reason: String) -> Result<Owed, Ended> {
        if let Some(gate) = &self.gate {
            tokio::time::sleep(gate.failure_delay()).await;
        }
        if let Some(answer) = answer {
            self.output.send(&mut self.stream, answer).await?;
            self.output.flush(&mut self.stream).await?;
        }
        Err(Ended::NotAuthenticated(reason))
    }

    fn is_muted(&mut self) -> bool {
        self.muted = self.muted.filter(|until| *until > Instant::now());
        self.muted.is_some()
    }

    fn mute(&mut self, throttle: Duration) {
        if !throttle.is_zero() {
            self.muted = self.muted.max(Some(Instant::now() + throttle));
        }
    }

    /// Sends the answers at the front that are there.
    async fn send_ready(&mut self) -> Result<(), Ended> {
        while let Some(Owed::Ready(_) | Owed::Nothing) = self.owed.front() {
            if let Some(Owed::Ready(response)) = self.owed.pop_front() {
                self.mute(response.throttle);
                self.output.send(&mut self.stream, response).await?;
            }
        }
        Ok(self.output.flush(&mut self.stream).await?)
    }

    /// Sends what is owed, if it comes in time.
    async fn finish(&mut self, within: Duration) -> Result<(), Ended> {
        let all = async {
            while !self.owed.is_empty() {
                first(&mut self.owed).await?;
                self.send_ready().await?;
            }
            Ok(())
        };
        timeout_at(Instant::now() + within, all).await.unwrap_or(Ok(()))
    }
}

/// Whether a request may begin while others wait for their answers.
fn overlaps(key: i16) -> bool {
    const PRODUCE: i16 = 0;
    key == PRODUCE
}

/// Returns when the first answer is there.
///
/// # Errors
/// If it cannot be given.
async fn first(owed: &mut VecDeque<Owed>) -> Result<(), Ended> {
    if let Some(first) = owed.front_mut()
        && let Owed::Waiting(answer) = first
    {
        let response = answer.await?;
        *first = Owed::Ready(response);
    }
    Ok(())
}
