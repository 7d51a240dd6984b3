//! Other brokers' requests, which come over the node port and are answered as clients' are.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use polyport_base::NodeId;
use polyport_cluster::transport::Connection;
use polyport_kafka_codec::frame;
use tokio::sync::Notify;

use super::connection::{Client, Ended, Peer};
use super::dispatch::Handled;
use super::response::{Piece, Response};
use crate::broker::{Broker, SERVICE};
use crate::security::Caller;

impl Broker {
    /// Answers other brokers until the broker is drained.
    pub(crate) fn serve_peers(self: &Arc<Self>) {
        let broker = Arc::downgrade(self);
        let threads = self.threads.clone();
        self.client.replica().cluster().serve_channel(SERVICE, move |node, connection| {
            threads.spawn(serve(broker.clone(), node, connection));
        });
    }

    /// Answers no more brokers that connect.
    pub(crate) fn refuse_peers(&self) {
        self.client.replica().cluster().end_channel(SERVICE);
    }
}

async fn serve(broker: Weak<Broker>, node: NodeId, connection: Connection) {
    let Some(broker) = broker.upgrade() else { return };
    let ended = tokio::select! {
        ended = answer_all(&broker, connection) => ended,
        () = broker.drained() => return,
    };
    match ended {
        Ok(()) => tracing::debug!(%node, "a broker closed its connection"),
        Err(reason) => tracing::warn!(%node, %reason, "a broker's connection is closed"),
    }
}

async fn answer_all(broker: &Arc<Broker>, mut connection: Connection) -> Result<(), Ended> {
    while let Some(frame) = connection.receiver.recv().await {
        if frame.is_empty() {
            // What it was to hurry has been answered.
            continue;
        }
        let hurry = Arc::new(Notify::new());
        let mut client = Client {
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            listener: "".into(),
            caller: Caller::Broker,
            peer: Peer::Broker { hurry: hurry.clone() },
        };
        let frame = frame.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let answer = async {
            match broker.dispatch(&mut client, frame).await? {
                Handled::Answer(response) => Ok(Some(response)),
                Handled::Nothing { .. } => Ok(None),
                Handled::Later(answer) => answer.await.map(Some),
            }
        };
        let mut answer = std::pin::pin!(answer);
        let answered = loop {
            tokio::select! {
                answered = &mut answer => break answered,
                more = connection.receiver.recv() => match more {
                    Some(more) if more.is_empty() => hurry.notify_one(),
                    Some(_) => return Err(Ended::Refused("a request before the last was answered")),
                    None => return Ok(()),
                },
            }
        };
        if let Some(response) = answered? {
            let whole = gathered(response)?;
            if connection.sender.send(whole).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// An answer in one piece, without its length: the transport has lengths of its own.
fn gathered(response: Response) -> std::io::Result<Bytes> {
    let len = response.pieces.iter().map(Piece::len).sum();
    let mut whole = Vec::with_capacity(len);
    for piece in response.pieces {
        match piece {
            Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
            Piece::File(range) => range.read_into(&mut whole)?,
        }
    }
    Ok(Bytes::from(whole).slice(frame::LENGTH_BYTES..))
}
