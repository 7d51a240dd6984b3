//! Messages in records: coordinators' keys and values, and what members of a group tell each other.
//! They have their version before them.

use polyport_wire::DecodeError;

use crate::{EncodeError, Message, Reader};

/// The version that a key or value says it has. In the coordinators' keys it also says what they are.
///
/// # Errors
/// If there are not two bytes.
pub fn version(bytes: &[u8]) -> Result<i16, DecodeError> {
    let error = DecodeError { at: 0, what: "the message ends early" };
    bytes.first_chunk().map(|version| i16::from_be_bytes(*version)).ok_or(error)
}

/// Reads a message with its version before it. Bytes after it are ignored, as by Kafka.
///
/// # Errors
/// If the message does not have that version, or the bytes are not such a message.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    decode_as(bytes, version(bytes)?)
}

/// Reads a message as one of the version given, whatever it says. Consumers read what a newer one
/// tells them as the newest that they know.
///
/// # Errors
/// As [`decode`].
pub fn decode_as<M: Message>(bytes: &[u8], read_version: i16) -> Result<M, DecodeError> {
    version(bytes)?;
    let mut reader = Reader::copied(bytes);
    reader.i16()?;
    M::decode(&mut reader, read_version)
}

/// The message with its version before it.
///
/// # Errors
/// If the version cannot express the message.
pub fn encode<M: Message>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = version.to_be_bytes().to_vec();
    message.encode(&mut bytes, version)?;
    Ok(bytes)
}
