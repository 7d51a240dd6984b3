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
    /// Whether it came by the secure port.
    pub(crate) secure: bool,
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
            secure: connected.secure,
            session: connected.outbound.session.load(Ordering::Acquire),
            watcher: connected.outbound.watcher(),
            queued: connected.outbound.owed(|owed| owed.queue.len()),
            told: connected.outbound.counters.tell(),
        };
        self.connections().into_iter().map(client).collect()
    }

    /// Those of one of the two ports: ZooKeeper's words tell of the port they were asked at.
    pub(crate) fn clients_of(&self, secure: bool) -> Vec<Client> {
        let mut clients = self.clients();
        clients.retain(|client| client.secure == secure);
        clients
    }

    /// `crst`: every connection's counters begin anew.
    pub(crate) fn reset_clients(&self) {
        self.connections().iter().for_each(|(_, client)| client.outbound.counters.reset());
    }

    /// Where clients connect; none while it does not listen.
    pub fn client_address(&self) -> Option<SocketAddr> {
        *self.shared.client_address.lock()
    }

    /// Where TLS clients connect; none while it does not listen there.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        *self.shared.secure_address.lock()
    }
}
