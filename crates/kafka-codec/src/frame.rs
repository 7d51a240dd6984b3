//! Frames: four bytes of length, a header, a body.

use std::ops::Range;

use bytes::{Buf, BytesMut};

use crate::header::{self, RequestHeader};
use crate::{EncodeError, Gap, Request, Response};

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;

/// A frame that must not be read. Kafka closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, where {limit_bytes} are allowed")]
pub struct FrameError {
    /// What was announced.
    pub length: i32,
    /// What was allowed.
    pub limit_bytes: usize,
}

/// Splits the first frame off what has arrived, without its length; `None` if it is not whole yet.
/// The caller reads more at the end of `arrived` then; memory need not be taken for the whole frame.
///
/// # Errors
/// If the frame is to be longer than `limit_bytes`, or its length is negative.
pub fn split(arrived: &mut BytesMut, limit_bytes: usize) -> Result<Option<BytesMut>, FrameError> {
    let Some(announced) = arrived.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes(*announced);
    let bounded = usize::try_from(length).ok().filter(|length| *length <= limit_bytes);
    let length_bytes = bounded.ok_or(FrameError { length, limit_bytes })?;
    if arrived.len() - LENGTH_BYTES < length_bytes {
        return Ok(None);
    }
    arrived.advance(LENGTH_BYTES);
    Ok(Some(arrived.split_to(length_bytes)))
}

/// Writes a whole frame with a request at the end of `out`.
///
/// # Errors
/// If the version cannot express the request. Then `out` is as it was.
pub fn encode_request<R: Request>(
    out: &mut Vec<u8>,
    request: &R,
    api_version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    let client_id = client_id.map(str::to_owned);
    let header = RequestHeader { api_key: R::API, api_version, correlation_id, client_id };
    framed(out, |out| {
        header.encode(out)?;
        request.encode(out, api_version).map(|()| Vec::new())
    })
    .map(|_| ())
}

/// Writes a whole frame with a response at the end of `out`, but without records that are
/// [elsewhere](crate::Records::Elsewhere): their places are returned, in their order. [`pieces`]
/// says what is to be sent then.
///
/// # Errors
/// If the version cannot express the response. Then `out` is as it was.
pub fn encode_response<R: Response>(
    out: &mut Vec<u8>,
    response: &R,
    api_version: i16,
    correlation_id: i32,
) -> Result<Vec<Gap>, EncodeError> {
    framed(out, |out| {
        header::encode_response(out, R::API, api_version, correlation_id);
        response.encode_with_gaps(out, api_version)
    })
}

fn framed(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Gap>, EncodeError>,
) -> Result<Vec<Gap>, EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let written = write(out).and_then(|gaps| {
        let elsewhere: u64 = gaps.iter().map(|gap| u64::from(gap.length_bytes)).sum();
        let length = elsewhere + (out.len() - start - LENGTH_BYTES) as u64;
        match i32::try_from(length) {
            Ok(length) => {
                out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
                Ok(gaps)
            }
            Err(_) => Err(EncodeError {
                message: "a frame",
                version: 0,
                field: "it",
                what: "is longer than 2 GiB",
            }),
        }
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the output.
    Bytes(Range<usize>),
    /// Records that are elsewhere.
    Records {
        /// Which, counted from 0 in the order in which they were encoded.
        index: usize,
        /// How many bytes.
        length_bytes: u32,
    },
}

/// The bytes `range` of the output and the gaps in it, in the order in which to send them.
pub fn pieces(range: Range<usize>, gaps: &[Gap]) -> impl Iterator<Item = Piece> {
    let starts = std::iter::once(range.start).chain(gaps.iter().map(|gap| gap.at));
    let ends = gaps.iter().map(|gap| gap.at).chain(std::iter::once(range.end));
    let records = gaps.iter().enumerate().map(|(index, gap)| (index, gap.length_bytes));
    let records = records.map(|(index, length_bytes)| Some(Piece::Records { index, length_bytes }));
    let bytes =
        starts.zip(ends).map(|(start, end)| (start < end).then_some(Piece::Bytes(start..end)));
    bytes
        .zip(records.chain(std::iter::once(None)))
        .flat_map(|(bytes, records)| [bytes, records])
        .flatten()
}
