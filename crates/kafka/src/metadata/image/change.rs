//! What changed from one image to another, and who is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Image;

/// What differs between two images. What changed and changed back may be named too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The cluster's id became known.
    pub cluster_id: bool,
    /// Another controller, or none.
    pub controller: bool,
    /// Brokers that came, went, or came anew.
    pub brokers: BTreeSet<i32>,
    /// Topics that were made, deleted, or got other replicas or more partitions.
    pub topics: BTreeSet<Arc<str>>,
    /// Every partition that came or went, or whose replicas or state changed.
    pub partitions: BTreeSet<(Arc<str>, i32)>,
    /// Entities whose configuration changed, such as `topics/t`.
    pub overrides: BTreeSet<Arc<str>>,
    /// Topics whose deletion was asked for or is done.
    pub deleting: BTreeSet<Arc<str>>,
}

impl Changes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds those that came after these.
    pub fn merge(&mut self, later: &Changes) {
        self.cluster_id |= later.cluster_id;
        self.controller |= later.controller;
        self.brokers.extend(&later.brokers);
        self.topics.extend(later.topics.iter().cloned());
        self.partitions.extend(later.partitions.iter().cloned());
        self.overrides.extend(later.overrides.iter().cloned());
        self.deleting.extend(later.deleting.iter().cloned());
    }

    /// Everything that is in an image.
    pub(super) fn everything(image: &Image) -> Self {
        let mut all = Self { cluster_id: true, controller: true, ..Self::default() };
        all.brokers.extend(image.brokers().keys());
        all.deleting.extend(image.deleting().iter().cloned());
        all.overrides.extend(image.all_overrides().map(|(entity, _)| entity.clone()));
        for topic in image.topics() {
            all.topics.insert(topic.name.clone());
            all.partitions.extend(topic.numbered().map(|(number, _)| (topic.name.clone(), number)));
        }
        all
    }
}

/// A step from one image to another.
#[derive(Clone, Debug)]
pub struct Update {
    /// What the subscriber was told before; empty at first.
    pub before: Arc<Image>,
    /// What is now.
    pub after: Arc<Image>,
    /// What differs.
    pub changes: Changes,
}

#[derive(Default)]
struct Slot {
    update: Mutex<Option<Update>>,
    wake: Notify,
}

/// Those who are told.
#[derive(Default)]
pub(super) struct Subscribers(Mutex<Vec<Weak<Slot>>>);

impl Subscribers {
    /// A subscriber that first hears of everything that is in `image`.
    pub(super) fn add(&self, image: Arc<Image>) -> Subscription {
        let changes = Changes::everything(&image);
        let update = Update { before: Arc::default(), after: image, changes };
        let slot = Arc::new(Slot { update: Mutex::new(Some(update)), wake: Notify::new() });
        self.0.lock().push(Arc::downgrade(&slot));
        Subscription(slot)
    }

    /// Tells all. Whoever has not listened in between hears of several steps as one.
    pub(super) fn tell(&self, before: &Arc<Image>, after: &Arc<Image>, changes: &Changes) {
        self.0.lock().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let mut update = slot.update.lock();
            match &mut *update {
                Some(update) => {
                    update.after = after.clone();
                    update.changes.merge(changes);
                }
                None => {
                    let (before, after) = (before.clone(), after.clone());
                    *update = Some(Update { before, after, changes: changes.clone() });
                }
            }
            drop(update);
            slot.wake.notify_one();
            true
        });
    }
}

/// Hears of changes, until it is dropped. What waits to be heard is bounded by what there is.
pub struct Subscription(Arc<Slot>);

impl Subscription {
    /// The step from what the last call told (from nothing, for the first call) to what is now.
    /// Waits for a change. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Update {
        loop {
            let wake = self.0.wake.notified();
            if let Some(update) = self.0.update.lock().take() {
                return update;
            }
            wake.await;
        }
    }

    /// The same without waiting.
    pub fn try_next(&mut self) -> Option<Update> {
        self.0.update.lock().take()
    }
}
