//! The rules as this node's copy of the tree has them, and how they are changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use polyport_tree::TreeError;
use polyport_tree::client::{Changes, Client, ClientError, Tree, Watch, writes};
use polyport_tree::watch::WatchKind;
use tokio::sync::{Notify, watch as latest};

use super::model::{ANYBODY, WILDCARD};
use super::{
    Entry, EntryFilter, Operation, Pattern, PatternFilter, Permission, ResourceKind, Rules, znode,
};

/// Most entries of one list: what is stored must fit into one write.
const MAX_ENTRIES: usize = 5000;
/// Tries where another's change came in between.
const TRIES: usize = 10;

/// Why a list was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// It can have no such name, or no such operation.
    #[error("{0}")]
    Invalid(String),
    /// The tree did not do it.
    #[error(transparent)]
    Tree(#[from] ClientError),
}

struct Shared {
    rules: RwLock<Arc<Rules>>,
    zxid: latest::Sender<i64>,
    /// Somebody waits for the newest of all, though it may change nothing.
    asked: Notify,
}

/// Ends with its last handle.
struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The lists. Clones are handles on the same.
#[derive(Clone)]
pub struct Lists {
    shared: Arc<Shared>,
    client: Client,
    _task: Arc<Task>,
}

impl Lists {
    /// Reads all lists and follows them from there on.
    pub fn follow(client: &Client) -> Self {
        let shared = Arc::new(Shared {
            rules: RwLock::default(),
            zxid: latest::channel(0).0,
            asked: Notify::new(),
        });
        let homes = [znode::LITERAL, znode::EXTENDED];
        let mut watch = client.watch(WatchKind::PersistentRecursive, &homes);
        shared.step(&mut watch);
        let following = shared.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = watch.ready() => {}
                    () = following.asked.notified() => {}
                }
                following.step(&mut watch);
            }
        });
        Self { shared, client: client.clone(), _task: Arc::new(Task(task)) }
    }

    /// The newest rules.
    pub fn current(&self) -> Arc<Rules> {
        self.shared.rules.read().clone()
    }

    /// Returns when the rules show a transaction.
    async fn at(&self, zxid: i64) {
        let mut newest = self.shared.zxid.subscribe();
        if *newest.borrow() < zxid {
            self.shared.asked.notify_one();
        }
        // The sender lives as long as `self`.
        let _ = newest.wait_for(|newest| *newest >= zxid).await;
    }

    /// Adds an entry to a pattern's list.
    ///
    /// # Errors
    /// See [`AclError`].
    pub async fn add(&self, pattern: &Pattern, entry: &Entry) -> Result<(), AclError> {
        check(pattern, entry)?;
        self.change(pattern, |entries| {
            entries.insert(entry.clone());
        })
        .await
    }

    /// Takes entries out of a pattern's list.
    ///
    /// # Errors
    /// See [`AclError`].
    pub async fn remove(&self, pattern: &Pattern, gone: &[Entry]) -> Result<(), AclError> {
        self.change(pattern, |entries| entries.retain(|entry| !gone.contains(entry))).await
    }

    /// What is meant by filters, in the newest rules of all.
    pub async fn find(
        &self,
        pattern: &PatternFilter,
        entry: &EntryFilter,
    ) -> Vec<(Pattern, Vec<Entry>)> {
        self.at(self.client.replica().last_zxid()).await;
        self.current().find(pattern, entry)
    }

    async fn change(
        &self,
        pattern: &Pattern,
        change: impl Fn(&mut BTreeSet<Entry>),
    ) -> Result<(), AclError> {
        let invalid = |text: String| AclError::Invalid(text);
        let path = znode::path(pattern);
        let path =
            path.ok_or_else(|| invalid(format!("Invalid resource name {}", pattern.name)))?;
        for _ in 0..TRIES {
            let stored = self.client.get(&path);
            let before = match &stored {
                Some((json, _)) => {
                    znode::from_json(json).map_err(|error| invalid(error.to_string()))?
                }
                None => BTreeSet::new(),
            };
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                self.at(self.client.replica().last_zxid()).await;
                return Ok(());
            }
            if after.len() > MAX_ENTRIES {
                return Err(invalid(format!("a list has at most {MAX_ENTRIES} entries")));
            }
            let json = znode::to_json(&after);
            let homes = self.missing_homes(&path);
            let mut all: Vec<_> = homes.iter().map(|home| writes::create_bare(home)).collect();
            all.push(match &stored {
                Some((_, stat)) if after.is_empty() => writes::delete(&path, stat.version),
                Some((_, stat)) => writes::set(&path, &json, stat.version),
                None => writes::create(&path, &json),
            });
            match self.client.multi(all).await {
                Ok(written) => {
                    self.at(written.zxid).await;
                    return Ok(());
                }
                // Another change came in between: look again, at all that is known by then.
                Err(ClientError::Refused {
                    error: TreeError::BadVersion | TreeError::NodeExists | TreeError::NoNode,
                    ..
                }) => self.client.sync().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClientError::Unknown.into())
    }

    /// What must be made above a list.
    fn missing_homes(&self, path: &str) -> Vec<String> {
        self.client.read(|tree| {
            let mut missing = Vec::new();
            let mut here = polyport_tree::path::parent(path);
            while let Some(home) = here.filter(|home| tree.stat(home).is_none()) {
                missing.push(home.to_owned());
                here = polyport_tree::path::parent(home);
            }
            missing.reverse();
            missing
        })
    }
}

