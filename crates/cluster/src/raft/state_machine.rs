//! openraft's state machine: ours, plus snapshots as files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::{FutureExt, Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;
use polyport_base::NodeId;
use polyport_storage::disk::Disk;
use polyport_storage::snapshot::{SnapshotError, SnapshotStore};

use super::{Entry, LogId, Proposal, SnapshotMeta, StoredMembership, Types, codec};
use crate::machine::{Committed, SnapshotWrite};
use crate::{Members, Observed, StateMachine};

/// A snapshot's place in the store: the index it is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotFile(pub(crate) u64);

type RaftSnapshot = openraft::alias::SnapshotOf<Types, SnapshotFile>;

/// Which snapshots stay on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// This many, and at least one.
    pub(crate) snapshots: usize,
    /// Whether the others are removed when there is a new one; otherwise somebody else does.
    pub(crate) purges: bool,
}

impl Keeping {
    fn after_new<D: Disk>(self, store: &SnapshotStore<D>) -> Result<(), SnapshotError> {
        match self.purges {
            true => store.purge_keeping(self.snapshots.max(1)).map(drop),
            false => Ok(()),
        }
    }
}

struct Inner<D: Disk, S> {
    machine: S,
    applied: Option<LogId>,
    membership: StoredMembership,
    store: SnapshotStore<D>,
    keeping: Keeping,
    observed: Arc<Observed>,
    /// Snapshots are written in place, not on a thread.
    in_place: bool,
}

/// The state machine and what openraft asks of it.
pub(crate) struct MachineStore<D: Disk, S>(Arc<Mutex<Inner<D, S>>>);

impl<D: Disk, S> Clone for MachineStore<D, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Entries applied under one call, at most.
const GROUP: usize = 256;

fn members(membership: &StoredMembership) -> Members {
    membership.nodes().map(|(id, member)| (NodeId(*id), member.clone())).collect()
}

