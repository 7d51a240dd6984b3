//! Creates, deletes and sets: ZooKeeper's `PrepRequestProcessor` checks, in its order, then the
//! change.

use std::borrow::Cow;

use super::apply::Context;
use super::undo::Undo;
use super::{Event, Machine, Outcome, RESERVED, Sink};
use crate::command::{Submitter, Write};
use crate::store::{
    Content, MAX_NAME, NewNode, NodeIndex, container_owner, is_session, time_to_live, ttl_owner,
};
use crate::{Acl, CreateMode, EventKind, Perms, TreeError, path};

/// Longest time to live: 40 bits of milliseconds.
const MAX_TTL_MS: i64 = 0xff_ffff_ffff;

impl Machine {
    pub(super) fn write<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        write: Write<'a>,
        sink: &mut impl Sink,
    ) -> Result<Outcome<'a>, TreeError> {
        let done = self.change(context, from, &write)?;
        self.tell(context, write.path(), &done, sink);
        Ok(done.outcome)
    }

    /// All or none. Events are told only once all have succeeded.
    pub(super) fn multi<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        writes: Vec<Write<'a>>,
        sink: &mut impl Sink,
    ) -> Outcome<'a> {
        let mut changes = Vec::with_capacity(writes.len());
        for write in &writes {
            match self.change(context, from, write) {
                Ok(done) => changes.push(done),
                Err(error) => {
                    let mut results = vec![Err(TreeError::RolledBack); changes.len()];
                    for done in changes.into_iter().rev() {
                        self.undo(done.undo);
                    }
                    results.push(Err(error));
                    results.resize(writes.len(), Err(TreeError::RuntimeInconsistency));
                    return Outcome::Multi(results);
                }
            }
        }
        for (write, done) in writes.iter().zip(&changes) {
            self.tell(context, write.path(), done, sink);
        }
        Outcome::Multi(changes.into_iter().map(|done| Ok(done.outcome)).collect())
    }

    fn change<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        write: &Write<'a>,
    ) -> Result<Changed<'a>, TreeError> {
        match write {
            Write::Create { path, data, acl, mode, ttl_ms } => {
                self.create(context, from, path, *data, acl, (*mode, *ttl_ms))
            }
            Write::Delete { path, version } => self.delete(context, from, path, *version),
            Write::SetData { path, data, version } => {
                self.set_data(context, from, path, *data, *version)
            }
            Write::SetAcl { path, acl, version } => self.set_acl(from, path, acl, *version),
            Write::Check { path, version } => {
                let at = self.existing(path)?;
                self.check_acl(at, Perms::READ, from)?;
                check_version(self.store.meta(at).version, *version)?;
                Ok(Changed { outcome: Outcome::Done, undo: Undo::Nothing, acls: (0, 0) })
            }
        }
    }

    fn create<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        asked: &'a str,
        data: Option<&[u8]>,
        acl: &[Acl],
        (mode, ttl_ms): (CreateMode, i64),
    ) -> Result<Changed<'a>, TreeError> {
        if mode.has_ttl() && !(1..=MAX_TTL_MS).contains(&ttl_ms) {
            return Err(TreeError::BadArguments);
        }
        if acl.is_empty() {
            return Err(TreeError::InvalidAcl);
        }
        let slash = asked.rfind('/').ok_or(TreeError::BadArguments)?;
        let parent_path = if slash == 0 { "/" } else { &asked[..slash] };
        let parent = self.store.lookup(parent_path).ok_or(TreeError::NoNode)?;
        self.check_acl(parent, Perms::CREATE, from)?;
        let parent_meta = self.store.meta(parent);
        let path: Cow<'a, str> = match mode.is_sequential() {
            true => Cow::Owned(format!("{asked}{:010}", parent_meta.creations)),
            false => Cow::Borrowed(asked),
        };
        path::validate(&path).map_err(|_| TreeError::BadArguments)?;
        let name = path::name(&path);
        if name.len() > MAX_NAME {
            return Err(TreeError::BadArguments);
        }
        if name.is_empty() || self.store.child(parent, name).is_some() {
            return Err(TreeError::NodeExists);
        }
        if is_session(parent_meta.owner) {
            return Err(TreeError::NoChildrenForEphemerals);
        }
        if mode.is_ephemeral() && from.session == 0 {
            return Err(TreeError::EphemeralOnLocalSession);
        }
        self.check_quota(&path, None, data, from)?;
        let owner = match mode {
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => from.session,
            CreateMode::Container => container_owner(),
            _ if mode.has_ttl() => ttl_owner(ttl_ms),
            _ => 0,
        };
        let acl = self.acls.intern(acl);
        let Context { zxid, time_ms, .. } = *context;
        let at = self.add_node(parent, NewNode { name, data, acl, zxid, time_ms, owner });
        let meta = self.meta_mut(parent);
        meta.creations = meta.creations.wrapping_add(1);
        meta.pzxid = meta.pzxid.max(zxid);
        self.quota_changed(&path, None, Some(data.map_or(0, <[u8]>::len)));
        let outcome = Outcome::Created(path, self.store.stat(at));
        let acls = (acl, self.store.acl(parent));
        Ok(Changed { outcome, undo: Undo::Created { at, parent, parent_meta }, acls })
    }

    fn delete<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        path: &str,
        version: i32,
    ) -> Result<Changed<'a>, TreeError> {
        if !path.starts_with('/') || path.contains('\0') || RESERVED.contains(&path) {
            return Err(TreeError::BadArguments);
        }
        let at = self.store.lookup(path).ok_or(TreeError::NoNode)?;
        let parent = self.store.parent(at).ok_or(TreeError::BadArguments)?;
        self.check_acl(parent, Perms::DELETE, from)?;
        let meta = self.store.meta(at);
        check_version(meta.version, version)?;
        if meta.num_children > 0 {
            return Err(TreeError::NotEmpty);
        }
        Ok(self.take_node(context, at, path))
    }

    fn set_data<'a>(
        &mut self,
        context: &Context,
        from: &Submitter<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Result<Changed<'a>, TreeError> {
        let at = self.existing(path)?;
        self.check_acl(at, Perms::WRITE, from)?;
        self.check_quota(path, Some(at), data, from)?;
        let meta = self.store.meta(at);
        check_version(meta.version, version)?;
        let content = self.put_data(context, at, data);
        let lengths = (content.data_len(), data.map_or(0, <[u8]>::len));
        self.quota_changed(path, Some(lengths.0), Some(lengths.1));
        let outcome = Outcome::Stat(self.store.stat(at));
        let acls = (self.store.acl(at), 0);
        Ok(Changed { outcome, undo: Undo::DataSet { at, content, meta }, acls })
    }

    fn set_acl<'a>(
        &mut self,
        from: &Submitter<'_>,
        path: &str,
        acl: &[Acl],
        version: i32,
    ) -> Result<Changed<'a>, TreeError> {
        if acl.is_empty() {
            return Err(TreeError::InvalidAcl);
        }
        let at = self.existing(path)?;
        self.check_acl(at, Perms::ADMIN, from)?;
        let meta = self.store.meta(at);
        check_version(meta.aversion, version)?;
        let before = self.store.acl(at);
        let acl = self.acls.intern(acl);
        self.put_acl(at, acl);
        let slot = self.meta_mut(at);
        slot.aversion = slot.aversion.wrapping_add(1);
        let outcome = Outcome::Stat(self.store.stat(at));
        Ok(Changed { outcome, undo: Undo::AclSet { at, acl: before, meta }, acls: (acl, 0) })
    }

    fn existing(&self, path: &str) -> Result<NodeIndex, TreeError> {
        path::validate(path).map_err(|_| TreeError::BadArguments)?;
        self.store.lookup(path).ok_or(TreeError::NoNode)
    }

    fn check_acl(
        &self,
        at: NodeIndex,
        perms: Perms,
        from: &Submitter<'_>,
    ) -> Result<(), TreeError> {
        match self.acls.permits(self.store.acl(at), perms, &from.who) {
            true => Ok(()),
            false => Err(TreeError::NoAuth),
        }
    }

    /// Sets data and what follows from it; the answer is what was there.
    pub(super) fn put_data(
        &mut self,
        context: &Context,
        at: NodeIndex,
        data: Option<&[u8]>,
    ) -> Content {
        let before = self.set_node_data(at, data);
        let meta = self.meta_mut(at);
        meta.version = meta.version.wrapping_add(1);
        meta.mzxid = context.zxid;
        meta.mtime = context.time_ms;
        before
    }

    /// Deletes a childless znode and tells.
    pub(super) fn remove_node(
        &mut self,
        context: &Context,
        at: NodeIndex,
        path: &str,
        sink: &mut impl Sink,
    ) {
        let done = self.take_node(context, at, path);
        self.tell(context, path, &done, sink);
    }

    fn take_node<'a>(&mut self, context: &Context, at: NodeIndex, path: &str) -> Changed<'a> {
        let parent = self.store.parent(at).unwrap_or(NodeIndex::ROOT);
        let acls = (self.store.acl(at), self.store.acl(parent));
        let data_len = self.store.data(at).map_or(0, <[u8]>::len);
        let parent_meta = self.store.meta(parent);
        let node = self.drop_node(at);
        let meta = self.meta_mut(parent);
        meta.pzxid = meta.pzxid.max(context.zxid);
        self.quota_changed(path, Some(data_len), None);
        let undo = Undo::Deleted { node, parent, parent_pzxid: parent_meta.pzxid };
        Changed { outcome: Outcome::Done, undo, acls }
    }

    /// Whether a container or a znode with a time to live may go now.
    pub(super) fn is_due(&self, at: NodeIndex, now_ms: i64) -> bool {
        let meta = self.store.meta(at);
        if meta.num_children > 0 {
            return false;
        }
        match time_to_live(meta.owner) {
            Some(ttl) => now_ms - meta.mtime > ttl,
            None => meta.owner == container_owner() && meta.creations > 0,
        }
    }

    fn tell(&self, context: &Context, path: &str, done: &Changed<'_>, sink: &mut impl Sink) {
        let mut event = |kind, path, acl| {
            sink.event(Event { kind, path, zxid: context.zxid, acl: self.acls.get(acl) });
        };
        let (acl, parent_acl) = done.acls;
        match (&done.undo, &done.outcome) {
            (Undo::Created { .. }, Outcome::Created(path, _)) => {
                event(EventKind::NodeCreated, path, acl);
                let parent = path::parent(path).unwrap_or("/");
                event(EventKind::NodeChildrenChanged, parent, parent_acl);
            }
            (Undo::Deleted { .. }, _) => {
                event(EventKind::NodeDeleted, path, acl);
                let parent = path::parent(path).unwrap_or("/");
                event(EventKind::NodeChildrenChanged, parent, parent_acl);
            }
            (Undo::DataSet { .. }, _) => event(EventKind::NodeDataChanged, path, acl),
            _ => {}
        }
    }
}

/// A change that was made, and how to take it back.
struct Changed<'a> {
    outcome: Outcome<'a>,
    undo: Undo,
    /// Who may hear of it: readers of the znode, readers of its parent.
    acls: (u32, u32),
}

fn check_version(actual: i32, expected: i32) -> Result<(), TreeError> {
    if expected == -1 || expected == actual { Ok(()) } else { Err(TreeError::BadVersion) }
}