/// Kafka's checks of an entry.
fn check(pattern: &Pattern, entry: &Entry) -> Result<(), AclError> {
    let invalid = |text: String| Err(AclError::Invalid(text));
    if pattern.resource == ResourceKind::Cluster && *pattern.name != *super::model::CLUSTER {
        return invalid(format!(
            "The only valid name for the CLUSTER resource is {}",
            super::model::CLUSTER
        ));
    }
    if pattern.name.is_empty() {
        return invalid("Invalid empty resource name".to_owned());
    }
    let fits = entry.operation == Operation::All
        || pattern.resource.operations().contains(&entry.operation);
    if !fits {
        let (operation, resource) = (entry.operation.name(), pattern.resource.name());
        return invalid(format!(
            "ResourceType {resource} only supports operations of its own, not {operation}"
        ));
    }
    if super::super::Principal::parse(&entry.principal).is_none() {
        let principal = &entry.principal;
        return invalid(format!(
            "expected a string in format principalType:principalName but got {principal}"
        ));
    }
    Ok(())
}

type Found = BTreeMap<Pattern, Option<Vec<u8>>>;

fn everything(tree: Tree<'_>, known: &Rules) -> BTreeSet<Pattern> {
    let mut patterns: BTreeSet<Pattern> = known.all().map(|(pattern, _)| pattern).collect();
    for home in [znode::LITERAL, znode::PREFIXED] {
        for kind in tree.children(home) {
            let lists = format!("{home}/{kind}");
            let paths = tree.children(&lists).map(|name| format!("{lists}/{name}"));
            patterns.extend(paths.filter_map(|path| znode::pattern(&path)));
        }
    }
    patterns
}

fn read(tree: Tree<'_>, known: &Rules, changes: Changes) -> Found {
    let patterns = match changes.lost {
        true => everything(tree, known),
        false => changes.events.iter().filter_map(|event| znode::pattern(&event.path)).collect(),
    };
    let content = |pattern: Pattern| {
        let path = znode::path(&pattern)?;
        let data = tree.get(&path).map(|(data, _)| data.to_vec());
        Some((pattern, data))
    };
    patterns.into_iter().filter_map(content).collect()
}

/// What stands for a list that cannot be read: it may have denied anything.
fn sealed() -> BTreeSet<Entry> {
    BTreeSet::from([Entry {
        principal: ANYBODY.into(),
        host: WILDCARD.into(),
        operation: Operation::All,
        permission: Permission::Deny,
    }])
}

impl Shared {
    fn step(&self, watch: &mut Watch) {
        let before = self.rules.read().clone();
        let (zxid, found) =
            watch.collect(|tree, changes| (tree.zxid(), read(tree, &before, changes)));
        if !found.is_empty() {
            let mut after = (*before).clone();
            for (pattern, data) in found {
                let entries = match data.as_deref().map(znode::from_json) {
                    None => BTreeSet::new(),
                    Some(Ok(entries)) => entries,
                    Some(Err(error)) => {
                        tracing::error!(?pattern, %error, "a list denies everything to everybody");
                        sealed()
                    }
                };
                after.set(pattern, entries);
            }
            *self.rules.write() = Arc::new(after);
        }
        self.zxid.send_replace(zxid);
    }
}
