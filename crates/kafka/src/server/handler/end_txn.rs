//! EndTxn.

use polyport_kafka_codec::messages::{EndTxnRequest, EndTxnResponse};

use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::code_of;
use crate::transaction::machine::{End, Producer};

/// The first version whose clients know PRODUCER_FENCED.
const FIRST_VERSION_OF_FENCED: i16 = 2;

/// Answers the request.
pub(in crate::server) async fn handle(call: &Call, request: EndTxnRequest) -> EndTxnResponse {
    if let Err(code) = call.transactional_id(Operation::Write, &request.transactional_id) {
        return EndTxnResponse { error_code: code.code(), ..Default::default() };
    }
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let end = if request.committed { End::Commit } else { End::Abort };
    let ended = call.broker.transactions.end(&request.transactional_id, producer, end).await;
    let ended = match ended {
        Err(error) if call.version() < FIRST_VERSION_OF_FENCED => {
            Err(error.before_producer_fenced())
        }
        ended => ended,
    };
    EndTxnResponse { error_code: code_of(&ended), ..Default::default() }
}
