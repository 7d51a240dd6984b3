//! Kafka's messages: bytes to requests and responses and back, for servers and clients alike.
//! Reference: the message schemas of Apache Kafka 3.9.1, and of 4.0.0 where today's clients want more:
//! ConsumerGroupHeartbeat and ConsumerGroupDescribe version 1.
//!
//! - [`messages`]: a struct for each message, generated from the schemas by `generate/`.
//! - [`ApiKey`]: the APIs and their versions.
//! - [`frame`], [`header`]: what is around a message on a connection; [`record`]: in a record.
//! - [`ErrorCode`]: Kafka's errors.
//! - [`placement`]: which brokers get which replicas, which is the same on both sides.
//! - [`Message`], [`Reader`], [`Writer`], [`Field`]: how they are read and written.
//!
//! # A request and its response
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::BytesMut;
//! use polyport_kafka_codec::header::{self, RequestHeader};
//! use polyport_kafka_codec::messages::{HeartbeatRequest, HeartbeatResponse};
//! use polyport_kafka_codec::{ApiKey, Message, Reader, frame};
//!
//! // A client asks.
//! let request = HeartbeatRequest { group_id: "g".into(), ..HeartbeatRequest::default() };
//! let mut sent = Vec::new();
//! frame::encode_request(&mut sent, &request, 4, 7, Some("me"))?;
//!
//! // A server reads what has arrived, and answers.
//! let mut arrived = BytesMut::from(&sent[..]);
//! let whole = frame::split(&mut arrived, 100 << 20)?.ok_or("more bytes are to come")?;
//! let mut reader = Reader::new(whole);
//! let header = RequestHeader::decode(&mut reader)?;
//! assert_eq!((header.api_key, header.api_version), (ApiKey::Heartbeat, 4));
//! assert_eq!(HeartbeatRequest::decode(&mut reader, header.api_version)?, request);
//! let response = HeartbeatResponse { error_code: 25, ..HeartbeatResponse::default() };
//! let mut answer = Vec::new();
//! frame::encode_response(&mut answer, &response, header.api_version, header.correlation_id)?;
//!
//! // The client reads the answer.
//! let mut arrived = BytesMut::from(&answer[..]);
//! let whole = frame::split(&mut arrived, 100 << 20)?.ok_or("more bytes are to come")?;
//! let mut reader = Reader::new(whole);
//! assert_eq!(header::decode_response(&mut reader, ApiKey::Heartbeat, 4)?, 7);
//! assert_eq!(HeartbeatResponse::decode(&mut reader, 4)?, response);
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//! - A peer's bytes never panic, and no memory is taken for a length that has not arrived: an array
//!   gets room for 64 KiB at first and grows with its items, which may take 16 times the frame's bytes
//!   and a megabyte.
//! - Records and other bytes are split off the frame, never copied. Records of a Produce request are
//!   a [`BytesMut`](bytes::BytesMut): each partition's may be changed where they lie, with nothing
//!   else to be dropped before. Such bytes hold the memory of the whole frame, and of what was read
//!   from the socket with it: copy what is small and kept.
//! - Records of a Fetch response may be in a file: [`Records`].
//! - As in Kafka: unknown tagged fields and bytes after a message are ignored, text that is no UTF-8
//!   is replaced, a field that a version does not have gets its default when read, and must have it
//!   when written, unless the schema calls it ignorable.
//!
//! Deliberately absent: sockets, clocks; what is in a record batch (the log's); Kafka's requests
//! between brokers and controllers, share groups, and the snapshots of its own metadata log.

mod api;
mod error;
mod error_code;
mod field;
pub mod frame;
pub mod header;
mod message;
pub mod messages;
pub mod placement;
mod reader;
pub mod record;
mod types;
mod writer;

pub use api::{ApiInfo, ApiKey};
pub use error::EncodeError;
pub use error_code::ErrorCode;
pub use field::Field;
pub use message::{Message, Request, Response};
pub use polyport_wire::DecodeError;
pub use reader::Reader;
pub use types::{InvalidUuid, Records, Uuid};
pub use writer::{Gap, Tags, Writer};
