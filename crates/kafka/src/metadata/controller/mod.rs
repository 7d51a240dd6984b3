//! The controller: one broker, elected through an ephemeral, that elects partitions' leaders when
//! brokers come and go and finishes what others have begun.
//!
//! What it does is decided in [`decide`], from the image alone; this file is the shell: standing for
//! election, following the image, writing the decisions down.

pub mod decide;
mod requests;
mod tree;

pub use requests::Requests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use polyport_base::Clock;
use polyport_tree::client::{Client, ClientError, writes};
use polyport_tree::{CreateMode, TreeError};

use super::broker::{Claim, claim};
use super::image::{Changes, Image, Images, Update};
use super::znode::{ControllerZnode, path};
use decide::{Rules, Scope, decide};
use tree::Applied;

/// How the controller works.
#[derive(Clone)]
pub struct Settings {
    /// This node.
    pub broker: i32,
    /// `unclean.leader.election.enable` of a topic.
    pub unclean: Arc<dyn Fn(&Image, &str) -> bool + Send + Sync>,
}

/// Stands for election, and leads while elected, until it is dropped.
pub struct Controller {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Controller {
    /// Begins. The broker should be registered by now, or it would lead nothing.
    pub fn start(
        client: Client,
        images: Images,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shell = Shell { client, images, settings, clock };
        Self { task: tokio::spawn(async move { shell.run().await }) }
    }
}

struct Shell {
    client: Client,
    images: Images,
    settings: Settings,
    clock: Arc<dyn Clock>,
}

/// Before another try, where the tree did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Before another look, where others have changed what was decided on.
const AGAIN: Duration = Duration::from_millis(10);

impl Shell {
    async fn run(&self) {
        loop {
            match self.stand().await {
                Ok(Some(epoch_version)) => {
                    self.lead(epoch_version).await;
                    // Whoever was elected instead, or whatever goes wrong, is there for a while.
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(None) => self.wait().await,
                Err(error) => {
                    tracing::warn!(%error, "no controller could be elected");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tries to become the controller; the answer is the version of the epoch's znode, if elected.
    async fn stand(&self) -> Result<Option<i32>, ClientError> {
        let claim = claim(&self.client, path::CONTROLLER);
        let Some((text, stat)) = self.client.get(path::CONTROLLER_EPOCH) else {
            let create = writes::create(path::CONTROLLER_EPOCH, b"0");
            return match self.client.write(create).await {
                Ok(_) => Ok(None),
                Err(ClientError::Refused { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let epoch: i32 = String::from_utf8_lossy(&text).parse().unwrap_or_default();
        let next = epoch.wrapping_add(1).to_string();
        let json = ControllerZnode::new(self.settings.broker, self.clock.now().0).to_json();
        let create = writes::create_as(path::CONTROLLER, &json, CreateMode::Ephemeral);
        let mut all = vec![writes::set(path::CONTROLLER_EPOCH, next.as_bytes(), stat.version)];
        match claim {
            Claim::Free => {}
            Claim::LeftBehind(version) => all.push(writes::delete(path::CONTROLLER, version)),
            // An answer was lost: the epoch since then is known to nobody.
            Claim::Ours => all.push(writes::delete(path::CONTROLLER, writes::ANY)),
            Claim::Others(_) => return Ok(None),
        }
        all.push(create);
        match self.client.multi(all).await {
            Ok(written) => {
                tracing::info!(epoch = next, broker = self.settings.broker, "controller elected");
                Ok(written.stat().map(|stat| stat.version))
            }
            Err(ClientError::Refused {
                error: TreeError::BadVersion | TreeError::NodeExists | TreeError::NoNode,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until there may be no controller.
    async fn wait(&self) {
        let mut changes = self.images.subscribe();
        let fresh = self.images.fresh().await;
        if fresh.controller.is_none() {
            return;
        }
        let mut session = self.client.session();
        loop {
            tokio::select! {
                update = changes.next() => {
                    if update.after.controller.is_none() {
                        return;
                    }
                }
                // One's own may have been left behind by the session before.
                changed = session.changed() => match changed {
                    Ok(()) => return,
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    /// Works until somebody else is elected.
    async fn lead(&self, epoch_version: i32) {
        self.images.fresh().await;
        let mut subscription = self.images.subscribe();
        let mut work = Work::new();
        loop {
            if work.is_done() {
                work.add(&subscription.next().await);
            }
            let image = self.images.fresh().await;
            while let Some(update) = subscription.try_next() {
                work.add(&update);
            }
            let deposed = image.controller != Some(self.settings.broker)
                || image.controller_epoch.1 != epoch_version;
            if deposed {
                tracing::info!(broker = self.settings.broker, "another controller was elected");
                return;
            }
            let steps = {
                let unclean = |topic: &str| (self.settings.unclean)(&image, topic);
                let rules = Rules { bounced: &work.bounced, unclean: &unclean };
                decide(&image, &work.scope(), &rules)
            };
            match tree::apply(&self.client, epoch_version, steps).await {
                Applied::All => work = Work::default(),
                // Look again at what it is by now.
                Applied::Some => tokio::time::sleep(AGAIN).await,
                Applied::Deposed => return,
            }
        }
    }
}

/// What is still to be looked at.
#[derive(Default)]
struct Work {
    everything: bool,
    changes: Changes,
    bounced: BTreeSet<i32>,
}

impl Work {
    fn new() -> Self {
        Self { everything: true, ..Self::default() }
    }

    fn is_done(&self) -> bool {
        !self.everything && self.changes.is_empty()
    }

    fn scope(&self) -> Scope<'_> {
        if self.everything { Scope::Everything } else { Scope::Changes(&self.changes) }
    }

    fn add(&mut self, update: &Update) {
        let epoch = |image: &Image, id: &i32| image.brokers().get(id).map(|broker| broker.epoch);
        for id in &update.changes.brokers {
            let (before, after) = (epoch(&update.before, id), epoch(&update.after, id));
            if before.is_some() && after.is_some() && before != after {
                self.bounced.insert(*id);
            }
        }
        self.changes.merge(&update.changes);
    }
}
