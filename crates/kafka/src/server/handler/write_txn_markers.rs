//! WriteTxnMarkers: what transaction coordinators on other nodes ask of partitions that this one leads,
//! and operators who end a transaction by hand.

use futures_util::future::join_all;
use polyport_kafka_codec::messages::write_txn_markers_request::WritableTxnMarker;
use polyport_kafka_codec::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use polyport_kafka_codec::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use polyport_log::TopicPartition;

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;
use crate::transaction::coordinator::MarkerSink as _;
use crate::transaction::machine::{End, Marker, Producer};

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let markers = request.markers.into_iter().map(|marker| write(call, marker));
    WriteTxnMarkersResponse { markers: join_all(markers).await }
}

async fn write(call: &Call, asked: WritableTxnMarker) -> WritableTxnMarkerResult {
    let marker = Marker {
        producer: Producer { id: asked.producer_id, epoch: asked.producer_epoch },
        end: if asked.transaction_result { End::Commit } else { End::Abort },
        coordinator_epoch: asked.coordinator_epoch,
    };
    // As Kafka does it: operators may, who have the first right, and brokers, who have the second.
    let may = call.cluster(Operation::Alter).or_else(|_| call.cluster(Operation::ClusterAction));
    // All are appended before any is waited for.
    let mut writing = Vec::with_capacity(asked.topics.len());
    for topic in asked.topics {
        let write = |partition_index: i32| {
            let of = TopicPartition { topic: topic.name.clone(), partition: partition_index };
            let written = may.map(|()| call.broker.markers.write(marker, &of));
            async move {
                let error_code = match written {
                    Ok(written) => code_of(&written.await),
                    Err(code) => code.code(),
                };
                WritableTxnMarkerPartitionResult { partition_index, error_code }
            }
        };
        let partitions: Vec<_> = topic.partition_indexes.into_iter().map(write).collect();
        writing.push((topic.name, partitions));
    }
    let mut topics = Vec::with_capacity(writing.len());
    for (name, partitions) in writing {
        let partitions = join_all(partitions).await;
        topics.push(WritableTxnMarkerTopicResult { name, partitions });
    }
    WritableTxnMarkerResult { producer_id: asked.producer_id, topics }
}
