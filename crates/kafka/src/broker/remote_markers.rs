//! Markers for partitions wherever they are led: here, or by another broker, which is sent
//! WriteTxnMarkers.

use std::sync::Arc;

use polyport_kafka_codec::messages::WriteTxnMarkersRequest;
use polyport_kafka_codec::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use polyport_kafka_codec::{ErrorCode, Message as _};
use polyport_log::TopicPartition;
use polyport_storage::OsDisk;

use super::Peers;
use crate::metadata::image::Images;
use crate::transaction::coordinator::{LocalMarkers, MarkerError, MarkerSink, Writing};
use crate::transaction::machine::{End, Marker};

/// The partitions of all brokers.
pub(super) struct Markers {
    /// This broker's id.
    pub(super) broker: i32,
    pub(super) images: Images,
    /// This broker's partitions.
    pub(super) local: Arc<LocalMarkers<OsDisk>>,
    pub(super) peers: Peers,
}

impl MarkerSink for Markers {
    fn write(&self, marker: Marker, partition: &TopicPartition) -> Writing {
        let image = self.images.current();
        let found = image.partition(&partition.topic, partition.partition);
        match found.and_then(|found| found.leader()) {
            Some(leader) if leader != self.broker => {
                let (peers, partition) = (self.peers.clone(), partition.clone());
                Box::pin(async move { send(&peers, leader, marker, partition).await })
            }
            // Whether it is gone, or led by nobody now, is told apart there.
            _ => self.local.write(marker, partition),
        }
    }
}

async fn send(
    peers: &Peers,
    leader: i32,
    marker: Marker,
    to: TopicPartition,
) -> Result<(), MarkerError> {
    let marker = WritableTxnMarker {
        producer_id: marker.producer.id,
        producer_epoch: marker.producer.epoch,
        transaction_result: marker.end == End::Commit,
        coordinator_epoch: marker.coordinator_epoch,
        topics: vec![WritableTxnMarkerTopic {
            name: to.topic,
            partition_indexes: vec![to.partition],
        }],
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker] };
    let version = WriteTxnMarkersRequest::LAST_VERSION;
    let answer = match peers.send(leader, &request, version).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(leader, %error, "a marker did not arrive");
            return Err(MarkerError::Unavailable);
        }
    };
    let topics = answer.markers.first().map(|marker| marker.topics.as_slice()).unwrap_or_default();
    let partition = topics.first().and_then(|topic| topic.partitions.first());
    match partition.map(|partition| ErrorCode::from_code(partition.error_code)) {
        Some(Some(ErrorCode::None)) => Ok(()),
        Some(Some(ErrorCode::InvalidProducerEpoch)) => Err(MarkerError::ProducerFenced),
        Some(Some(ErrorCode::TransactionCoordinatorFenced)) => Err(MarkerError::CoordinatorFenced),
        Some(Some(ErrorCode::NotEnoughReplicas)) => Err(MarkerError::NotEnoughReplicas),
        // Also if it does not know the partition: this broker's metadata decide whether it is gone.
        _ => Err(MarkerError::Unavailable),
    }
}
