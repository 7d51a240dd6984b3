//! Replacing the whole content, step by step: a backup is larger than an entry of the log may be.

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};

use super::{bytes, kind, put_bytes};

/// One step. `id` is a random number that tells this restore from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore<'a> {
    /// Forgets what was collected before, and begins.
    Begin {
        /// This restore.
        id: u64,
    },
    /// The next bytes of a snapshot.
    Piece {
        /// The restore it belongs to.
        id: u64,
        /// Its number, from 0.
        number: u32,
        /// Some of the snapshot's bytes.
        bytes: &'a [u8],
    },
    /// All pieces were sent: the snapshot's content takes the place of the present one.
    End {
        /// This restore.
        id: u64,
        /// Bytes of all pieces together.
        len: u64,
    },
    /// Forgets what was collected.
    Cancel {
        /// This restore.
        id: u64,
    },
}

impl<'a> Restore<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begin { id } => {
                out.put_u8(kind::RESTORE_BEGIN);
                out.put_u64(*id);
            }
            Self::Piece { id, number, bytes } => {
                out.put_u8(kind::RESTORE_PIECE);
                out.put_u64(*id);
                out.put_u32(*number);
                put_bytes(out, bytes);
            }
            Self::End { id, len } => {
                out.put_u8(kind::RESTORE_END);
                out.put_u64(*id);
                out.put_u64(*len);
            }
            Self::Cancel { id } => {
                out.put_u8(kind::RESTORE_CANCEL);
                out.put_u64(*id);
            }
        }
    }

    /// None if the tag is of another command.
    pub(super) fn decode(tag: u8, cursor: &mut Cursor<'a>) -> Result<Option<Self>, DecodeError> {
        let id = |cursor: &mut Cursor<'a>| cursor.u64("restore");
        Ok(Some(match tag {
            kind::RESTORE_BEGIN => Self::Begin { id: id(cursor)? },
            kind::RESTORE_PIECE => Self::Piece {
                id: id(cursor)?,
                number: cursor.u32("piece")?,
                bytes: bytes(cursor, "piece")?,
            },
            kind::RESTORE_END => Self::End { id: id(cursor)?, len: cursor.u64("length")? },
            kind::RESTORE_CANCEL => Self::Cancel { id: id(cursor)? },
            _ => return Ok(None),
        }))
    }
}
