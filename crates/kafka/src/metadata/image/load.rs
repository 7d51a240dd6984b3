//! From znodes to the image. What is read and how it takes effect are apart: reading holds the
//! tree, taking effect does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use polyport_tree::Stat;
use polyport_tree::client::Tree;

use super::{
    Broker, Changes, Image, List, Overrides, Partition, PartitionState, Reassigning, Topic,
};
use crate::metadata::TopicId;
use crate::metadata::znode::{
    Assignment, BrokerZnode, ConfigZnode, ControllerZnode, PartitionStateZnode, TopicZnode,
    ZnodeError, parse_cluster_id, path,
};

/// A znode that matters, in the order in which they take effect: a topic before its partitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    ClusterId,
    ControllerEpoch,
    Controller,
    Broker(i32),
    Topic(Arc<str>),
    State(Arc<str>, i32),
    Overrides(Arc<str>),
    Deleting(Arc<str>),
}

impl Key {
    /// What a path names, if it matters.
    pub(super) fn of(at: &str) -> Option<Self> {
        match at {
            path::CLUSTER_ID => return Some(Self::ClusterId),
            path::CONTROLLER => return Some(Self::Controller),
            path::CONTROLLER_EPOCH => return Some(Self::ControllerEpoch),
            _ => {}
        }
        let below = |home: &str| at.strip_prefix(home)?.strip_prefix('/');
        if let Some(id) = below(path::BROKER_IDS) {
            return path::parse_number(id).map(Self::Broker);
        }
        if let Some(named) = path::parse_topic_path(at) {
            return Some(match named {
                path::TopicPath::Topic(topic) => Self::Topic(topic.into()),
                path::TopicPath::State(topic, number) => Self::State(topic.into(), number),
            });
        }
        if let Some(topic) = below(path::DELETE_TOPICS) {
            return (!topic.contains('/')).then(|| Self::Deleting(topic.into()));
        }
        let entity = below(path::CONFIG)?;
        let named = entity.contains('/') && !entity.starts_with("changes/");
        named.then(|| Self::Overrides(entity.into()))
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::ClusterId => path::CLUSTER_ID.to_owned(),
            Self::Controller => path::CONTROLLER.to_owned(),
            Self::ControllerEpoch => path::CONTROLLER_EPOCH.to_owned(),
            Self::Broker(id) => path::broker(*id),
            Self::Topic(topic) => path::topic(topic),
            Self::State(topic, number) => path::state(topic, *number),
            Self::Overrides(entity) => path::config(entity),
            Self::Deleting(topic) => path::delete_topic(topic),
        }
    }
}

/// What was read of a znode; nothing if it is not there.
pub(super) type Content = Option<(Vec<u8>, Stat)>;

/// Everything that is in the tree or in the image.
pub(super) fn all_keys(tree: Tree<'_>, image: &Image) -> BTreeSet<Key> {
    let mut keys = BTreeSet::from([Key::ClusterId, Key::ControllerEpoch, Key::Controller]);
    keys.extend(image.brokers().keys().map(|id| Key::Broker(*id)));
    keys.extend(image.topics().map(|topic| Key::Topic(topic.name.clone())));
    for topic in image.topics() {
        keys.extend(topic.numbered().map(|(number, _)| Key::State(topic.name.clone(), number)));
    }
    keys.extend(image.all_overrides().map(|(entity, _)| Key::Overrides(entity.clone())));
    keys.extend(image.deleting().iter().map(|topic| Key::Deleting(topic.clone())));
    let brokers = tree.children(path::BROKER_IDS).filter_map(path::parse_number);
    keys.extend(brokers.map(Key::Broker));
    keys.extend(tree.children(path::DELETE_TOPICS).map(|topic| Key::Deleting(topic.into())));
    for name in tree.children(path::TOPICS) {
        let name: Arc<str> = name.into();
        add_states(tree, &name, &mut keys);
        keys.insert(Key::Topic(name));
    }
    add_overrides(tree, path::CONFIG, &mut keys);
    keys
}

/// The states that a topic's partitions have.
fn add_states(tree: Tree<'_>, topic: &Arc<str>, keys: &mut BTreeSet<Key>) {
    let numbers = tree.children(&path::partitions(topic)).filter_map(path::parse_number);
    keys.extend(numbers.map(|number| Key::State(topic.clone(), number)));
}

/// Configurations nest: those of a user's clients are below the user's.
fn add_overrides(tree: Tree<'_>, home: &str, keys: &mut BTreeSet<Key>) {
    for name in tree.children(home) {
        let path = format!("{home}/{name}");
        keys.extend(Key::of(&path));
        add_overrides(tree, &path, keys);
    }
}

