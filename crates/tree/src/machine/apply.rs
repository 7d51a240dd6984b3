//! Batches and the commands that are not writes.

use polyport_wire::DecodeError;

use super::{Event, Fate, Machine, Outcome, Sink, Stamp};
use crate::command::{Batch, Command, Submitter};
use crate::session::{Attachment, Session, SessionId};
use crate::{EventKind, TreeError};

impl Machine {
    /// Applies one entry of the log.
    ///
    /// # Errors
    /// If the entry is malformed: the log is damaged or was written by another version, and this
    /// node must not go on.
    pub fn apply(
        &mut self,
        stamp: Stamp,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Fate, DecodeError> {
        let mut batch = Batch::decode(bytes)?;
        if batch.origin != 0 {
            match self.origins.admit(batch.origin, batch.sequence) {
                Fate::Applied => {}
                skipped => return Ok(skipped),
            }
        }
        self.last_stamp = stamp;
        self.forget_abandoned_restore(stamp.time_ms);
        let mut number = 0;
        while let Some((index, command)) = batch.next_command()? {
            let zxid = match command {
                // A barrier is no transaction.
                Command::Sync => self.last_zxid,
                _ => self.next_zxid(stamp.term),
            };
            let attachment = batch.attachment(index);
            let context = Context { term: stamp.term, zxid, time_ms: stamp.time_ms, attachment };
            let result = self.command(&context, &batch.submitters[index], command, sink);
            // That of the command, or beyond: a restore goes on above what it brought.
            let zxid = zxid.max(self.last_zxid);
            sink.outcome(self, number, zxid, result);
            number += 1;
        }
        Ok(Fate::Applied)
    }

    /// Term in the upper half, a counter in the lower; never falls, even if a term's counter
    /// overflows into the next.
    fn next_zxid(&mut self, term: u64) -> i64 {
        let first_of_term = ((term & 0x7fff_ffff) << 32) as i64;
        self.last_zxid = (self.last_zxid + 1).max(first_of_term + 1);
        self.last_zxid
    }

    fn command<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        command: Command<'a>,
        sink: &mut impl Sink,
    ) -> Result<Outcome<'a>, TreeError> {
        match command {
            Command::Write(write) => {
                self.check_attached(context, from)?;
                self.write(context, from, write, sink)
            }
            Command::Multi(writes) => {
                self.check_attached(context, from)?;
                Ok(self.multi(context, from, writes, sink))
            }
            Command::Sync => {
                self.check_attached(context, from)?;
                Ok(Outcome::Synced)
            }
            Command::CreateSession { timeout_ms, password } => {
                // The top byte is the node's, the rest unique because zxids are.
                let id = (from.session << 56) | (context.zxid & 0x00ff_ffff_ffff_ffff);
                let ephemerals = std::collections::BTreeSet::new();
                let attachment = context.attachment;
                self.sessions.insert(id, Session { timeout_ms, password, attachment, ephemerals });
                Ok(Outcome::Attached(id, password, timeout_ms))
            }
            Command::Attach { session, password, timeout_ms } => {
                let found = self.sessions.get_mut(&session);
                let found = found.filter(|found| found.password[..] == *password);
                let found = found.ok_or(TreeError::SessionExpired)?;
                found.attachment = context.attachment;
                found.timeout_ms = timeout_ms;
                Ok(Outcome::Attached(session, found.password, timeout_ms))
            }
            Command::CloseSession => {
                self.check_attached(context, from)?;
                self.end_session(context, from.session, sink);
                Ok(Outcome::Done)
            }
            // Only a leader knows who is silent, and only while it leads.
            Command::Expire { term, .. } if term != context.term => {
                Ok(Outcome::Expired(Vec::new()))
            }
            Command::Expire { sessions, .. } => {
                let ended = sessions.into_iter();
                let ended = ended.filter(|id| self.end_session(context, *id, sink)).collect();
                Ok(Outcome::Expired(ended))
            }
            Command::OpenOrigin { node, nonce } => {
                let origin = self.origins.open(node, context.zxid as u64, nonce);
                Ok(Outcome::Origin(origin, nonce))
            }
            Command::Reap { path } => {
                let at = self.store.lookup(path).ok_or(TreeError::NoNode)?;
                if self.store.meta(at).num_children > 0 {
                    return Err(TreeError::NotEmpty);
                }
                if !self.reapable.contains(&at) {
                    return Err(TreeError::BadVersion);
                }
                self.remove_node(context, at, path, sink);
                Ok(Outcome::Done)
            }
            Command::Restore(step) => Ok(self.restore_step(context, step, sink)),
        }
    }

    /// Sets `/zookeeper/config`, if that changes it. A change of the membership is a transaction of
    /// its own; the log keeps no time with it, so it gets that of the batch before it.
    pub fn set_config(&mut self, data: &[u8], sink: &mut impl Sink) {
        let stamp = self.last_stamp;
        let path = "/zookeeper/config";
        let Some(at) = self.store.lookup(path) else { return };
        if self.store.data(at) == Some(data) {
            return;
        }
        let zxid = self.next_zxid(stamp.term);
        let (attachment, time_ms) = (Attachment::default(), stamp.time_ms);
        self.put_data(&Context { term: stamp.term, zxid, time_ms, attachment }, at, Some(data));
        let acl = self.acls.get(self.store.acl(at));
        sink.event(Event { kind: EventKind::NodeDataChanged, path, zxid, acl });
    }

    fn check_attached(&self, context: &Context, from: &Submitter<'_>) -> Result<(), TreeError> {
        // Session 0 is the server itself.
        if from.session == 0 {
            return Ok(());
        }
        match self.sessions.get(&from.session) {
            None => Err(TreeError::SessionExpired),
            Some(session) if session.attachment != context.attachment => {
                Err(TreeError::SessionMoved)
            }
            Some(_) => Ok(()),
        }
    }

    pub(super) fn end_session(
        &mut self,
        context: &Context,
        id: SessionId,
        sink: &mut impl Sink,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        for at in std::mem::take(&mut session.ephemerals) {
            let path = self.store.path(at);
            self.remove_node(context, at, &path, sink);
            sink.ephemeral_deleted(id, &path);
        }
        self.sessions.remove(&id);
        sink.session_closed(id);
        true
    }
}

/// What a command is applied with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) term: u64,
    pub(super) zxid: i64,
    pub(super) time_ms: i64,
    pub(super) attachment: Attachment,
}
