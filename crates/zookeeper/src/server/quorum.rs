//! What losing and regaining the quorum means to clients: those of a node without one would read
//! stale data and write in vain, so they are sent to look for another node; those that were
//! content with reading are sent away when there is more to be had. A node that begins to lead may
//! have to leave its clients to the others.

use std::sync::atomic::Ordering;

use polyport_cluster::Status;
use polyport_cluster::node::Standing;

use super::Server;
use super::outbound::Ending;

/// Closes the connections that do not fit, whenever the quorum comes or goes.
pub(super) async fn watch(server: Server) {
    let mut status = server.replica().status().clone();
    let mut was = status.borrow_and_update().in_quorum;
    let mut only_led = false;
    while status.changed().await.is_ok() {
        let (is, only_leads) = {
            let status = status.borrow_and_update();
            (status.in_quorum, server.only_leads(&status))
        };
        if std::mem::replace(&mut only_led, only_leads) != only_leads && only_leads {
            tracing::info!("this node leads: clients are left to the others (leaderServes)");
            for (_, connected) in server.connections() {
                connected.outbound.end(Ending::Interrupted);
            }
        }
        if is == was {
            continue;
        }
        was = is;
        if is {
            tracing::info!("a majority of the cluster answers");
        } else {
            tracing::warn!("no majority of the cluster answers: clients are disconnected");
        }
        for (_, connected) in server.connections() {
            if connected.outbound.read_only.load(Ordering::Acquire) == is {
                connected.outbound.end(Ending::Interrupted);
            }
        }
    }
}

impl Server {
    /// Whether this node leads others and takes no clients meanwhile (`leaderServes`).
    pub(crate) fn only_leads(&self, status: &Status) -> bool {
        let leads = status.standing == Standing::Leading && status.in_quorum && !status.is_alone();
        leads && !self.settings().leader_serves
    }

    /// Whether only clients that asked for it are served, and only reads (`isro` says `ro`).
    pub fn is_read_only(&self) -> bool {
        self.settings().read_only && !self.replica().status().borrow().in_quorum
    }
}
