//! The reconfig request: the only one that is neither a read nor a write of the tree.

use std::time::Duration;

use polyport_cluster::{ClusterError, Members, Role};
use polyport_tree::access::permits;
use polyport_tree::replica::{Replica, config_text};
use polyport_tree::{Perms, TreeError};

use super::Settings;
use crate::auth::Identities;
use crate::codec::Request;
use crate::codec::jute::Put;
use crate::reconfig;

/// `ZooDefs.CONFIG_NODE`.
const CONFIG: &str = "/zookeeper/config";
/// How long this node may take to apply a change that its leader has made.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);

/// A change that may be tried.
pub(super) struct Wanted {
    members: Members,
    version: Option<u64>,
}

/// What is refused without asking the leader, in ZooKeeper's order.
pub(super) fn check(
    request: &Request<'_>,
    replica: &Replica,
    settings: &Settings,
    who: &Identities,
) -> Result<Wanted, TreeError> {
    let Request::Reconfig { joining, leaving, new_members, version } = request else {
        return Err(TreeError::Unimplemented);
    };
    if !settings.reconfig_enabled {
        return Err(TreeError::ReconfigDisabled);
    }
    let machine = replica.read();
    let store = machine.store();
    let at = store.lookup(CONFIG).ok_or(TreeError::NoNode)?;
    let current = store.data(at).and_then(reconfig::version).unwrap_or_default();
    if *version != -1 && *version != current {
        return Err(TreeError::BadVersion);
    }
    let known = replica.status().borrow().members.clone();
    let members = reconfig::members(&known, *joining, *leaving, *new_members);
    let refused = |error: reconfig::Malformed| {
        tracing::warn!(%error, "reconfig refused");
        TreeError::BadArguments
    };
    let members = members.map_err(refused)?;
    let voters = |members: &Members| members.values().filter(|m| m.role == Role::Voter).count();
    // What stands alone already may say so again.
    let lone = voters(&members) < 2 && (members.len() > 1 || voters(&known) > 1);
    if settings.standalone_enabled && lone {
        tracing::warn!("reconfig refused: it must leave at least 2 voters (standaloneEnabled)");
        return Err(TreeError::BadArguments);
    }
    let acl = machine.acls().get(store.acl(at));
    if !who.bypass() && !permits(acl, Perms::WRITE, &who.borrowed()) {
        return Err(TreeError::NoAuth);
    }
    reconfig::check_numbers(&members).map_err(refused)?;
    Ok(Wanted { members, version: u64::try_from(*version).ok() })
}

/// Makes the change and waits until this node knows of it. The answer is the request's, without
/// its header.
pub(super) async fn change(replica: Replica, wanted: Wanted) -> Result<Vec<u8>, TreeError> {
    let Wanted { members, version } = wanted;
    let at = replica.cluster().reconfigure(members.clone(), version).await.map_err(|error| {
        tracing::warn!(%error, "reconfig failed");
        match error {
            ClusterError::VersionMismatch(_) => TreeError::BadVersion,
            ClusterError::InProgress => TreeError::ReconfigInProgress,
            ClusterError::NotInSync(_) | ClusterError::NoLeader(_) | ClusterError::Moved => {
                TreeError::NewConfigNoQuorum
            }
            ClusterError::Invalid(_) => TreeError::BadArguments,
        }
    })?;
    if !members.contains_key(&replica.settings().node) {
        // Nobody tells a node that was taken out.
        return body(&replica, Some(config_text(at, &members)));
    }
    let known = async {
        while shown(&replica) < at as i64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    drop(tokio::time::timeout(APPLIED_WITHIN, known).await);
    body(&replica, None)
}

/// The version that clients of this node see.
fn shown(replica: &Replica) -> i64 {
    let machine = replica.read();
    let store = machine.store();
    let data = store.lookup(CONFIG).and_then(|at| store.data(at));
    data.and_then(reconfig::version).unwrap_or_default()
}

/// Data and stat of the configuration.
fn body(replica: &Replica, newer: Option<Vec<u8>>) -> Result<Vec<u8>, TreeError> {
    let machine = replica.read();
    let store = machine.store();
    let at = store.lookup(CONFIG).ok_or(TreeError::NoNode)?;
    let mut stat = store.stat(at);
    let data = newer.as_deref().or(store.data(at));
    stat.data_length = data.map_or(0, <[u8]>::len) as i32;
    let mut out = Vec::new();
    out.put_opt_buffer(data);
    out.put_stat(&stat);
    Ok(out)
}
