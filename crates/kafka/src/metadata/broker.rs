//! This node's registration as a broker, and what must be in the tree before it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::Clock;
use polyport_tree::client::{Client, ClientError, writes};
use polyport_tree::{CreateMode, TreeError};

use super::TopicId;
use super::znode::{BrokerZnode, Endpoint, FeatureZnode, cluster_id_json, parse_cluster_id, path};

/// Why this node is no broker.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another broker of this id lives.
    #[error(
        "broker id {id} is taken by a living broker at {endpoints}: give one of the two another \
         node.id, or stop that one (after it was killed, its registration goes when its session \
         0x{session:x} expires)"
    )]
    Taken {
        /// The id.
        id: i32,
        /// Where the other one is.
        endpoints: String,
        /// Its session.
        session: i64,
    },
    /// The tree did not do it.
    #[error("the broker cannot be registered: {0}")]
    Tree(#[from] ClientError),
    /// The operating system has no randomness.
    #[error("no randomness: {0}")]
    Randomness(#[from] io::Error),
}

/// Makes what must be in the tree before a broker works; the answer is the cluster's id.
///
/// # Errors
/// See [`RegisterError`].
pub async fn prepare(client: &Client) -> Result<String, RegisterError> {
    for path in path::BASE {
        ensure(client, path, None).await?;
    }
    ensure(client, path::FEATURE, Some(&FeatureZnode::empty().to_json())).await?;
    ensure(client, path::CONTROLLER_EPOCH, Some(b"0")).await?;
    let id = TopicId::random()?.to_string();
    ensure(client, path::CLUSTER_ID, Some(&cluster_id_json(&id))).await?;
    let (json, _) = client.get(path::CLUSTER_ID).ok_or(ClientError::Unknown)?;
    parse_cluster_id(&json).map_err(|error| {
        // Nobody can tell what cluster this is: as if there were no randomness to make one.
        io::Error::new(io::ErrorKind::InvalidData, error).into()
    })
}

/// Makes a znode unless it is there.
async fn ensure(client: &Client, path: &str, data: Option<&[u8]>) -> Result<(), ClientError> {
    if client.read(|tree| tree.stat(path).is_some()) {
        return Ok(());
    }
    let create = match data {
        Some(data) => writes::create(path, data),
        None => writes::create_bare(path),
    };
    match client.write(create).await {
        Err(ClientError::Refused { error: TreeError::NodeExists, .. }) => Ok(()),
        done => done.map(|_| ()),
    }
}

/// What becomes of an ephemeral that this node wants to be its own.
pub(super) enum Claim {
    /// It is.
    Ours,
    /// It can be made.
    Free,
    /// An earlier process of this node left it behind; it has this version.
    LeftBehind(i32),
    /// It is another's: its session.
    Others(i64),
}

/// Whose an ephemeral is.
pub(super) fn claim(client: &Client, path: &str) -> Claim {
    let session = *client.session().borrow();
    match client.read(|tree| tree.stat(path)) {
        None => Claim::Free,
        Some(stat) if stat.ephemeral_owner == session => Claim::Ours,
        Some(stat) if client.is_left_behind(stat.ephemeral_owner) => {
            Claim::LeftBehind(stat.version)
        }
        Some(stat) => Claim::Others(stat.ephemeral_owner),
    }
}

/// This node as a broker, registered until this is dropped or its client's session ends.
pub struct Registration {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Between two tries to register anew.
const PAUSE: Duration = Duration::from_secs(1);

impl Registration {
    /// Registers, and registers anew whenever the session was lost. The time of the registration is
    /// filled in.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub async fn start(
        client: Client,
        id: i32,
        broker: BrokerZnode,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RegisterError> {
        let mut session = client.session();
        register(&client, id, &broker, &*clock).await?;
        let task = tokio::spawn(async move {
            while session.changed().await.is_ok() {
                while *session.borrow() != 0 {
                    match register(&client, id, &broker, &*clock).await {
                        Ok(()) => break,
                        Err(error) => tracing::error!(%error, "this broker is not registered"),
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Ok(Self { task })
    }
}

async fn register(
    client: &Client,
    id: i32,
    broker: &BrokerZnode,
    clock: &dyn Clock,
) -> Result<(), RegisterError> {
    let path = path::broker(id);
    let json = BrokerZnode { timestamp_ms: clock.now().0, ..broker.clone() }.to_json();
    let create = || writes::create_as(&path, &json, CreateMode::Ephemeral);
    loop {
        let writes = match claim(client, &path) {
            Claim::Ours => return Ok(()),
            Claim::Free => vec![create()],
            Claim::LeftBehind(version) => vec![writes::delete(&path, version), create()],
            Claim::Others(session) => {
                let json = client.get(&path).map(|(json, _)| json).unwrap_or_default();
                let other = BrokerZnode::parse(&json).unwrap_or_default();
                let endpoints: Vec<_> = other.endpoints.iter().map(Endpoint::to_string).collect();
                return Err(RegisterError::Taken { id, endpoints: endpoints.join(","), session });
            }
        };
        match client.multi(writes).await {
            Ok(_) => {
                tracing::info!(id, "broker registered");
                return Ok(());
            }
            // It came or went in between: look again.
            Err(ClientError::Refused {
                error: TreeError::NodeExists | TreeError::NoNode | TreeError::BadVersion,
                ..
            }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
