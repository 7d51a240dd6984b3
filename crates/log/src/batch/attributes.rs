//! The 16 bits of a batch's attributes.

use super::BatchError;
use super::compression::Codec;

const CODEC: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Bits 0 to 2: codec; 3: timestamp type; 4: transactional; 5: control; 6: delete horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed.
    ///
    /// # Errors
    /// `Codec` for numbers that mean nothing.
    pub fn codec(self) -> Result<Codec, BatchError> {
        Codec::from_number((self.0 & CODEC) as u8)
    }

    /// Whether the timestamp is that of the append, not of the producer.
    pub fn is_log_append_time(self) -> bool {
        self.0 & LOG_APPEND_TIME != 0
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether it holds a transaction marker instead of a client's records.
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon.
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    fn with(self, bit: i16, on: bool) -> Self {
        Attributes(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// With this codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        Attributes(self.0 & !CODEC | i16::from(codec.number()))
    }

    /// With this timestamp type.
    #[must_use]
    pub fn with_log_append_time(self, on: bool) -> Self {
        self.with(LOG_APPEND_TIME, on)
    }

    /// With this flag.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// With this flag.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// With this flag.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }
}
