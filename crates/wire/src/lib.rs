//! Reading peers' bytes without trusting them: a bounded cursor and an error that says where.
//!
//! Every codec reads through [`Cursor`]: it never panics, never reads past the end, and its errors
//! carry the offset. Writing is `bytes::BufMut`. Deliberately absent: any protocol, any I/O.

mod cursor;
mod error;

pub use cursor::Cursor;
pub use error::DecodeError;
