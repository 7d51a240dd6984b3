//! The handshake: the first frame of each side.

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};

use super::jute::{self, Put};

/// What a client sends first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Always 0.
    pub protocol_version: i32,
    /// The newest transaction the client has seen.
    pub last_zxid_seen: i64,
    /// Session timeout asked for, in milliseconds.
    pub timeout_ms: i32,
    /// 0 for a new session.
    pub session_id: i64,
    /// Password of the session; 16 zero bytes for a new one.
    pub password: &'a [u8],
    /// Whether a read-only server is acceptable; clients before 3.4 do not send the byte.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads a frame's body.
    ///
    /// # Errors
    /// If it is cut short or longer than the message.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let request = Self {
            protocol_version: cursor.i32("protocol version")?,
            last_zxid_seen: cursor.i64("last zxid seen")?,
            timeout_ms: cursor.i32("session timeout")?,
            session_id: cursor.i64("session id")?,
            password: jute::buffer(&mut cursor, "session password")?,
            read_only: match cursor.remaining() {
                0 => None,
                _ => Some(jute::boolean(&mut cursor, "read-only flag")?),
            },
        };
        cursor.finish()?;
        Ok(request)
    }

    /// Writes the body, without the frame's length.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.protocol_version);
        out.put_i64(self.last_zxid_seen);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session_id);
        out.put_buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

/// What a server answers. A timeout of 0 says that the session has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse<'a> {
    /// Always 0.
    pub protocol_version: i32,
    /// Negotiated session timeout in milliseconds.
    pub timeout_ms: i32,
    /// The session; 0 if it has expired.
    pub session_id: i64,
    /// Password to re-attach with.
    pub password: &'a [u8],
    /// Whether this server is read-only; sent only to clients that sent theirs.
    pub read_only: Option<bool>,
}

impl<'a> ConnectResponse<'a> {
    /// Reads a frame's body.
    ///
    /// # Errors
    /// If it is cut short or longer than the message.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let response = Self {
            protocol_version: cursor.i32("protocol version")?,
            timeout_ms: cursor.i32("session timeout")?,
            session_id: cursor.i64("session id")?,
            password: jute::buffer(&mut cursor, "session password")?,
            read_only: match cursor.remaining() {
                0 => None,
                _ => Some(jute::boolean(&mut cursor, "read-only flag")?),
            },
        };
        cursor.finish()?;
        Ok(response)
    }

    /// Writes the body, without the frame's length.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.protocol_version);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session_id);
        out.put_buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}
