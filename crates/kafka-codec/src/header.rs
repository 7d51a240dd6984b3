//! What stands before a request's and a response's body.

use polyport_wire::DecodeError;

use crate::{ApiKey, EncodeError, Reader, Writer};

/// The header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// What is asked for.
    pub api_key: ApiKey,
    /// The version of the request and of its response. It may be one that the API does not have: an
    /// answer to [`ApiKey::ApiVersions`] then says which it has.
    pub api_version: i16,
    /// The response brings it back.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Reads it. The body begins where the reader then is.
    ///
    /// # Errors
    /// If the API is unknown, or the bytes are too few. Kafka closes the connection on both.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let unknown = reader.error("an API that does not exist");
        let api_key = ApiKey::from_code(reader.i16()?).ok_or(unknown)?;
        let api_version = reader.i16()?;
        let correlation_id = reader.i32()?;
        // The client's name has the old length in all versions, so that a broker can read the header
        // of an ApiVersions request that is newer than itself.
        reader.set_version(0, false);
        let client_id = reader.get()?;
        reader.set_version(0, api_key.is_flexible(api_version));
        reader.no_tags()?;
        Ok(Self { api_key, api_version, correlation_id, client_id })
    }

    /// Writes it at the end of `out`.
    ///
    /// # Errors
    /// If the client's name is longer than 32767 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut writer = Writer::new(out, "RequestHeader", self.api_version, false);
        writer.put(&self.api_key.code())?;
        writer.put(&self.api_version)?;
        writer.put(&self.correlation_id)?;
        writer.put(&self.client_id)?;
        if self.api_key.is_flexible(self.api_version) {
            out.push(0);
        }
        Ok(())
    }
}

/// Reads a response's header and returns its correlation id. The body begins where the reader then is.
///
/// # Errors
/// If the bytes are too few.
pub fn decode_response(reader: &mut Reader, api: ApiKey, version: i16) -> Result<i32, DecodeError> {
    let correlation_id = reader.i32()?;
    reader.set_version(0, has_tags(api, version));
    reader.no_tags()?;
    Ok(correlation_id)
}

/// Writes a response's header at the end of `out`.
pub fn encode_response(out: &mut Vec<u8>, api: ApiKey, version: i16, correlation_id: i32) {
    out.extend_from_slice(&correlation_id.to_be_bytes());
    if has_tags(api, version) {
        out.push(0);
    }
}

/// An ApiVersions response has none in its header: a client must be able to read it before it knows
/// what the broker speaks.
fn has_tags(api: ApiKey, version: i16) -> bool {
    api != ApiKey::ApiVersions && api.is_flexible(version)
}
