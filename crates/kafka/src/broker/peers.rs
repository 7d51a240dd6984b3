//! Other brokers, spoken to over the node port in Kafka's own requests.
//!
//! ```text
//! let answer = peers.send(broker, &request, version).await?;      one request and its answer
//! let mut line = peers.line(broker).await?;                       a connection to keep
//! ```
//! The node port knows who asks, so what only brokers may ask is answered there and nowhere else
//! (`docs/adr/0009`).

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use polyport_cluster::transport::Connection;
use polyport_kafka_codec::{DecodeError, EncodeError, Message, Reader, Request, frame, header};
use polyport_tree::client::Client;

use crate::metadata::znode::path;

/// What brokers' connections over the node port are for, in the words of the cluster.
pub(crate) const SERVICE: &str = "kafka";

/// Connections to one broker that are kept for the next request.
const KEPT: usize = 4;

/// Why another broker did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is not registered, or its node is not known.
    #[error("broker {0} is not alive")]
    Dead(i32),
    /// Its node could not be reached, or the connection broke.
    #[error("broker {broker} cannot be reached")]
    Io {
        /// Which.
        broker: i32,
        /// Why.
        source: io::Error,
    },
    /// The version cannot express the request.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Its answer makes no sense.
    #[error("the answer of another broker")]
    Decode(#[from] DecodeError),
}

/// The other brokers. Clones are the same.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    client: Client,
    /// How this broker names itself in requests.
    name: Arc<str>,
    idle: Mutex<HashMap<i32, Vec<Line>>>,
    /// `request.timeout.ms`.
    patience: Duration,
}

impl Peers {
    /// `broker`: this one; `patience`: how long [`Peers::send`] waits.
    pub fn new(client: Client, broker: i32, patience: Duration) -> Self {
        let name = format!("broker-{broker}").into();
        Self(Arc::new(Shared { client, name, idle: Mutex::default(), patience }))
    }

    /// A connection to a broker, of the caller's own.
    ///
    /// # Errors
    /// `Dead`, `Io`.
    pub async fn line(&self, broker: i32) -> Result<Line, PeerError> {
        let Shared { client, name, .. } = &*self.0;
        let registered = client.read(|tree| tree.stat(&path::broker(broker)));
        let session = registered.map(|stat| stat.ephemeral_owner);
        let node = session.and_then(|session| client.node_of(session));
        let node = node.ok_or(PeerError::Dead(broker))?;
        let opened = client.replica().cluster().open_channel(node, SERVICE).await;
        let connection = opened.map_err(|source| PeerError::Io { broker, source })?;
        Ok(Line { broker, connection, name: name.clone(), next: 0 })
    }

    /// Asks a broker, and waits for its answer, but not for longer than `request.timeout.ms`. What
    /// was asked may have been done though no answer has come.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn send<R: Request>(
        &self,
        broker: i32,
        request: &R,
        version: i16,
    ) -> Result<R::Response, PeerError> {
        let ask = async {
            let kept = self.0.idle.lock().get_mut(&broker).and_then(Vec::pop);
            let mut line = match kept.filter(|line| line.connection.is_open()) {
                Some(line) => line,
                None => self.line(broker).await?,
            };
            // Out of the pool meanwhile: an answer that nobody waited for is nobody else's.
            let answer = line.ask(request, version).await?;
            let mut idle = self.0.idle.lock();
            let lines = idle.entry(broker).or_default();
            if lines.len() < KEPT {
                lines.push(line);
            }
            Ok(answer)
        };
        match tokio::time::timeout(self.0.patience, ask).await {
            Ok(answer) => answer,
            Err(late) => Err(PeerError::Io { broker, source: late.into() }),
        }
    }
}

/// A connection to a broker. It answers in the order of the requests.
pub struct Line {
    broker: i32,
    connection: Connection,
    name: Arc<str>,
    next: i32,
}

impl Line {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// `Io`, `Encode`, `Decode`: then the connection is of no more use.
    pub async fn ask<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, PeerError> {
        self.send(request, version).await?;
        self.receive::<R>(version).await
    }

    /// Asks.
    ///
    /// # Errors
    /// `Io`, `Encode`.
    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<(), PeerError> {
        self.next = self.next.wrapping_add(1);
        let mut out = Vec::new();
        frame::encode_request(&mut out, request, version, self.next, Some(&self.name))?;
        // The transport has lengths of its own.
        self.put(Bytes::from(out).slice(frame::LENGTH_BYTES..)).await
    }

    /// Asks that the request which is being answered be answered now, with what there is.
    ///
    /// # Errors
    /// `Io`.
    pub async fn hurry(&mut self) -> Result<(), PeerError> {
        self.put(Bytes::new()).await
    }

    async fn put(&self, frame: Bytes) -> Result<(), PeerError> {
        self.connection.sender.send(frame).await.map_err(|_| self.broken())
    }

    /// The answer to what was asked. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `Io`, `Decode`: then the connection is of no more use.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, PeerError> {
        let frame = self.connection.receiver.recv().await.ok_or_else(|| self.broken())?;
        let frame = frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let mut reader = Reader::new(frame);
        let answered = header::decode_response(&mut reader, R::API, version)?;
        if answered != self.next {
            return Err(self.broken());
        }
        Ok(R::Response::decode(&mut reader, version)?)
    }

    /// Returns when the connection is closed, by the other broker or because it ended.
    pub async fn closed(&mut self) {
        while self.connection.receiver.recv().await.is_some() {}
    }

    fn broken(&self) -> PeerError {
        let source = io::ErrorKind::ConnectionReset.into();
        PeerError::Io { broker: self.broker, source }
    }
}
