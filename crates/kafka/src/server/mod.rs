//! The thin shell: sockets, one task a connection, one handler an API.

mod access;
mod authenticate;
mod connection;
mod dispatch;
mod error;
mod fetch_session;
mod frames;
mod handler;
mod peer;
mod response;
mod served;
mod throttle;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use polyport_net::accept::{Door, Places, accept};
use polyport_net::admission::Admission;
use polyport_net::listen;
use polyport_net::stream::Stream;
use tokio::net::TcpStream;

pub(crate) use error::Code;
pub(crate) use fetch_session::FetchSessions;

use crate::broker::Broker;
use crate::security::{Caller, Principal, Security};
use authenticate::Gate;
use connection::{Client, Peer};

/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

impl Broker {
    /// Listens and serves until the broker is drained. `listener`: the name it is advertised by.
    ///
    /// # Errors
    /// If the address cannot be had, or what the listener asks of clients cannot be served.
    pub async fn listen(self: &Arc<Self>, listener: &str, address: &str) -> io::Result<SocketAddr> {
        let security = self.settings.configs.security(listener);
        let security =
            security.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let security = Arc::new(security);
        let socket = listen::bind(address, 0).await.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("kafka.listeners: {listener}://{address}: {error}"),
            )
        })?;
        let local = socket.local_addr()?;
        let settings = &self.settings;
        let door = Door {
            port: Admission::new(
                settings.size("max.connections"),
                settings.size("max.connections.per.ip"),
            ),
            process: settings.descriptors.clone(),
            keep_alive: true,
        };
        let broker = self.clone();
        let listener: Arc<str> = listener.into();
        let stop = self.draining.subscribe();
        tokio::spawn(async move {
            let refused = |_, _| ();
            let serve = |stream, peer, places| {
                let entry = Entry { listener: listener.clone(), security: security.clone() };
                serve(broker.clone(), entry, stream, peer, places)
            };
            accept(socket, door, stop, refused, serve).await;
        });
        Ok(local)
    }
}

/// What a connection came in by.
struct Entry {
    listener: Arc<str>,
    security: Arc<Security>,
}

async fn serve(
    broker: Arc<Broker>,
    entry: Entry,
    stream: TcpStream,
    address: SocketAddr,
    _places: Places,
) {
    let _open = broker.stats.connected();
    let entering = enter(&entry.security, stream);
    let entered = tokio::select! {
        entered = tokio::time::timeout(HANDSHAKE_WITHIN, entering) => entered,
        () = broker.drained() => return,
    };
    let (stream, principal) = match entered {
        Ok(Ok(entered)) => entered,
        Ok(Err(error)) => {
            return tracing::info!(peer = %address, %error, "a TLS handshake failed");
        }
        Err(_) => return tracing::info!(peer = %address, "a TLS handshake took too long"),
    };
    let caller = Caller::Client(principal);
    let client = Client { address, listener: entry.listener, caller, peer: Peer::Client };
    let gate = entry.security.sasl.clone().map(Gate::new);
    connection::serve(broker, stream, client, gate).await;
}

/// Does the TLS handshake if there is one, and says who came.
async fn enter(security: &Security, stream: TcpStream) -> io::Result<(Stream, Principal)> {
    let Some(acceptor) = &security.tls else {
        return Ok((Stream::Plain(stream), Principal::anonymous()));
    };
    let (stream, subject) = acceptor.accept(stream).await?;
    let principal = match subject {
        // Who comes with SASL too says there who they are.
        Some(subject) if security.sasl.is_none() => {
            let name = security.mapping.name(&subject);
            let name = name.ok_or_else(|| {
                io::Error::other(format!("no rule of ssl.principal.mapping.rules fits {subject}"))
            })?;
            Principal::user(&name)
        }
        _ => Principal::anonymous(),
    };
    Ok((stream, principal))
}
