//! The connections, as they are shown.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use polyport_tree::session::SessionId;
use polyport_tree::watch::Watcher;

use super::Server;
use super::counters::Told;

/// One connection, at one moment.
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    /// 0 while there is none.
    pub(crate) session: SessionId,
    /// Its number where watches are kept.
    pub(crate) watcher: Watcher,
    /// Requests that wait for their answer.
    pub(crate) queued: usize,
    pub(crate) told: Told,
}

impl Server {
    /// Every connection, in the order they came.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let client = |(_, connected): (u64, super::Connected)| Client {
            peer: connected.peer,
            session: connected.outbound.session.load(Ordering::Acquire),
            watcher: connected.outbound.watcher(),
            queued: connected.outbound.owed(|owed| owed.queue.len()),
            told: connected.outbound.counters.tell(),
        };
        self.connections().into_iter().map(client).collect()
    }

    /// `crst`: every connection's counters begin anew.
    pub(crate) fn reset_clients(&self) {
        self.connections().iter().for_each(|(_, client)| client.outbound.counters.reset());
    }

    /// Where clients connect; none while it does not listen.
    pub fn client_address(&self) -> Option<SocketAddr> {
        *self.shared.client_address.lock()
    }
}
