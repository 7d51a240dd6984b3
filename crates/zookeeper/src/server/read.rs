//! Requests that the local tree answers, in the place where the session is.

use bytes::BufMut;
use polyport_tree::access::{ANY_SASL, permits};
use polyport_tree::machine::Machine;
use polyport_tree::store::NodeIndex;
use polyport_tree::watch::{WatchKind, WatchTable};
use polyport_tree::{Acl, EventKind, Perms, TreeError, path};
use polyport_wire::Cursor;

use super::outbound::{Ending, Outbound, Owed, session_of};
use crate::auth::Identities;
use crate::codec::jute::Put;
use crate::codec::multi::{self, MultiReadOp};
use crate::codec::request::WatchLists;
use crate::codec::{ErrorCode, OpCode, ReplyHeader, Request, RequestHeader, Response};

/// Where a read happens.
pub(super) struct Place<'a> {
    pub(super) machine: &'a Machine,
    /// Missing only for requests that were seen to set none.
    pub(super) watches: Option<&'a mut WatchTable>,
}

/// Whether the answer needs the watches.
pub(super) fn uses_watches(op: OpCode, frame: &[u8]) -> bool {
    match op {
        // The flag is the last byte.
        OpCode::Exists | OpCode::GetData | OpCode::GetChildren | OpCode::GetChildren2 => {
            frame.last().is_some_and(|flag| *flag != 0)
        }
        OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::AddWatch
        | OpCode::CheckWatches
        | OpCode::RemoveWatches => true,
        _ => false,
    }
}

struct Reader<'a, 'b> {
    place: &'a mut Place<'b>,
    outbound: &'a Outbound,
    who: &'a Identities,
    /// The answer has become longer than what any client may leave unread.
    too_long: bool,
}

/// Answers one request (header and body); one that is none ends the connection.
pub(super) fn answer(
    frame: &[u8],
    place: &mut Place<'_>,
    outbound: &Outbound,
    who: &Identities,
    owed: &mut Owed,
) {
    let mut cursor = Cursor::new(frame);
    let Ok(RequestHeader { xid, op }) = RequestHeader::decode(&mut cursor) else {
        return owed.end_malformed();
    };
    let zxid = place.machine.last_zxid();
    let request = OpCode::from_i32(op).map(|op| Request::decode(op, &mut cursor));
    let request = match request {
        Some(Ok(request)) => request,
        Some(Err(error)) => {
            tracing::warn!(%error, op, "malformed request");
            return owed.end_malformed();
        }
        None => {
            tracing::warn!(op, "request of an unknown kind");
            owed.reply(xid, zxid, ErrorCode::UNIMPLEMENTED);
            return owed.end_malformed();
        }
    };
    let start = owed.bytes.len();
    let mut missed = Vec::new();
    let mut reader = Reader { place, outbound, who, too_long: false };
    owed.frame(|out| {
        ReplyHeader { xid, zxid, err: ErrorCode::OK }.encode(out);
        let body = out.len();
        if let Err(error) = reader.body(&request, out, &mut missed) {
            out.truncate(body);
            // The error is the header's last field.
            out[body - 4..body].copy_from_slice(&ErrorCode::from(error).0.to_be_bytes());
        }
    });
    if reader.too_long {
        owed.bytes.truncate(start);
        owed.ending.get_or_insert(Ending::TooLong);
        return;
    }
    if !missed.is_empty() {
        // What a reconnecting client missed comes before the answer to its setWatches.
        let reply = owed.bytes.split_off(start);
        for (kind, path) in missed {
            outbound.event(owed, kind, path, zxid);
        }
        owed.bytes.extend_from_slice(&reply);
    }
}

type Missed<'r> = Vec<(EventKind, &'r str)>;

