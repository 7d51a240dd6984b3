//! Keeps the image up with this node's copy of the tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;
use polyport_tree::client::{Changes as Happened, Client, Tree, Watch};
use polyport_tree::replica::Replica;
use polyport_tree::watch::WatchKind;
use tokio::sync::{Notify, watch as latest};

use super::change::{Subscribers, Subscription};
use super::load::{self, Content, Key};
use super::{Changes, Image};
use crate::metadata::znode::path;

/// Where everything is that matters.
const WATCHED: [&str; 7] = [
    path::BROKER_IDS,
    path::TOPICS,
    path::CONFIG,
    path::DELETE_TOPICS,
    path::CONTROLLER,
    path::CONTROLLER_EPOCH,
    path::CLUSTER_ID,
];

struct Shared {
    current: RwLock<Arc<Image>>,
    subscribers: Subscribers,
    zxid: latest::Sender<i64>,
    /// Somebody waits for the newest of all, though it may change nothing.
    asked: Notify,
}

/// The current image. Clones are handles on the same.
#[derive(Clone)]
pub struct Images {
    shared: Arc<Shared>,
    replica: Replica,
    _task: Arc<Task>,
}

/// Ends with its last handle.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Images {
    /// Reads everything there is now and follows from there on.
    pub fn follow(client: &Client) -> Self {
        let shared = Arc::new(Shared {
            current: RwLock::default(),
            subscribers: Subscribers::default(),
            zxid: latest::channel(0).0,
            asked: Notify::new(),
        });
        let mut watch = client.watch(WatchKind::PersistentRecursive, &WATCHED);
        shared.step(&mut watch);
        let task = tokio::spawn(follow(shared.clone(), watch));
        Self { shared, replica: client.replica().clone(), _task: Arc::new(Task(task)) }
    }

    /// The newest image.
    pub fn current(&self) -> Arc<Image> {
        self.shared.current.read().clone()
    }

    /// The first image that shows a transaction: wait for it with what a write of one's own
    /// answered.
    pub async fn at(&self, zxid: i64) -> Arc<Image> {
        let mut newest = self.shared.zxid.subscribe();
        if *newest.borrow() < zxid {
            self.shared.asked.notify_one();
        }
        // The sender lives as long as `self`.
        let _ = newest.wait_for(|newest| *newest >= zxid).await;
        self.current()
    }

    /// An image that shows all that this node's copy of the tree shows now.
    pub async fn fresh(&self) -> Arc<Image> {
        self.at(self.replica.last_zxid()).await
    }

    /// Follows the image's changes, beginning with all that there is now.
    pub fn subscribe(&self) -> Subscription {
        // Under the lock, so that no step falls between the image and the subscription.
        let current = self.shared.current.read();
        self.shared.subscribers.add(current.clone())
    }
}

async fn follow(shared: Arc<Shared>, mut watch: Watch) {
    loop {
        tokio::select! {
            () = watch.ready() => {}
            () = shared.asked.notified() => {}
        }
        shared.step(&mut watch);
    }
}

/// What is to be read again.
fn keys(tree: Tree<'_>, image: &Image, happened: Happened) -> BTreeSet<Key> {
    match happened.lost {
        true => load::all_keys(tree, image),
        false => happened.events.iter().filter_map(|event| Key::of(&event.path)).collect(),
    }
}

impl Shared {
    fn step(&self, watch: &mut Watch) {
        let before = self.current.read().clone();
        let (zxid, read): (i64, Vec<(Key, Content)>) = watch.collect(|tree, happened| {
            let keys = keys(tree, &before, happened);
            (tree.zxid(), load::read(tree, &before, keys))
        });
        let mut after = (*before).clone();
        let changes: Changes = load::apply(&mut after, read);
        after.zxid = zxid;
        let after = Arc::new(after);
        {
            let mut current = self.current.write();
            *current = after.clone();
            if !changes.is_empty() {
                self.subscribers.tell(&before, &after, &changes);
            }
        }
        self.zxid.send_replace(zxid);
    }
}
