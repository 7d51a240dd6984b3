//! Going through a segment's records.

use std::path::Path;

use super::error::WalError;
use super::frame::{FRAME_BYTES, Frame, FrameError, Kind, Position};
use super::segment::{HEADER_BYTES, Header, Name};
use crate::disk::DiskFile;

const WINDOW_BYTES: usize = 256 << 10;

/// A file seen through a window that moves forward.
pub(super) struct Window<'a, F> {
    file: &'a F,
    path: &'a Path,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a, F: DiskFile> Window<'a, F> {
    pub fn new(file: &'a F, path: &'a Path) -> Result<Self, WalError> {
        let len = file.len().map_err(WalError::io("read", path))?;
        Ok(Window { file, path, len, start: 0, bytes: Vec::new() })
    }

    /// At most `len` bytes at `offset`; fewer only at the end of the file.
    pub fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], WalError> {
        let end = (offset + len as u64).min(self.len);
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let want = (self.len.saturating_sub(offset)).min(len.max(WINDOW_BYTES) as u64);
            self.start = offset;
            self.bytes.resize(want as usize, 0);
            let got = self.file.read_full_at(&mut self.bytes, offset);
            let got = got.map_err(WalError::io("read", self.path))?;
            self.bytes.truncate(got);
        }
        let from = (offset - self.start) as usize;
        let to = self.bytes.len().min(from + len);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// The offset after the last byte from `offset` on that is not zero; `None` if all are zero.
    fn last_nonzero(&mut self, mut offset: u64) -> Result<Option<u64>, WalError> {
        let mut last = None;
        while offset < self.len {
            let bytes = self.get(offset, WINDOW_BYTES)?;
            if bytes.is_empty() {
                break;
            }
            let n = bytes.len() as u64;
            // Most windows are all zero; comparing whole ones is much faster than searching.
            if !bytes.iter().all(|byte| *byte == 0)
                && let Some(i) = bytes.iter().rposition(|byte| *byte != 0)
            {
                last = Some(offset + i as u64 + 1);
            }
            offset += n;
        }
        Ok(last)
    }
}

/// Where a segment's records end.
pub(super) struct End {
    /// The offset after the last valid record.
    pub offset: u64,
    /// The bad record after it, if the rest of the file is not zero.
    pub bad: Option<Bad>,
}

/// Bytes that are no record.
pub(super) struct Bad {
    /// The offset after the last byte of the file that is not zero.
    pub last_byte: u64,
    pub error: FrameError,
}

pub(super) fn header<F: DiskFile>(
    window: &mut Window<'_, F>,
    name: &Name,
) -> Result<Header, WalError> {
    let path = window.path;
    Header::decode(window.get(0, HEADER_BYTES)?, path, name)
}

/// Gives every valid record from the header on to `each`.
pub(super) fn records<F: DiskFile>(
    window: &mut Window<'_, F>,
    header: &Header,
    mut each: impl FnMut(u64, &Frame, &[u8]) -> Result<(), WalError>,
) -> Result<End, WalError> {
    let mut offset = HEADER_BYTES as u64;
    loop {
        match record(window, header, offset)? {
            Ok((frame, payload)) => {
                each(offset, &frame, payload)?;
                offset += frame.record_bytes();
            }
            Err(error) => {
                let bad = window.last_nonzero(offset)?.map(|last_byte| Bad { last_byte, error });
                return Ok(End { offset, bad });
            }
        }
    }
}

type Parsed<'a> = Result<(Frame, &'a [u8]), FrameError>;

fn record<'w, F: DiskFile>(
    window: &'w mut Window<'_, F>,
    header: &Header,
    offset: u64,
) -> Result<Parsed<'w>, WalError> {
    let frame = match Frame::parse(window.get(offset, FRAME_BYTES)?) {
        Ok(frame) => frame,
        Err(error) => return Ok(Err(error)),
    };
    let len = frame.record_bytes();
    if len > window.len.saturating_sub(offset) {
        return Ok(Err(FrameError::Short));
    }
    let bytes = window.get(offset, len as usize)?;
    Ok(frame.payload(bytes, header.salt).map(|payload| (frame, payload)))
}

/// Looks behind a bad record at `bad` for a valid one that was made when more than `bad` was
/// already durable. Such a record proves that the bad one is not the torn end of the last writes.
pub(super) fn proof_of_later_sync<F: DiskFile>(
    window: &mut Window<'_, F>,
    header: &Header,
    bad: u64,
    last_byte: u64,
) -> Result<Option<u64>, WalError> {
    let after = Position { segment: header.ordinal, offset: bad as u32 };
    for offset in bad + 1..last_byte {
        let bytes = window.get(offset, FRAME_BYTES)?;
        // The type is at 8: without this, zeros and most payloads would be parsed for nothing.
        if !bytes.get(8).is_some_and(|kind| (Kind::Entry as u8..=Kind::Purged as u8).contains(kind))
        {
            continue;
        }
        let Ok(frame) = Frame::parse(bytes) else { continue };
        let here = Position { segment: header.ordinal, offset: offset as u32 };
        if frame.synced > after && frame.synced <= here && record(window, header, offset)?.is_ok() {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}
