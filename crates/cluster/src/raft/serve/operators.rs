//! Backups of a running node, and restoring them into a running cluster.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use polyport_storage::disk::Disk;
use polyport_storage::snapshot::{RawSnapshot, SnapshotReader};
use tokio::sync::mpsc;

use super::Inbound;
use crate::StateMachine;
use crate::transport::{Connection, closed};

/// How long a snapshot for a backup may take to be made.
const BACKUP_PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of a backup in one frame.
const PIECE: usize = 256 * 1024;
/// How long an operator may take for the next piece, and to hear the answer.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(60);

/// A snapshot file, open for reading.
pub(crate) struct Backup<D: Disk> {
    raw: RawSnapshot<D::File>,
    content: SnapshotReader<D::File>,
}

impl<D: Disk> Backup<D> {
    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.raw.len()
    }

    /// The state machine's content in it, checked as it is read.
    pub(crate) fn content(&mut self) -> &mut impl io::Read {
        &mut self.content
    }

    /// The bytes from `offset` on, one frame's worth.
    pub(crate) fn piece(&self, offset: u64) -> io::Result<Bytes> {
        let mut piece = vec![0; PIECE];
        let read = self.raw.read_at(&mut piece, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(piece.into())
    }
}

/// A snapshot of everything this node had applied when it was asked.
pub(crate) async fn take_backup<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
) -> io::Result<Backup<D>> {
    let mut metrics = inbound.raft.metrics();
    let goal = metrics.borrow_watched().last_applied.map(|id| id.index);
    inbound.raft.trigger().snapshot().await.map_err(io::Error::other)?;
    let made = async {
        while metrics.borrow_and_update().snapshot.map(|id| id.index) < goal {
            metrics.changed().await.map_err(|_| closed())?;
        }
        io::Result::Ok(())
    };
    tokio::time::timeout(BACKUP_PATIENCE, made).await??;
    let newest = inbound.snapshots.list()?.pop();
    let newest = newest.ok_or_else(|| io::Error::other("this node holds nothing yet"))?;
    let raw = inbound.snapshots.open_raw(newest)?;
    Ok(Backup { raw, content: inbound.snapshots.open(newest)? })
}

/// Sends a backup.
pub(super) async fn backup<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    connection: Connection,
) -> io::Result<()> {
    let backup = take_backup(inbound).await?;
    let len = backup.len().to_be_bytes().to_vec();
    connection.sender.send(len.into()).await.map_err(|_| closed())?;
    let mut offset = 0;
    while offset < backup.len() {
        let piece = backup.piece(offset)?;
        offset += piece.len() as u64;
        connection.sender.send(piece).await.map_err(|_| closed())?;
    }
    Ok(())
}

/// Takes a backup and puts it in the place of everything. The answer is 0 and what was done, or 1
/// and why not.
pub(super) async fn restore<D: Disk, S: StateMachine>(
    inbound: &Inbound<D, S>,
    connection: Connection,
) -> io::Result<()> {
    let Some(content) = inbound.content.get() else {
        return Err(io::Error::other("this node is only starting"));
    };
    let Connection { sender, mut receiver } = connection;
    let (frames, received) = mpsc::channel(4);
    let feed = async {
        // Ends with the connection, or when nothing more is wanted; without an empty frame the
        // restore then broke off.
        while let Ok(Some(frame)) = tokio::time::timeout(OPERATOR_PATIENCE, receiver.recv()).await {
            let last = frame.is_empty();
            if frames.send(frame).await.is_err() || last {
                break;
            }
        }
        drop(frames);
    };
    let (done, ()) = tokio::join!((content.restore)(received), feed);
    let (code, text) = match done {
        Ok(text) => (0, text),
        Err(text) => (1, text),
    };
    let answer = [&[code], text.as_bytes()].concat();
    sender.send(answer.into()).await.map_err(|_| closed())?;
    // An answer must not be lost because of what is still on its way here.
    let rest = async { while receiver.recv().await.is_some() {} };
    drop(tokio::time::timeout(OPERATOR_PATIENCE, rest).await);
    Ok(())
}