impl Reader<'_, '_> {
    fn body<'r>(
        &mut self,
        request: &Request<'r>,
        out: &mut Vec<u8>,
        missed: &mut Missed<'r>,
    ) -> Result<(), TreeError> {
        let machine = self.place.machine;
        let store = machine.store();
        match request {
            Request::Ping => {}
            Request::Exists { path, watch } => {
                check_path(path)?;
                let found = store.lookup(path);
                if found.is_some_and(|at| !self.may(at, Perms::READ)) {
                    return Err(TreeError::NoAuth);
                }
                // The watch is set whether the znode is there or not.
                self.watch(*watch, WatchKind::Data, path);
                let at = found.ok_or(TreeError::NoNode)?;
                out.put_stat(&store.stat(at));
            }
            Request::GetData { path, watch } => {
                let at = self.readable(path)?;
                self.watch(*watch, WatchKind::Data, path);
                out.put_opt_buffer(store.data(at));
                out.put_stat(&store.stat(at));
            }
            Request::GetChildren { path, watch } => {
                let at = self.readable(path)?;
                self.watch(*watch, WatchKind::Child, path);
                put_children(machine, at, out);
            }
            Request::GetChildren2 { path, watch } => {
                let at = self.readable(path)?;
                self.watch(*watch, WatchKind::Child, path);
                put_children(machine, at, out);
                out.put_stat(&store.stat(at));
            }
            Request::GetAllChildrenNumber { path } => {
                let at = self.readable(path)?;
                let mut open: Vec<NodeIndex> = vec![at];
                let mut count = -1;
                while let Some(at) = open.pop() {
                    count += 1;
                    open.extend(store.children(at));
                }
                out.put_i32(count);
            }
            Request::GetEphemerals { prefix } => {
                let prefix = if *prefix == "/" { "" } else { prefix };
                out.put_strings(&machine.ephemerals(session_of(self.outbound), prefix));
            }
            Request::GetAcl { path } => self.acl(path, out)?,
            Request::MultiRead(ops) => {
                for op in ops {
                    multi::encode_result(&self.multi_read(op), out);
                    // A request of many small reads can ask for a thousand times its own length.
                    if out.len() > self.outbound.limit() {
                        self.too_long = true;
                        break;
                    }
                }
                multi::encode_end(out);
            }
            Request::SetWatches(lists) => self.set_watches(lists, missed),
            Request::SetWatches2(lists) => self.set_watches(lists, missed),
            Request::AddWatch { path, mode } => {
                check_path(path)?;
                let kind = match mode {
                    0 => WatchKind::Persistent,
                    1 => WatchKind::PersistentRecursive,
                    _ => return Err(TreeError::BadArguments),
                };
                self.watch(true, kind, path);
                // ZooKeeper answers with an ErrorResponse record.
                out.put_i32(0);
            }
            Request::CheckWatches { path, kind } => {
                let kinds = watch_kinds(*kind)?;
                let watcher = self.outbound.watcher();
                let watches = self.place.watches.as_deref();
                let has = |kind| watches.is_some_and(|w| w.contains(kind, path, watcher));
                if !kinds.iter().any(|kind| has(*kind)) {
                    return Err(TreeError::NoWatcher);
                }
            }
            Request::RemoveWatches { path, kind } => self.remove_watches(path, *kind)?,
            Request::WhoAmI => {
                let ids = self.who.ids();
                let user = |id: &polyport_tree::Id| {
                    // A digest's user is shown without its hash.
                    let name = match id.scheme.as_str() {
                        "digest" => id.id.split(':').next().unwrap_or_default(),
                        _ => &id.id,
                    };
                    (id.scheme.clone(), name.to_owned())
                };
                let shown = ids.iter().filter(|id| id.scheme != ANY_SASL);
                Response::WhoAmI(shown.map(user).collect()).encode(out);
            }
            _ => return Err(TreeError::Unimplemented),
        }
        Ok(())
    }

    fn may(&self, at: NodeIndex, perms: Perms) -> bool {
        let machine = self.place.machine;
        let acl = machine.acls().get(machine.store().acl(at));
        self.who.bypass() || permits(acl, perms, &self.who.borrowed())
    }

    fn readable(&self, path: &str) -> Result<NodeIndex, TreeError> {
        let at = self.place.machine.store().lookup(path);
        let at = match at {
            Some(at) if path.starts_with('/') => at,
            _ => {
                check_path(path)?;
                return Err(TreeError::NoNode);
            }
        };
        if self.may(at, Perms::READ) { Ok(at) } else { Err(TreeError::NoAuth) }
    }

    fn watch(&mut self, wanted: bool, kind: WatchKind, path: &str) {
        let watcher = self.outbound.watcher();
        if let (true, Some(watches)) = (wanted, self.place.watches.as_deref_mut()) {
            watches.add(kind, path, watcher);
        }
    }

    fn acl(&self, path: &str, out: &mut Vec<u8>) -> Result<(), TreeError> {
        check_path(path)?;
        let machine = self.place.machine;
        let at = machine.store().lookup(path).ok_or(TreeError::NoNode)?;
        if !self.may(at, Perms::READ | Perms::ADMIN) {
            return Err(TreeError::NoAuth);
        }
        let acl = machine.acls().get(machine.store().acl(at));
        if self.may(at, Perms::ADMIN) {
            out.put_acl(acl);
        } else {
            // Without ADMIN the hashes stay secret.
            let masked = |entry: &Acl| {
                let mut entry = entry.clone();
                if entry.id.scheme == "digest"
                    && let Some((user, _)) = entry.id.id.split_once(':')
                {
                    entry.id.id = format!("{user}:x");
                }
                entry
            };
            out.put_acl(&acl.iter().map(masked).collect::<Vec<_>>());
        }
        out.put_stat(&machine.store().stat(at));
        Ok(())
    }

    fn multi_read(&self, op: &MultiReadOp<'_>) -> multi::MultiResult {
        let store = self.place.machine.store();
        match op {
            MultiReadOp::GetData { path } => self.readable(path).map(|at| {
                let data = store.data(at).map(<[u8]>::to_vec);
                (OpCode::GetData, Response::Data(data, store.stat(at)))
            }),
            MultiReadOp::GetChildren { path } => self.readable(path).map(|at| {
                let names = store.children(at).map(|child| store.name(child).to_owned());
                (OpCode::GetChildren, Response::Children(names.collect()))
            }),
        }
        .map_err(ErrorCode::from)
    }

    /// Re-arms what a client watched before it reconnected; what changed since fires at once.
    fn set_watches<'r>(&mut self, lists: &WatchLists<'r>, missed: &mut Missed<'r>) {
        let store = self.place.machine.store();
        let stat = |path: &str| store.lookup(path).map(|at| store.stat(at));
        let mut arm = Vec::new();
        for path in &lists.data {
            match stat(path) {
                None => missed.push((EventKind::NodeDeleted, *path)),
                Some(stat) if stat.mzxid > lists.relative_zxid => {
                    missed.push((EventKind::NodeDataChanged, *path));
                }
                Some(_) => arm.push((WatchKind::Data, *path)),
            }
        }
        for path in &lists.exist {
            match stat(path) {
                Some(_) => missed.push((EventKind::NodeCreated, *path)),
                None => arm.push((WatchKind::Data, *path)),
            }
        }
        for path in &lists.child {
            match stat(path) {
                None => missed.push((EventKind::NodeDeleted, *path)),
                Some(stat) if stat.pzxid > lists.relative_zxid => {
                    missed.push((EventKind::NodeChildrenChanged, *path));
                }
                Some(_) => arm.push((WatchKind::Child, *path)),
            }
        }
        arm.extend(lists.persistent.iter().map(|path| (WatchKind::Persistent, *path)));
        let recursive = lists.persistent_recursive.iter();
        arm.extend(recursive.map(|path| (WatchKind::PersistentRecursive, *path)));
        for (kind, path) in arm {
            self.watch(true, kind, path);
        }
    }

    fn remove_watches(&mut self, path: &str, kind: i32) -> Result<(), TreeError> {
        let kinds = watch_kinds(kind)?;
        let watcher = self.outbound.watcher();
        let mut removed = false;
        if let Some(watches) = self.place.watches.as_deref_mut() {
            for kind in kinds {
                removed |= watches.remove(*kind, path, watcher);
            }
        }
        if removed { Ok(()) } else { Err(TreeError::NoWatcher) }
    }
}

/// `Watcher.WatcherType`.
fn watch_kinds(number: i32) -> Result<&'static [WatchKind], TreeError> {
    use WatchKind::{Child, Data, Persistent, PersistentRecursive};
    Ok(match number {
        1 => &[Child],
        2 => &[Data],
        3 => &[Child, Data, Persistent, PersistentRecursive],
        4 => &[Persistent],
        5 => &[PersistentRecursive],
        _ => return Err(TreeError::BadArguments),
    })
}

fn check_path(text: &str) -> Result<(), TreeError> {
    path::validate(text).map_err(|_| TreeError::BadArguments)
}

fn put_children(machine: &Machine, at: NodeIndex, out: &mut Vec<u8>) {
    let store = machine.store();
    out.put_i32(store.meta(at).num_children as i32);
    for child in store.children(at) {
        out.put_ustring(store.name(child));
    }
}
