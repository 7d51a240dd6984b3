//! ListTransactions.

use polyport_kafka_codec::messages::list_transactions_response::TransactionState;
use polyport_kafka_codec::messages::{ListTransactionsRequest, ListTransactionsResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;
use crate::transaction::shard::ListFilter;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let older = request.duration_filter;
    let mut filter = ListFilter {
        producer_ids: request.producer_id_filters.into_iter().collect(),
        older_than_ms: (call.version() >= 1 && older >= 0).then_some(older),
        ..ListFilter::default()
    };
    let unknown = filter.set_states(request.state_filters.iter().map(String::as_str));
    let unknown_state_filters = unknown.into_iter().map(str::to_owned).collect();
    match call.broker.transactions.list(&filter) {
        Ok(found) => {
            let state = |found: crate::transaction::shard::TransactionOverview| TransactionState {
                transactional_id: found.id.to_string(),
                producer_id: found.producer_id,
                transaction_state: found.state.name().to_owned(),
            };
            let may = |found: &crate::transaction::shard::TransactionOverview| {
                call.transactional_id(Operation::Describe, &found.id).is_ok()
            };
            ListTransactionsResponse {
                unknown_state_filters,
                transaction_states: found.into_iter().filter(may).map(state).collect(),
                ..Default::default()
            }
        }
        Err(error) => ListTransactionsResponse {
            error_code: error.code().code(),
            unknown_state_filters,
            ..Default::default()
        },
    }
}