/// Reads what changed.
pub(super) fn read(tree: Tree<'_>, image: &Image, mut keys: BTreeSet<Key>) -> Vec<(Key, Content)> {
    let new = |key: &Key| match key {
        Key::Topic(name) if image.topic(name).is_none() => Some(name.clone()),
        _ => None,
    };
    let topics: Vec<Arc<str>> = keys.iter().filter_map(new).collect();
    // Their states may have been there before them.
    topics.iter().for_each(|topic| add_states(tree, topic, &mut keys));
    let content = |key: &Key| tree.get(&key.path()).map(|(data, stat)| (data.to_vec(), stat));
    let read = |key: Key| (content(&key), key);
    keys.into_iter().map(read).map(|(content, key)| (key, content)).collect()
}

impl Image {
    /// Takes what znodes hold now, by path: nothing if they are gone. Those that do not matter are left
    /// out. What changed since this image is answered. For who follows the tree by other means than a
    /// node's copy of it.
    pub fn take(
        &mut self,
        zxid: i64,
        znodes: impl IntoIterator<Item = (String, Option<(Vec<u8>, Stat)>)>,
    ) -> Changes {
        let known = |(path, content): (String, Content)| Some((Key::of(&path)?, content));
        let mut read: Vec<_> = znodes.into_iter().filter_map(known).collect();
        read.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.zxid = zxid;
        apply(self, read)
    }
}

/// Makes an image show what was read.
pub(super) fn apply(image: &mut Image, read: Vec<(Key, Content)>) -> Changes {
    let mut changes = Changes::default();
    for (key, content) in read {
        if let Err(error) = apply_one(image, &key, content, &mut changes) {
            tracing::warn!(path = key.path(), %error, "a znode is ignored");
        }
    }
    changes
}

fn apply_one(
    image: &mut Image,
    key: &Key,
    content: Content,
    changes: &mut Changes,
) -> Result<(), ZnodeError> {
    match key {
        Key::ClusterId => {
            let Some((json, _)) = content else { return Ok(()) };
            let id = parse_cluster_id(&json)?;
            changes.cluster_id |= *image.cluster_id != *id;
            image.cluster_id = id.into();
        }
        Key::Controller => {
            let controller = match content {
                Some((json, _)) => Some(ControllerZnode::parse(&json)?.broker),
                None => None,
            };
            changes.controller |= image.controller != controller;
            image.controller = controller;
        }
        Key::ControllerEpoch => {
            let Some((text, stat)) = content else { return Ok(()) };
            let text = String::from_utf8_lossy(&text).into_owned();
            let epoch = text.parse();
            let epoch = epoch.map_err(|_| ZnodeError::value("the controller's epoch", text))?;
            changes.controller |= image.controller_epoch != (epoch, stat.version);
            image.controller_epoch = (epoch, stat.version);
        }
        Key::Broker(id) => set_broker(image, *id, content, changes)?,
        Key::Topic(name) => set_topic(image, name, content, changes)?,
        Key::State(topic, number) => set_state(image, topic, *number, content, changes)?,
        Key::Overrides(entity) => set_overrides(image, entity, content, changes)?,
        Key::Deleting(topic) => {
            let deleting = content.is_some();
            if deleting != image.is_deleting(topic) {
                let all = Arc::make_mut(&mut image.deleting);
                let _ = if deleting { all.insert(topic.clone()) } else { all.remove(topic) };
                changes.deleting.insert(topic.clone());
            }
        }
    }
    Ok(())
}

fn set_broker(
    image: &mut Image,
    id: i32,
    content: Content,
    changes: &mut Changes,
) -> Result<(), ZnodeError> {
    let broker = match content {
        None => None,
        Some((json, stat)) => {
            let BrokerZnode { endpoints, rack, .. } = BrokerZnode::parse(&json)?;
            Some(Broker { id, epoch: stat.czxid, endpoints, rack: rack.map(Into::into) })
        }
    };
    if image.brokers.get(&id).map(|known| &**known) == broker.as_ref() {
        return Ok(());
    }
    let brokers = Arc::make_mut(&mut image.brokers);
    match broker {
        Some(broker) => drop(brokers.insert(id, Arc::new(broker))),
        None => drop(brokers.remove(&id)),
    }
    changes.brokers.insert(id);
    Ok(())
}

