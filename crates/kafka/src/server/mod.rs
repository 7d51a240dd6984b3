//! The thin shell: sockets, one task a connection, one handler an API.

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

use polyport_net::accept::{Door, Places, accept};
use polyport_net::admission::Admission;
use polyport_net::listen;
use polyport_net::stream::Stream;
use tokio::net::TcpStream;

pub(crate) use error::Code;
pub(crate) use fetch_session::FetchSessions;

use crate::broker::Broker;
use crate::security::{Caller, Principal};
use connection::{Client, Peer};

impl Broker {
    /// Listens and serves until the broker is drained. `listener`: the name it is advertised by.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn listen(self: &Arc<Self>, listener: &str, address: &str) -> io::Result<SocketAddr> {
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
                serve(broker.clone(), listener.clone(), stream, peer, places)
            };
            accept(socket, door, stop, refused, serve).await;
        });
        Ok(local)
    }
}

async fn serve(
    broker: Arc<Broker>,
    listener: Arc<str>,
    stream: TcpStream,
    address: SocketAddr,
    _places: Places,
) {
    let _open = broker.stats.connected();
    let caller = Caller::Client(Principal::anonymous());
    let client = Client { address, listener, peer: Peer::Client, caller };
    connection::serve(broker, Stream::Plain(stream), client).await;
}
