//! Connections between nodes that services above the cluster have for themselves.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use polyport_base::NodeId;

use crate::transport::Connection;

type Handler = Arc<dyn Fn(NodeId, Connection) + Send + Sync>;

/// Which services this node has. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Channels(Arc<RwLock<BTreeMap<String, Handler>>>);

impl Channels {
    pub(super) fn serve(&self, service: &str, handler: Handler) {
        self.0.write().insert(service.to_owned(), handler);
    }

    pub(super) fn end(&self, service: &str) {
        self.0.write().remove(service);
    }

    /// Hands a connection to the service it is for.
    ///
    /// # Errors
    /// If there is no such service here, or not yet.
    pub(crate) fn take(
        &self,
        service: &[u8],
        from: NodeId,
        connection: Connection,
    ) -> io::Result<()> {
        let name = String::from_utf8_lossy(service);
        let handler = self.0.read().get(&*name).cloned();
        let handler = handler.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no service {name:?} here"))
        })?;
        handler(from, connection);
        Ok(())
    }
}
