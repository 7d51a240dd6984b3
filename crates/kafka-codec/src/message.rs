use polyport_wire::DecodeError;

use crate::{ApiKey, EncodeError, Field, Gap, Reader, Writer};

/// A message of its own: the body of a request or response, or data in a record.
pub trait Message: Field + Default + Clone + std::fmt::Debug {
    /// Kafka's name of it.
    const NAME: &'static str;
    /// Its first version.
    const FIRST_VERSION: i16;
    /// Its last version.
    const LAST_VERSION: i16;
    /// Its first flexible version, with short lengths and tagged fields; `i16::MAX` if none is.
    const FIRST_FLEXIBLE_VERSION: i16;

    /// Whether there is such a version.
    fn has_version(version: i16) -> bool {
        (Self::FIRST_VERSION..=Self::LAST_VERSION).contains(&version)
    }

    /// Reads one. Fields that the version does not have get their defaults. Bytes after the message
    /// are left in the reader; Kafka ignores them.
    ///
    /// # Errors
    /// If there is no such version, or the bytes are not such a message.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::has_version(version) {
            return Err(reader.error("a version that the message does not have"));
        }
        reader.set_version(version, version >= Self::FIRST_FLEXIBLE_VERSION);
        Self::read(reader)
    }

    /// Writes it at the end of `out`.
    ///
    /// # Errors
    /// If there is no such version, or the version cannot say what the message says: a field that it
    /// does not have is set (except where readers do without), something is null that may not be, or
    /// too long. Or if records are elsewhere. Then `out` is as it was.
    fn encode(&self, out: &mut Vec<u8>, version: i16) -> Result<(), EncodeError> {
        let start = out.len();
        let gaps = self.encode_with_gaps(out, version)?;
        if gaps.is_empty() {
            return Ok(());
        }
        out.truncate(start);
        Err(error::<Self>(version, "has its records elsewhere"))
    }

    /// Writes it at the end of `out`, without records that are
    /// [elsewhere](crate::Records::Elsewhere), and returns their places, in their order.
    ///
    /// # Errors
    /// As [`Message::encode`], except for records elsewhere.
    fn encode_with_gaps(&self, out: &mut Vec<u8>, version: i16) -> Result<Vec<Gap>, EncodeError> {
        if !Self::has_version(version) {
            return Err(error::<Self>(version, "does not exist"));
        }
        let start = out.len();
        let flexible = version >= Self::FIRST_FLEXIBLE_VERSION;
        let mut writer = Writer::new(out, Self::NAME, version, flexible);
        let written = self.write(&mut writer);
        let gaps = writer.into_gaps();
        if written.is_err() {
            out.truncate(start);
        }
        written.map(|()| gaps)
    }
}

fn error<M: Message>(version: i16, what: &'static str) -> EncodeError {
    EncodeError { message: M::NAME, version, field: "it", what }
}

/// The body of a request.
pub trait Request: Message {
    /// Its API.
    const API: ApiKey;
    /// What answers it, in the same version.
    type Response: Response;
}

/// The body of a response.
pub trait Response: Message {
    /// Its API.
    const API: ApiKey;

    /// Says for how long the client is throttled, in milliseconds, if the answer has room for it.
    fn set_throttle_time_ms(&mut self, _throttle_time_ms: i32) {}
}
