//! What an operator asks a running node for over its node port, with the cluster's secret.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use polyport_base::NodeId;
use polyport_wire::{Cursor, DecodeError};

use crate::Members;
use crate::node::{ClusterError, Standing, Status};
use crate::raft::{Kind, decode_members, encode_members, question};
use crate::transport::{Connection, Secret, Tcp, Transport, closed};

/// How a node describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The node.
    pub node: NodeId,
    /// Its part.
    pub standing: Standing,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// The newest term it knows of.
    pub term: u64,
    /// Index of the last entry it applied.
    pub applied: u64,
    /// Whether it heard of a majority lately.
    pub in_quorum: bool,
    /// Whether its disk was empty and its vote does not count yet: see [`Status::forgetful`].
    pub forgetful: bool,
    /// The members it knows of.
    pub members: Members,
    /// Index of the entry that made them the members.
    pub members_index: u64,
}

pub(crate) fn encode(out: &mut Vec<u8>, status: &Status, applied: u64) {
    out.put_u64(status.node.0);
    out.put_u8(match status.standing {
        Standing::Looking => 0,
        Standing::Leading => 1,
        Standing::Following => 2,
        Standing::Observing => 3,
    });
    out.put_u64(status.leader.map_or(0, |leader| leader.0));
    out.put_u64(status.term);
    out.put_u64(applied);
    out.put_u8(u8::from(status.in_quorum) | u8::from(status.forgetful) << 1);
    out.put_u64(status.members_index);
    out.put_slice(&encode_members(&status.members));
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Description, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let node = NodeId(cursor.u64("node")?);
    let standing = match cursor.u8("standing")? {
        1 => Standing::Leading,
        2 => Standing::Following,
        3 => Standing::Observing,
        _ => Standing::Looking,
    };
    let leader = Some(cursor.u64("leader")?).filter(|leader| *leader != 0).map(NodeId);
    let term = cursor.u64("term")?;
    let applied = cursor.u64("applied")?;
    let flags = cursor.u8("quorum")?;
    let (in_quorum, forgetful) = (flags & 1 != 0, flags & 2 != 0);
    let members_index = cursor.u64("members")?;
    let members = decode_members(&mut cursor)?;
    Ok(Description {
        node,
        standing,
        leader,
        term,
        applied,
        in_quorum,
        forgetful,
        members,
        members_index,
    })
}

/// Asks nodes that share a secret.
#[derive(Clone, Debug)]
pub struct Operator(Tcp);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a change of the membership may take.
const CHANGE: Duration = Duration::from_secs(120);
/// How long a node may need for the next piece of a backup; the first waits for its snapshot.
const SILENCE: Duration = Duration::from_secs(600);

/// How long all nodes may need to take a backup in, once they have it.
const RESTORE: Duration = Duration::from_secs(1200);
/// Bytes of a backup in one frame.
const FRAME: usize = 256 * 1024;

impl Operator {
    /// Of the cluster with this secret.
    pub fn new(secret: Secret) -> Self {
        Self(Tcp::new(secret))
    }