impl<D: Disk, S: StateMachine> MachineStore<D, S> {
    /// Loads the newest valid snapshot, if there is one. `in_place`: for simulations, which have one
    /// thread only.
    ///
    /// # Errors
    /// If the disk cannot be read or the snapshot cannot be restored.
    pub(crate) fn open(
        mut machine: S,
        store: SnapshotStore<D>,
        keeping: Keeping,
        observed: Arc<Observed>,
        in_place: bool,
    ) -> io::Result<Self> {
        let since = Instant::now();
        store.delete_tmp()?;
        let newest = store.newest_valid()?;
        for damaged in &newest.damaged {
            tracing::warn!(error = %damaged, "a snapshot is damaged; an older one is used");
        }
        let mut applied = None;
        let mut membership = StoredMembership::default();
        if let Some(mut reader) = newest.snapshot {
            let meta = codec::decode_meta(reader.metadata()).map_err(io::Error::other)?;
            machine.restore(&mut reader)?;
            applied = meta.last_log_id;
            membership = meta.last_membership;
            observed.snapshot_load.record_time(since.elapsed());
            observed.has_snapshot(applied.map_or(0, |id| id.index));
        }
        let inner = Inner { machine, applied, membership, store, keeping, observed, in_place };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// The index of the newest snapshot's last entry.
    pub(crate) fn applied_index(&self) -> Option<u64> {
        self.0.lock().applied.map(|id| id.index)
    }

    fn apply_group(&self, entries: &[Entry]) -> io::Result<()> {
        let mut inner = self.0.lock();
        let mut run: Vec<Committed<'_>> = Vec::with_capacity(entries.len());
        for entry in entries {
            match &entry.payload {
                EntryPayload::Normal(Proposal { time, bytes }) => run.push(Committed {
                    index: entry.log_id.index,
                    term: entry.log_id.leader_id.term,
                    time: *time,
                    bytes,
                }),
                EntryPayload::Blank => {}
                EntryPayload::Membership(membership) => {
                    inner.machine.apply(&run)?;
                    run.clear();
                    let stored = StoredMembership::new(Some(entry.log_id), membership.clone());
                    inner.machine.members_changed(entry.log_id.index, &members(&stored));
                    inner.membership = stored;
                }
            }
            inner.applied = Some(entry.log_id);
        }
        inner.machine.apply(&run)
    }
}

impl<D: Disk, S: StateMachine> RaftStateMachine<Types> for MachineStore<D, S> {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder<D, S>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let inner = self.0.lock();
        Ok((inner.applied, inner.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut group = Vec::new();
        let mut responders = Vec::new();
        let mut next = entries.next().await;
        while let Some(item) = next {
            let (entry, responder) = item?;
            group.push(entry);
            responders.extend(responder);
            // What is there already is applied together.
            next = match entries.next().now_or_never() {
                Some(item) if item.is_some() && group.len() < GROUP => item,
                ready => {
                    self.apply_group(&group)?;
                    group.clear();
                    for responder in responders.drain(..) {
                        responder.send(());
                    }
                    match ready {
                        Some(item) => item,
                        None => entries.next().await,
                    }
                }
            };
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder<D, S>> {
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder<D, S> {
        let mut inner = self.0.lock();
        let meta =
            SnapshotMeta { last_log_id: inner.applied, last_membership: inner.membership.clone() };
        let write = Some(inner.machine.snapshot());
        Builder { store: self.clone(), meta, write }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let mut inner = self.0.lock();
        let mut reader = inner.store.open(file.0)?;
        inner.machine.restore(&mut reader)?;
        inner.applied = meta.last_log_id;
        inner.membership = meta.last_membership.clone();
        inner.keeping.after_new(&inner.store)?;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        let inner = self.0.lock();
        let Some(reader) = inner.store.newest_valid()?.snapshot else {
            return Ok(None);
        };
        let meta = codec::decode_meta(reader.metadata()).map_err(io::Error::other)?;
        Ok(Some(Snapshot { meta, snapshot: SnapshotFile(reader.index()) }))
    }
}

/// Writes one snapshot.
pub(crate) struct Builder<D: Disk, S> {
    store: MachineStore<D, S>,
    meta: SnapshotMeta,
    write: Option<Box<dyn SnapshotWrite>>,
}

impl<D: Disk, S: StateMachine> RaftSnapshotBuilder<Types> for Builder<D, S> {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        let Some(write) = self.write.take() else {
            return Err(io::Error::other("this snapshot was already written"));
        };
        let (store, keeping, observed, in_place) = {
            let inner = self.store.0.lock();
            (inner.store.clone(), inner.keeping, inner.observed.clone(), inner.in_place)
        };
        let since = Instant::now();
        let meta = self.meta.clone();
        let index = meta.last_log_id.map_or(0, |id| id.index);
        let work = move || -> io::Result<()> {
            let mut out = store.create(index, &codec::encode_meta(&meta))?;
            if let Err(error) = write.write_to(&mut out) {
                out.abort();
                return Err(error);
            }
            out.finish()?;
            keeping.after_new(&store)?;
            Ok(())
        };
        let written = match in_place {
            true => work(),
            false => tokio::task::spawn_blocking(work)
                .await
                .map_err(io::Error::other)
                .and_then(|written| written),
        };
        if let Err(error) = written {
            observed.snapshot_errors.fetch_add(1, Ordering::Relaxed);
            let reason = chain(&error);
            let advice = match polyport_storage::disk::is_full(&error) {
                true => "; the disk is full: free space on it",
                false => "",
            };
            tracing::error!(
                "no snapshot could be written, so the transaction log keeps growing; the next one is \
                 tried when it is due: {reason}{advice}"
            );
            // The log still holds what the snapshot would have, so the node goes on. openraft stops
            // at an error; a snapshot of nothing leaves it with the one it knows.
            let snapshot = SnapshotFile(0);
            return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot });
        }
        observed.snapshot.record_time(since.elapsed());
        observed.has_snapshot(index);
        Ok(Snapshot { meta: self.meta.clone(), snapshot: SnapshotFile(index) })
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
