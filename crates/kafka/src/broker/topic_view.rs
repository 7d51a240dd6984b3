//! The image as consumer groups see it.

use std::sync::Arc;

use polyport_log::checkpoint::partition_metadata::TopicId;

use crate::group::consumer::TopicView;
use crate::metadata::image::Image;

/// An image.
pub(super) struct ImageView(pub(super) Arc<Image>);

impl TopicView for ImageView {
    fn version(&self) -> u64 {
        self.0.zxid.unsigned_abs()
    }

    fn topic(&self, name: &str) -> Option<(TopicId, i32)> {
        let topic = self.0.topic(name).filter(|_| !self.0.is_deleting(name))?;
        Some((TopicId(topic.id.0), i32::try_from(topic.partitions.len()).ok()?))
    }
}
