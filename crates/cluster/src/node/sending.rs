//! The task that brings this node's proposals to the leader.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::{Clock, NodeId};
use polyport_storage::disk::Disk;
use tokio::sync::watch;
use tokio::time::Instant;

use super::status::Status;
use super::{AnyMachine, OnNote};
use crate::Proposals;
use crate::proposals::RESEND_AFTER;
use crate::raft::{Dialer, Kind, Proposal, Raft, Refused};
use crate::transport::{Transport, closed};

pub(super) struct Sending<T: Transport, D: Disk> {
    pub(super) node: NodeId,
    pub(super) raft: Raft<D, AnyMachine>,
    pub(super) dialer: Dialer<T, D>,
    pub(super) proposals: Proposals,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) on_note: OnNote,
}

/// Who leads, and since which term: sending begins anew when either changes.
fn leader(status: &Status) -> Option<(NodeId, u64, String)> {
    let leader = status.leader?;
    let member = status.members.get(&leader)?;
    Some((leader, status.term, member.address.clone()))
}

/// Before everything is sent again that was not taken: about what a new leader needs until a majority
/// has answered it.
const PAUSE: Duration = Duration::from_millis(10);

/// What has been sent to the present leader.
struct Progress {
    sent: Option<u64>,
    applied: u64,
    since: Instant,
}

impl Progress {
    fn new(proposals: &Proposals) -> Self {
        Self { sent: None, applied: proposals.progress(), since: Instant::now() }
    }

    /// Whether what was sent seems to be lost.
    fn is_stuck(&mut self, proposals: &Proposals) -> bool {
        let applied = proposals.progress();
        if applied != self.applied || proposals.is_empty() {
            self.applied = applied;
            self.since = Instant::now();
        }
        self.since.elapsed() >= RESEND_AFTER
    }
}

impl<T: Transport, D: Disk> Sending<T, D> {
    pub(super) async fn run(mut self) {
        loop {
            let target = leader(&self.status.borrow_and_update());
            match target {
                Some((id, term, _)) if id == self.node => self.lead(term).await,
                Some((id, term, address)) => {
                    if let Err(error) = self.follow(id, term, &address).await {
                        tracing::debug!(leader = %id, %error, "proposals interrupted");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                None => {
                    if self.status.changed().await.is_err() {
                        return;
                    }
                }
            }
            if self.status.has_changed().is_err() {
                return;
            }
        }
    }

    fn is_current(&self, id: NodeId, term: u64) -> bool {
        leader(&self.status.borrow()).is_some_and(|(now, then, _)| now == id && then == term)
    }

    /// Waits for something to send; false if it is time to begin anew.
    async fn pause(&mut self, progress: &mut Progress) -> bool {
        tokio::select! {
            () = self.proposals.woken() => true,
            changed = self.status.changed() => changed.is_ok(),
            () = tokio::time::sleep(RESEND_AFTER / 2) => !progress.is_stuck(&self.proposals),
        }
    }

    async fn lead(&mut self, term: u64) {
        let mut progress = Progress::new(&self.proposals);
        self.proposals.begin();
        let refused = Refused::default();
        while self.is_current(self.node, term) {
            if let Some(note) = self.proposals.take_note() {
                (self.on_note)(self.node, &note[1..]);
            }
            match self.proposals.after(progress.sent) {
                Some((number, frame)) => {
                    let proposal = Proposal { time: self.clock.now(), bytes: frame.slice(1..) };
                    let receipt = Some(refused.receipt());
                    if self.raft.client_write_ff(proposal, receipt).await.is_err() {
                        return;
                    }
                    progress.sent = Some(number);
                }
                None => tokio::select! {
                    () = refused.told() => return tokio::time::sleep(PAUSE).await,
                    go_on = self.pause(&mut progress) => if !go_on { return },
                },
            }
        }
    }

    async fn follow(&mut self, id: NodeId, term: u64, address: &str) -> io::Result<()> {
        let mut connection = self.dialer.dial(address, Kind::Proposals).await?;
        self.proposals.begin();
        let mut progress = Progress::new(&self.proposals);
        while self.is_current(id, term) {
            if let Some(note) = self.proposals.take_note() {
                connection.sender.send(note).await.map_err(|_| closed())?;
            }
            match self.proposals.after(progress.sent) {
                Some((number, frame)) => {
                    connection.sender.send(frame).await.map_err(|_| closed())?;
                    progress.sent = Some(number);
                }
                None => tokio::select! {
                    // The leader says nothing here; it can only hang up.
                    _ = connection.receiver.recv() => return Err(closed()),
                    go_on = self.pause(&mut progress) => if !go_on { return Ok(()) },
                },
            }
        }
        Ok(())
    }
}
