//! The primitive changes of the machine's parts, each with its way back. All go through here, so
//! that a snapshot in progress sees every znode before it changes.

use super::Machine;
use crate::store::{
    Content, Meta, NewNode, NodeIndex, Removed, is_container, is_session, time_to_live,
};

/// How to take a change back. Changes are taken back in reverse order only.
#[derive(Debug)]
pub(super) enum Undo {
    Nothing,
    Created { at: NodeIndex, parent: NodeIndex, parent_meta: Meta },
    Deleted { node: Removed, parent: NodeIndex, parent_pzxid: i64 },
    DataSet { at: NodeIndex, content: Content, meta: Meta },
    AclSet { at: NodeIndex, acl: u32, meta: Meta },
}

impl Machine {
    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Created { at, parent, parent_meta } => {
                self.recount_quota_around(at, |machine| {
                    machine.drop_node(at);
                });
                let meta = self.meta_mut(parent);
                meta.creations = parent_meta.creations;
                meta.pzxid = parent_meta.pzxid;
            }
            Undo::Deleted { node, parent, parent_pzxid } => {
                let owner = node.owner();
                self.before_insert();
                let at = self.store.put_back(node);
                self.enlist(at, owner);
                self.meta_mut(parent).pzxid = parent_pzxid;
                self.recount_quota_around(at, |_| {});
            }
            Undo::DataSet { at, content, meta } => {
                self.before_change(at);
                self.store.swap_content(at, content);
                self.restore_meta(at, meta);
                self.recount_quota_around(at, |_| {});
            }
            Undo::AclSet { at, acl, meta } => {
                self.put_acl(at, acl);
                self.restore_meta(at, meta);
            }
        }
    }

    /// Everything but the list of children, which is not part of a data or ACL change.
    fn restore_meta(&mut self, at: NodeIndex, meta: Meta) {
        let now = self.meta_mut(at);
        *now = Meta { num_children: now.num_children, first_child: now.first_child, ..meta };
    }

    pub(super) fn add_node(&mut self, parent: NodeIndex, new: NewNode<'_>) -> NodeIndex {
        self.before_insert();
        self.before_change(parent);
        let at = self.store.insert(parent, new);
        self.enlist(at, new.owner);
        at
    }

    pub(super) fn drop_node(&mut self, at: NodeIndex) -> Removed {
        self.before_change(at);
        if let Some(parent) = self.store.parent(at) {
            self.before_change(parent);
        }
        let owner = self.store.meta(at).owner;
        if is_session(owner) {
            if let Some(session) = self.sessions.get_mut(&owner) {
                session.ephemerals.remove(&at);
            }
        } else if owner != 0 {
            self.reapable.remove(&at);
        }
        self.store.remove(at)
    }

    /// Notes a znode that will have to go by itself some day.
    pub(crate) fn enlist(&mut self, at: NodeIndex, owner: i64) {
        if is_session(owner) {
            if let Some(session) = self.sessions.get_mut(&owner) {
                session.ephemerals.insert(at);
            }
        } else if is_container(owner) || time_to_live(owner).is_some() {
            self.reapable.insert(at);
        }
    }

    pub(super) fn meta_mut(&mut self, at: NodeIndex) -> &mut Meta {
        self.before_change(at);
        self.store.meta_mut(at)
    }

    pub(super) fn set_node_data(&mut self, at: NodeIndex, data: Option<&[u8]>) -> Content {
        self.before_change(at);
        self.store.set_data(at, data)
    }

    pub(super) fn put_acl(&mut self, at: NodeIndex, acl: u32) {
        self.before_change(at);
        self.store.set_acl(at, acl);
    }
}
