//! SaslHandshake and SaslAuthenticate where there is nothing to authenticate: at the gate of a listener
//! with SASL they do not come this far.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

use crate::server::dispatch::Call;

/// Answers SaslHandshake.
pub(in crate::server) async fn handshake(
    _: &Call,
    _: SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    let error_code = ErrorCode::IllegalSaslState.code();
    SaslHandshakeResponse { error_code, ..Default::default() }
}

/// Answers SaslAuthenticate.
pub(in crate::server) async fn authenticate(
    _: &Call,
    _: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    let text = "SaslAuthenticate request received after successful authentication";
    SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some(text.to_owned()),
        ..Default::default()
    }
}
