//! Bytes ↔ messages, both directions: the server reads requests, the tools and the load generator
//! write them. Pure; nothing here allocates for a length that was not received.

pub mod connect;
pub mod error_code;
pub mod jute;
pub mod multi;
pub mod op;
pub mod reply;
pub mod request;

pub use connect::{ConnectRequest, ConnectResponse};
pub use error_code::ErrorCode;
pub use op::OpCode;
pub use reply::{ReplyHeader, Response, WatcherEvent};
pub use request::{Request, RequestHeader};

/// `xid` of a watch notification (server to client).
pub const XID_NOTIFICATION: i32 = -1;
/// `xid` of a ping and its reply.
pub const XID_PING: i32 = -2;
/// `xid` of an auth packet and its reply.
pub const XID_AUTH: i32 = -4;
/// `xid` of the setWatches that a client sends when it reconnects.
pub const XID_SET_WATCHES: i32 = -8;
/// `jute.maxbuffer` unless configured: 1 MiB less one.
pub const DEFAULT_MAX_FRAME: usize = 0xf_ffff;
