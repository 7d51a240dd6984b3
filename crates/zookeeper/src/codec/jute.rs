//! Jute, ZooKeeper's serialisation: big-endian integers, length-prefixed strings, buffers and
//! vectors; length -1 is null.

use bytes::BufMut;
use polyport_tree::{Acl, Id, Perms, Stat};
use polyport_wire::{Cursor, DecodeError};

/// A value that jute can write.
pub trait Put: BufMut {
    /// A boolean, one byte.
    fn put_bool(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }

    /// A string.
    fn put_ustring(&mut self, value: &str) {
        self.put_buffer(value.as_bytes());
    }

    /// A buffer.
    fn put_buffer(&mut self, value: &[u8]) {
        self.put_i32(length(value.len()));
        self.put_slice(value);
    }

    /// A buffer or null.
    fn put_opt_buffer(&mut self, value: Option<&[u8]>) {
        match value {
            Some(bytes) => self.put_buffer(bytes),
            None => self.put_i32(-1),
        }
    }

    /// A vector of strings.
    fn put_strings<S: AsRef<str>>(&mut self, values: &[S]) {
        self.put_i32(length(values.len()));
        for value in values {
            self.put_ustring(value.as_ref());
        }
    }

    /// A stat, 68 bytes.
    fn put_stat(&mut self, stat: &Stat) {
        self.put_i64(stat.czxid);
        self.put_i64(stat.mzxid);
        self.put_i64(stat.ctime);
        self.put_i64(stat.mtime);
        self.put_i32(stat.version);
        self.put_i32(stat.cversion);
        self.put_i32(stat.aversion);
        self.put_i64(stat.ephemeral_owner);
        self.put_i32(stat.data_length);
        self.put_i32(stat.num_children);
        self.put_i64(stat.pzxid);
    }

    /// An access control list.
    fn put_acl(&mut self, acl: &[Acl]) {
        self.put_i32(length(acl.len()));
        for entry in acl {
            self.put_i32(entry.perms.0);
            self.put_ustring(&entry.id.scheme);
            self.put_ustring(&entry.id.id);
        }
    }
}

impl<B: BufMut + ?Sized> Put for B {}

/// Frames are bounded far below `i32::MAX`; a length over it cannot be produced.
fn length(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// A boolean.
///
/// # Errors
/// If no byte is left.
pub fn boolean(cursor: &mut Cursor<'_>, what: &'static str) -> Result<bool, DecodeError> {
    Ok(cursor.u8(what)? != 0)
}

/// A buffer; null is `None`.
///
/// # Errors
/// If the length is below -1 or more than what is left.
pub fn opt_buffer<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
) -> Result<Option<&'a [u8]>, DecodeError> {
    let at = cursor.position();
    match cursor.i32(what)? {
        -1 => Ok(None),
        len => match usize::try_from(len) {
            Ok(len) => cursor.take(len, what).map(Some),
            Err(_) => Err(DecodeError { at, what }),
        },
    }
}

/// A buffer; null reads as empty.
///
/// # Errors
/// As [`opt_buffer`].
pub fn buffer<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], DecodeError> {
    Ok(opt_buffer(cursor, what)?.unwrap_or_default())
}

/// A string; null reads as empty.
///
/// # Errors
/// As [`opt_buffer`], or if the bytes are not UTF-8.
pub fn ustring<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a str, DecodeError> {
    let at = cursor.position();
    std::str::from_utf8(buffer(cursor, what)?).map_err(|_| DecodeError { at, what })
}

/// The number of items of a vector; null is 0. At least `item_size` bytes must be left for each,
/// so memory taken for the vector is bounded by bytes received.
///
/// # Errors
/// If the count is below -1 or cannot fit in what is left.
pub fn count(
    cursor: &mut Cursor<'_>,
    item_size: usize,
    what: &'static str,
) -> Result<usize, DecodeError> {
    let at = cursor.position();
    let count = match cursor.i32(what)? {
        -1 => 0,
        count => usize::try_from(count).map_err(|_| DecodeError { at, what })?,
    };
    if count > cursor.remaining() / item_size {
        return Err(DecodeError { at, what });
    }
    Ok(count)
}

/// A vector of strings.
///
/// # Errors
/// As [`count`] and [`ustring`].
pub fn strings<'a>(
    cursor: &mut Cursor<'a>,
    what: &'static str,
) -> Result<Vec<&'a str>, DecodeError> {
    (0..count(cursor, 4, what)?).map(|_| ustring(cursor, what)).collect()
}

/// A stat.
///
/// # Errors
/// If fewer than 68 bytes are left.
pub fn stat(cursor: &mut Cursor<'_>) -> Result<Stat, DecodeError> {
    const WHAT: &str = "stat";
    Ok(Stat {
        czxid: cursor.i64(WHAT)?,
        mzxid: cursor.i64(WHAT)?,
        ctime: cursor.i64(WHAT)?,
        mtime: cursor.i64(WHAT)?,
        version: cursor.i32(WHAT)?,
        cversion: cursor.i32(WHAT)?,
        aversion: cursor.i32(WHAT)?,
        ephemeral_owner: cursor.i64(WHAT)?,
        data_length: cursor.i32(WHAT)?,
        num_children: cursor.i32(WHAT)?,
        pzxid: cursor.i64(WHAT)?,
    })
}

/// An access control list; null is `None`.
///
/// # Errors
/// If an item is cut short or the count cannot fit in what is left.
pub fn acl(cursor: &mut Cursor<'_>) -> Result<Vec<Acl>, DecodeError> {
    const WHAT: &str = "acl";
    (0..count(cursor, 12, WHAT)?)
        .map(|_| {
            let perms = Perms(cursor.i32(WHAT)?);
            let scheme = ustring(cursor, "acl scheme")?;
            let id = ustring(cursor, "acl id")?;
            Ok(Acl { perms, id: Id::new(scheme, id) })
        })
        .collect()
}
