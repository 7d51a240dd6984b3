//! ApiVersions: what is served here.

use polyport_kafka_codec::messages::api_versions_response::ApiVersion;
use polyport_kafka_codec::messages::{ApiVersionsRequest, ApiVersionsResponse};
use polyport_kafka_codec::{ErrorCode, frame};

use super::super::connection::Ended;
use super::super::dispatch::Call;
use super::super::response::Response;
use super::super::served::SERVED;

fn api_keys() -> Vec<ApiVersion> {
    let version = |(api, first, last): &(polyport_kafka_codec::ApiKey, i16, i16)| ApiVersion {
        api_key: api.code(),
        min_version: *first,
        max_version: *last,
    };
    SERVED.iter().map(version).collect()
}

/// Answers the request.
pub(in super::super) async fn handle(
    call: &Call,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    if call.version() >= 3
        && !(named(&request.client_software_name) && named(&request.client_software_version))
    {
        return ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        };
    }
    ApiVersionsResponse { api_keys: api_keys(), ..Default::default() }
}

/// Answers a version that is not served, in version 0: every client can read that one, and finds out
/// which version to ask in.
///
/// # Errors
/// None in practice: version 0 can express it.
pub(in super::super) fn unsupported(call: &Call) -> Result<Response, Ended> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: api_keys(),
        ..Default::default()
    };
    let mut bytes = Vec::new();
    frame::encode_response(&mut bytes, &response, 0, call.header.correlation_id)?;
    Ok(Response::bytes(bytes))
}

/// KIP-511: letters and digits, and `-` and `.` between them.
fn named(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(letter)
        && text.ends_with(letter)
        && text.chars().all(|c| letter(c) || c == '-' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn software_has_a_plain_name() {
        for good in ["librdkafka", "apache-kafka-java", "2.8.0", "a"] {
            assert!(named(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", "ä"] {
            assert!(!named(bad), "{bad}");
        }
    }
}
