//! AddPartitionsToTxn.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use polyport_kafka_codec::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use polyport_kafka_codec::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use polyport_log::TopicPartition;

use crate::metadata::topics::is_internal;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::{Code, code_of};
use crate::transaction::TransactionError;
use crate::transaction::machine::Producer;

/// The first version of several transactions at once: what brokers ask each other.
const FIRST_VERSION_OF_MANY: i16 = 4;
/// The first version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_OF_FENCED: i16 = 2;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if call.version() < FIRST_VERSION_OF_MANY {
        let producer = Producer {
            id: request.v3_and_below_producer_id,
            epoch: request.v3_and_below_producer_epoch,
        };
        let id = &request.v3_and_below_transactional_id;
        let topics = request.v3_and_below_topics;
        let results = transaction(call, id, producer, topics, false).await;
        return AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: results,
            ..Default::default()
        };
    }
    // Brokers' own.
    if let Err(code) = call.cluster(Operation::ClusterAction) {
        return AddPartitionsToTxnResponse { error_code: code.code(), ..Default::default() };
    }
    let mut results_by_transaction = Vec::with_capacity(request.transactions.len());
    for asked in request.transactions {
        let producer = Producer { id: asked.producer_id, epoch: asked.producer_epoch };
        let id = asked.transactional_id;
        let topic_results = transaction(call, &id, producer, asked.topics, asked.verify_only).await;
        results_by_transaction
            .push(AddPartitionsToTxnResult { transactional_id: id, topic_results });
    }
    AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
}

async fn transaction(
    call: &Call,
    id: &str,
    producer: Producer,
    topics: Vec<AddPartitionsToTxnTopic>,
    verify_only: bool,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let image = call.broker.images.current();
    let all = topics.iter().flat_map(|topic| {
        let of =
            |partition: &i32| TopicPartition { topic: topic.name.clone(), partition: *partition };
        topic.partitions.iter().map(of)
    });
    let all: Vec<TopicPartition> = all.collect();
    let exists = |of: &TopicPartition| {
        image.partition(&of.topic, of.partition).is_some() && !image.is_deleting(&of.topic)
    };
    // Of brokers the caller's rights were looked at before.
    let client = call.version() < FIRST_VERSION_OF_MANY;
    let may = |of: &TopicPartition| match client && !is_internal(&of.topic) {
        true => call.topic(Operation::Write, &of.topic),
        false => Ok(()),
    };
    let whole = match client {
        true => call.transactional_id(Operation::Write, id),
        false => Ok(()),
    };
    let transactions = &call.broker.transactions;
    let codes: Vec<i16> = if let Err(code) = whole {
        vec![code.code(); all.len()]
    } else if all.iter().all(|of| may(of).is_ok() && exists(of)) {
        match verify_only {
            true => match transactions.verify_partitions(id, producer, &all).await {
                Ok(verified) => verified.iter().map(code_of).collect(),
                Err(error) => vec![error.code().code(); all.len()],
            },
            false => {
                let added = transactions.add_partitions(id, producer, &all).await;
                let old = call.version() < FIRST_VERSION_OF_FENCED;
                let added = match added {
                    Err(error) if old => Err(TransactionError::before_producer_fenced(error)),
                    added => added,
                };
                vec![code_of(&added); all.len()]
            }
        }
    } else {
        let code = |of: &TopicPartition| match (may(of), exists(of)) {
            (Err(code), _) => code,
            (Ok(()), true) => ErrorCode::OperationNotAttempted,
            (Ok(()), false) => ErrorCode::UnknownTopicOrPartition,
        };
        all.iter().map(|of| code(of).code()).collect()
    };
    let mut codes = codes.into_iter();
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        let result = |partition_index| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: codes.next().unwrap_or(ErrorCode::UnknownServerError.code()),
        };
        let results_by_partition = topic.partitions.into_iter().map(result).collect();
        results.push(AddPartitionsToTxnTopicResult { name: topic.name, results_by_partition });
    }
    results
}
