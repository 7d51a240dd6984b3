//! AddOffsetsToTxn.

use polyport_kafka_codec::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use polyport_log::TopicPartition;

use crate::metadata::topics::CONSUMER_OFFSETS;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;
use crate::transaction::machine::Producer;

/// The first version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_OF_FENCED: i16 = 2;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let may = call.transactional_id(Operation::Write, &request.transactional_id);
    if let Err(code) = may.and_then(|()| call.group(Operation::Read, &request.group_id)) {
        return AddOffsetsToTxnResponse { error_code: code.code(), ..Default::default() };
    }
    let broker = &call.broker;
    let partition = broker.groups.partition_of(&request.group_id);
    let of = TopicPartition { topic: CONSUMER_OFFSETS.to_owned(), partition };
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let transactions = &broker.transactions;
    let added = transactions.add_partitions(&request.transactional_id, producer, &[of]).await;
    let added = match added {
        Err(error) if call.version() < FIRST_VERSION_OF_FENCED => {
            Err(error.before_producer_fenced())
        }
        added => added,
    };
    AddOffsetsToTxnResponse { error_code: code_of(&added), ..Default::default() }
}