    /// The same with certificates, for nodes whose ports are encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Option<polyport_net::tls::Mutual>) -> Self {
        Self(self.0.with_tls(tls))
    }

    async fn dial(&self, address: &str, kind: Kind) -> io::Result<Connection> {
        let connection = self.0.connect(address).await?;
        let mut hello = vec![kind as u8];
        // No node has this number.
        hello.put_u64(0);
        connection.sender.send(hello.into()).await.map_err(|_| closed())?;
        Ok(connection)
    }

    async fn ask(&self, address: &str, question: Vec<u8>, patience: Duration) -> io::Result<Bytes> {
        let ask = async {
            let mut connection = self.dial(address, Kind::Question).await?;
            connection.sender.send(question.into()).await.map_err(|_| closed())?;
            connection.receiver.recv().await.ok_or_else(closed)
        };
        tokio::time::timeout(patience, ask).await?
    }

    /// How the node at `address` (`host:port` of its node port) stands.
    ///
    /// # Errors
    /// If it cannot be reached, is of another cluster, or does not answer in 3 seconds.
    pub async fn describe(&self, address: &str) -> io::Result<Description> {
        let answer = self.ask(address, vec![question::DESCRIBE], PATIENCE).await?;
        decode(&answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Takes a node out of the cluster that the node at `address` belongs to. The answer is the
    /// index of the entry that did it.
    ///
    /// # Errors
    /// See [`ClusterError`]; `Invalid` if the node is no member.
    pub async fn remove(&self, address: &str, node: NodeId) -> Result<u64, ClusterError> {
        let unreachable = |error: io::Error| ClusterError::NoLeader(error.to_string());
        let mut removed = false;
        loop {
            let known = self.describe(address).await.map_err(unreachable)?;
            let mut members = known.members;
            let leader = known.leader.and_then(|leader| members.get(&leader)).cloned();
            if members.remove(&node).is_none() && !removed {
                return Err(ClusterError::Invalid(format!("node {node} is not a member")));
            }
            let leader =
                leader.ok_or_else(|| ClusterError::NoLeader("none is known".to_owned()))?;
            let mut ask = vec![question::RECONFIGURE];
            ask.put_u64(known.members_index);
            ask.put_slice(&encode_members(&members));
            let answer = self.ask(&leader.address, ask, CHANGE).await.map_err(unreachable)?;
            match ClusterError::from_answer(&answer) {
                // The leader itself is to go: its successor finishes.
                Err(ClusterError::Moved) => removed = true,
                done => return done,
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Writes a snapshot of everything the node at `address` has applied: the bytes of a snapshot
    /// file, with its checksums. The answer is their number.
    ///
    /// # Errors
    /// If the node cannot be reached, stops answering, or `out` fails.
    pub async fn backup(&self, address: &str, out: &mut dyn Write) -> io::Result<u64> {
        let mut connection = self.dial(address, Kind::Backup).await?;
        let mut next = async || {
            let piece = tokio::time::timeout(SILENCE, connection.receiver.recv()).await?;
            piece.ok_or_else(closed)
        };
        let head = next().await?;
        let len = head.as_ref().try_into().map(u64::from_be_bytes);
        let len = len.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut received = 0;
        while received < len {
            let piece = next().await?;
            received += piece.len() as u64;
            out.write_all(&piece)?;
        }
        Ok(received)
    }

    /// What the node at `address` holds, in a few words.
    ///
    /// # Errors
    /// If it cannot be reached, is of another cluster, or does not answer in 3 seconds.
    pub async fn content(&self, address: &str) -> io::Result<String> {
        let answer = self.ask(address, vec![question::CONTENT], PATIENCE).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Puts a backup's content in the place of everything in the cluster that the node at `address`
    /// belongs to. The answer says what was done.
    ///
    /// # Errors
    /// `InvalidInput` with the node's words for why it was not done; others if the node cannot be
    /// reached, stops answering, or `backup` cannot be read.
    pub async fn restore(&self, address: &str, backup: &mut dyn Read) -> io::Result<String> {
        let mut connection = self.dial(address, Kind::Restore).await?;
        loop {
            let mut frame = Vec::with_capacity(FRAME);
            (&mut *backup).take(FRAME as u64).read_to_end(&mut frame)?;
            let last = frame.is_empty();
            tokio::select! {
                // It is refused: the rest is not wanted.
                answer = connection.receiver.recv() => return restored(answer),
                sent = connection.sender.send(frame.into()) => {
                    // Why it was not taken is said by the answer.
                    if last || sent.is_err() {
                        break;
                    }
                }
            }
        }
        restored(tokio::time::timeout(RESTORE, connection.receiver.recv()).await?)
    }
}

fn restored(answer: Option<Bytes>) -> io::Result<String> {
    let answer = answer.ok_or_else(closed)?;
    let text = String::from_utf8_lossy(answer.get(1..).unwrap_or_default()).into_owned();
    match answer.first() {
        Some(0) => Ok(text),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, text)),
    }
}
