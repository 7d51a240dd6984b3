//! Zigzag varints, least significant group first, as in Protocol Buffers.

/// Longest encoding of 64 bits.
pub(crate) const MAX_BYTES: usize = 10;

pub(crate) fn put(mut to: impl FnMut(u8), value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to(rest as u8 | 0x80);
        rest >>= 7;
    }
    to(rest as u8);
}

pub(crate) fn push(to: &mut Vec<u8>, value: i64) {
    put(|byte| to.push(byte), value);
}

/// How many bytes `put` writes.
pub(crate) fn len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

pub(crate) fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}
