//! DescribeTransactions.

use polyport_kafka_codec::messages::describe_transactions_response::{TopicData, TransactionState};
use polyport_kafka_codec::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use polyport_log::TopicPartition;

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let ids = request.transactional_ids.into_iter();
    let transaction_states = ids.map(|id| describe(call, id)).collect();
    DescribeTransactionsResponse { transaction_states, ..Default::default() }
}

fn describe(call: &Call, transactional_id: String) -> TransactionState {
    if let Err(code) = call.transactional_id(Operation::Describe, &transactional_id) {
        let error_code = code.code();
        return TransactionState { transactional_id, error_code, ..Default::default() };
    }
    let found = match call.broker.transactions.describe(&transactional_id) {
        Ok(found) => found,
        Err(error) => {
            let error_code = error.code().code();
            return TransactionState { transactional_id, error_code, ..Default::default() };
        }
    };
    let mut topics: Vec<TopicData> = Vec::new();
    // They come by topic and number.
    let may = |of: &TopicPartition| call.topic(Operation::Describe, &of.topic).is_ok();
    for of in found.partitions.into_iter().filter(may) {
        match topics.last_mut() {
            Some(last) if last.topic == of.topic => last.partitions.push(of.partition),
            _ => topics.push(TopicData { topic: of.topic, partitions: vec![of.partition] }),
        }
    }
    TransactionState {
        transactional_id,
        transaction_state: found.state.name().to_owned(),
        transaction_timeout_ms: found.timeout_ms,
        transaction_start_time_ms: found.start.map_or(-1, |start| start.0),
        producer_id: found.producer.id,
        producer_epoch: found.producer.epoch,
        topics,
        ..Default::default()
    }
}
