//! Counting answers, for the connection and for the server.

use std::time::Instant;

use super::outbound::Outbound;
use super::write::is_write;
use crate::codec::OpCode;

/// An answer that was just written down.
pub(super) struct Answer {
    /// The operation's number and the request's.
    pub(super) op: i32,
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) since: Instant,
    /// Its length with its frame.
    pub(super) bytes: usize,
}

impl Answer {
    /// The operation and number at the head of a request's frame; 0 where there is none.
    pub(super) fn to(frame: &[u8], zxid: i64, since: Instant, bytes: usize) -> Self {
        let number = |at: usize| {
            let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, i32::from_be_bytes)
        };
        Self { op: number(4), xid: number(0), zxid, since, bytes }
    }
}

impl Outbound {
    /// Counts an answer.
    pub(super) fn count(&self, answer: &Answer) {
        let took = answer.since.elapsed();
        let op = OpCode::from_i32(answer.op);
        let update = op.is_some_and(|op| is_write(op) || op == OpCode::CreateSession);
        self.stats.answered(update, took, answer.bytes);
        self.counters.answered(answer.op, answer.xid, answer.zxid, took);
    }
}
