//! Which topics a consumer's metadata name.

use std::collections::BTreeSet;

use polyport_wire::{Cursor, DecodeError};

use super::ClassicGroup;

impl ClassicGroup {
    /// Notes what the members read. If one's metadata cannot be read, that is unknown.
    pub(super) fn update_subscribed(&mut self) {
        self.subscribed = None;
        if !self.is_consumer() {
            return;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(self.protocol.as_deref().unwrap_or_default());
            let Ok(named) = subscription(&metadata) else { return };
            topics.extend(named);
        }
        self.subscribed = Some(topics);
    }
}

/// The topics at the start of Kafka's `ConsumerProtocolSubscription`, which all versions of it share.
fn subscription(metadata: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut from = Cursor::new(metadata);
    from.u16("version")?;
    let count = from.i32("topics")?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = from.u16("topic")?;
        let name = from.take(length.into(), "topic")?;
        let name = std::str::from_utf8(name).map_err(|_| from.error("topic"))?;
        topics.push(name.to_owned());
    }
    Ok(topics)
}
