//! The bodies of multi and multiRead: a list of headed operations, ended by a header that says so.

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};

use super::error_code::ErrorCode;
use super::jute::{self, Put};
use super::op::OpCode;
use super::reply::Response;
use super::request::Create;

/// One write of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MultiOp<'a> {
    Create(Create<'a>),
    Delete { path: &'a str, version: i32 },
    SetData { path: &'a str, data: Option<&'a [u8]>, version: i32 },
    Check { path: &'a str, version: i32 },
}

/// One read of a multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MultiReadOp<'a> {
    GetData { path: &'a str },
    GetChildren { path: &'a str },
}

/// Precedes each operation and each result.
struct MultiHeader {
    op: i32,
    done: bool,
    err: i32,
}

impl MultiHeader {
    const END: MultiHeader = MultiHeader { op: -1, done: true, err: -1 };

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            op: cursor.i32("multi header")?,
            done: jute::boolean(cursor, "multi header")?,
            err: cursor.i32("multi header")?,
        })
    }

    fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.op);
        out.put_bool(self.done);
        out.put_i32(self.err);
    }
}

impl MultiOp<'_> {
    fn op(&self) -> OpCode {
        match self {
            Self::Create(create) => create.op,
            Self::Delete { .. } => OpCode::Delete,
            Self::SetData { .. } => OpCode::SetData,
            Self::Check { .. } => OpCode::Check,
        }
    }
}

pub(super) fn decode<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<MultiOp<'a>>, DecodeError> {
    let mut ops = Vec::new();
    loop {
        let at = cursor.position();
        let header = MultiHeader::decode(cursor)?;
        if header.done {
            return Ok(ops);
        }
        ops.push(match OpCode::from_i32(header.op) {
            Some(
                op @ (OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl),
            ) => MultiOp::Create(Create::decode(op, cursor)?),
            Some(OpCode::Delete) => MultiOp::Delete {
                path: jute::ustring(cursor, "path")?,
                version: cursor.i32("expected version")?,
            },
            Some(OpCode::SetData) => MultiOp::SetData {
                path: jute::ustring(cursor, "path")?,
                data: jute::opt_buffer(cursor, "data")?,
                version: cursor.i32("expected version")?,
            },
            Some(OpCode::Check) => MultiOp::Check {
                path: jute::ustring(cursor, "path")?,
                version: cursor.i32("expected version")?,
            },
            _ => return Err(DecodeError { at, what: "operation not allowed in a multi" }),
        });
    }
}

pub(super) fn encode(ops: &[MultiOp<'_>], out: &mut impl BufMut) {
    for op in ops {
        MultiHeader { op: op.op().into(), done: false, err: -1 }.encode(out);
        match op {
            MultiOp::Create(create) => create.encode(out),
            MultiOp::Delete { path, version } | MultiOp::Check { path, version } => {
                out.put_ustring(path);
                out.put_i32(*version);
            }
            MultiOp::SetData { path, data, version } => {
                out.put_ustring(path);
                out.put_opt_buffer(*data);
                out.put_i32(*version);
            }
        }
    }
    MultiHeader::END.encode(out);
}

pub(super) fn decode_read<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<Vec<MultiReadOp<'a>>, DecodeError> {
    let mut ops = Vec::new();
    loop {
        let at = cursor.position();
        let header = MultiHeader::decode(cursor)?;
        if header.done {
            return Ok(ops);
        }
        let op = OpCode::from_i32(header.op);
        if !matches!(op, Some(OpCode::GetData | OpCode::GetChildren)) {
            return Err(DecodeError { at, what: "operation not allowed in a multi read" });
        }
        let path = jute::ustring(cursor, "path")?;
        // Watches cannot be set in a multiRead; ZooKeeper ignores the flag.
        jute::boolean(cursor, "watch flag")?;
        ops.push(match op {
            Some(OpCode::GetData) => MultiReadOp::GetData { path },
            _ => MultiReadOp::GetChildren { path },
        });
    }
}

pub(super) fn encode_read(ops: &[MultiReadOp<'_>], out: &mut impl BufMut) {
    for op in ops {
        let (code, path) = match op {
            MultiReadOp::GetData { path } => (OpCode::GetData, path),
            MultiReadOp::GetChildren { path } => (OpCode::GetChildren, path),
        };
        MultiHeader { op: code.into(), done: false, err: -1 }.encode(out);
        out.put_ustring(path);
        out.put_bool(false);
    }
    MultiHeader::END.encode(out);
}

/// The result of one operation of a multi or multiRead.
pub type MultiResult = Result<(OpCode, Response), ErrorCode>;

/// Writes a multi's or multiRead's reply.
pub fn encode_results(results: &[MultiResult], out: &mut impl BufMut) {
    for result in results {
        encode_result(result, out);
    }
    encode_end(out);
}

/// Writes one result.
pub fn encode_result(result: &MultiResult, out: &mut impl BufMut) {
    match result {
        Ok((op, response)) => {
            MultiHeader { op: (*op).into(), done: false, err: 0 }.encode(out);
            response.encode(out);
        }
        Err(code) => {
            MultiHeader { op: -1, done: false, err: code.0 }.encode(out);
            out.put_i32(code.0);
        }
    }
}

/// Writes what follows the last result.
pub fn encode_end(out: &mut impl BufMut) {
    MultiHeader::END.encode(out);
}

/// Reads a multi's or multiRead's reply.
///
/// # Errors
/// If it is cut short or holds an operation that neither may contain.
pub fn decode_results(cursor: &mut Cursor<'_>) -> Result<Vec<MultiResult>, DecodeError> {
    let mut results = Vec::new();
    loop {
        let at = cursor.position();
        let header = MultiHeader::decode(cursor)?;
        if header.done {
            return Ok(results);
        }
        results.push(match (header.op, OpCode::from_i32(header.op)) {
            (-1, _) => Err(ErrorCode(cursor.i32("error result")?)),
            // One inside another would let a peer choose how deep our stack goes.
            (_, Some(OpCode::Multi | OpCode::MultiRead)) => {
                return Err(DecodeError { at, what: "a multi inside a multi's reply" });
            }
            (_, Some(op)) => Ok((op, Response::decode(op, cursor)?)),
            _ => return Err(DecodeError { at, what: "unknown operation in a multi's reply" }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_nests_multis_is_refused_before_the_stack_ends() {
        let mut reply = Vec::new();
        for _ in 0..1_000_000 {
            MultiHeader { op: OpCode::Multi.into(), done: false, err: 0 }.encode(&mut reply);
        }
        assert!(decode_results(&mut Cursor::new(&reply)).is_err());
    }
}