fn set_topic(
    image: &mut Image,
    name: &Arc<str>,
    content: Content,
    changes: &mut Changes,
) -> Result<(), ZnodeError> {
    let before = image.topics.get(&**name).cloned();
    let Some((json, stat)) = content else {
        if let Some(before) = before {
            forget(image, &before, changes);
        }
        return Ok(());
    };
    let TopicZnode { id, partitions } = TopicZnode::parse(&json)?;
    let id = id.unwrap_or(TopicId::ZERO);
    let before = match before {
        // Deleted and made anew in between.
        Some(before) if before.id != id => {
            forget(image, &before, changes);
            None
        }
        before => before,
    };
    let consecutive = partitions.keys().copied().eq(0..partitions.len() as i32);
    if !consecutive {
        let numbers = format!("{:?}", partitions.keys().collect::<Vec<_>>());
        return Err(ZnodeError::value("a topic's list of partitions", numbers));
    }
    let of = |topic: &Option<Arc<Topic>>, number| {
        topic.as_ref().and_then(|topic| topic.partition(number).cloned())
    };
    let merged = partitions.into_iter().map(|(number, assignment)| {
        let known = of(&before, number);
        let state = known.as_ref().and_then(|known| known.state.clone());
        let partition = merge(known.as_ref(), assignment, state);
        if known.as_ref() != Some(&partition) {
            changes.partitions.insert((name.clone(), number));
            changes.topics.insert(name.clone());
        }
        partition
    });
    let partitions: List<Partition> = merged.collect();
    if before.as_ref().is_none_or(|before| before.partitions.len() != partitions.len()) {
        changes.topics.insert(name.clone());
    }
    let gone = before.iter().flat_map(|before| before.numbered()).skip(partitions.len());
    changes.partitions.extend(gone.map(|(number, _)| (name.clone(), number)));
    let topic = Topic { name: name.clone(), id, partitions, version: stat.version };
    image.topics.insert(name.clone(), Arc::new(topic));
    if id != TopicId::ZERO {
        image.names.insert(id, name.clone());
    }
    Ok(())
}

/// A partition with these replicas; shares what did not change.
fn merge(
    known: Option<&Partition>,
    assignment: Assignment,
    state: Option<PartitionState>,
) -> Partition {
    let Assignment { replicas, adding, removing } = assignment;
    let same = known.filter(|known| *known.replicas == *replicas);
    let replicas = same.map_or_else(|| replicas.into(), |known| known.replicas.clone());
    let settled = adding.is_empty() && removing.is_empty();
    let reassigning = (!settled).then(|| Arc::new(Reassigning { adding, removing }));
    Partition { replicas, reassigning, state }
}

fn forget(image: &mut Image, topic: &Topic, changes: &mut Changes) {
    image.topics.remove(&*topic.name);
    image.names.remove(&topic.id);
    changes.topics.insert(topic.name.clone());
    let gone = topic.numbered().map(|(number, _)| (topic.name.clone(), number));
    changes.partitions.extend(gone);
}

fn set_state(
    image: &mut Image,
    topic: &Arc<str>,
    number: i32,
    content: Content,
    changes: &mut Changes,
) -> Result<(), ZnodeError> {
    let known = |partition: &&Partition| Some(partition.state.clone());
    let Some(before) = image.partition(topic, number).as_ref().and_then(known) else {
        // Of a topic that is gone, or whose assignment is still to come.
        return Ok(());
    };
    let state = match content {
        None => None,
        Some((json, stat)) => {
            let read = PartitionStateZnode::parse(&json)?;
            Some(PartitionState {
                leader: read.leader,
                leader_epoch: read.leader_epoch,
                isr: read.isr.into(),
                controller_epoch: read.controller_epoch,
                version: stat.version,
                zxid: stat.mzxid,
            })
        }
    };
    if state == before {
        return Ok(());
    }
    let at = usize::try_from(number).unwrap_or(usize::MAX);
    let found =
        image.topics.get_mut(&**topic).and_then(|t| Arc::make_mut(t).partitions.get_mut(at));
    if let Some(partition) = found {
        partition.state = state;
        changes.partitions.insert((topic.clone(), number));
    }
    Ok(())
}

fn set_overrides(
    image: &mut Image,
    entity: &Arc<str>,
    content: Content,
    changes: &mut Changes,
) -> Result<(), ZnodeError> {
    let overrides = match content {
        None => None,
        Some((json, stat)) => {
            let ConfigZnode(values) = ConfigZnode::parse(&json)?;
            Some(Overrides { values, version: stat.version })
        }
    };
    if image.overrides.get(&**entity).map(|known| &**known) == overrides.as_ref() {
        return Ok(());
    }
    match overrides {
        Some(overrides) => drop(image.overrides.insert(entity.clone(), Arc::new(overrides))),
        None => drop(image.overrides.remove(&**entity)),
    }
    changes.overrides.insert(entity.clone());
    Ok(())
}
