//! InitProducerId.

use polyport_kafka_codec::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::security::acl::{Operation, ResourceKind};
use crate::server::dispatch::Call;
use crate::server::error::Code;
use crate::transaction::TransactionError;
use crate::transaction::machine::Producer;
use crate::transaction::shard::InitProducerId;

/// The first version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_OF_FENCED: i16 = 4;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let may = match &request.transactional_id {
        Some(id) => call.transactional_id(Operation::Write, id),
        None if call.may_any(Operation::Write, ResourceKind::Topic) => Ok(()),
        None => call.cluster(Operation::IdempotentWrite),
    };
    if let Err(code) = may {
        return InitProducerIdResponse {
            error_code: code.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
    }
    match init(call, &request).await {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            ..Default::default()
        },
        Err(error) => {
            let old = call.version() < FIRST_VERSION_OF_FENCED;
            let error = if old { error.before_producer_fenced() } else { error };
            InitProducerIdResponse {
                error_code: error.code().code(),
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            }
        }
    }
}

async fn init(call: &Call, request: &InitProducerIdRequest) -> Result<Producer, TransactionError> {
    let expected = InitProducerId::expected(request.producer_id, request.producer_epoch)?;
    let init = InitProducerId { timeout_ms: request.transaction_timeout_ms, expected };
    call.broker.transactions.init_producer_id(request.transactional_id.as_deref(), init).await
}
