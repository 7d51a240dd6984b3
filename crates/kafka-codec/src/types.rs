use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

/// The record batches of a partition in a Fetch response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// They are in the message. This is how they are read.
    Here(Bytes),
    /// They are in a file, say: the message is encoded with a [`Gap`](crate::Gap) in their place.
    Elsewhere {
        /// How many bytes they are.
        length_bytes: u32,
    },
}

impl Records {
    /// How many bytes they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::Elsewhere { length_bytes } => *length_bytes as usize,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are here.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Elsewhere { .. } => None,
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::Here(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Here(bytes)
    }
}

/// A topic's or a directory's id. Its text is Kafka's: base64 for URLs, 22 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that means none.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether it means none.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of an id's text, six bits each; the last one has two of the id's and four zeros.
const TEXT_LENGTH: u32 = 22;

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        (0..TEXT_LENGTH).try_for_each(|at| {
            let shifted = if at < TEXT_LENGTH - 1 { value >> (122 - 6 * at) } else { value << 4 };
            fmt::Write::write_char(f, char::from(ALPHABET[(shifted & 63) as usize]))
        })
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 22 characters of base64 for URLs")]
pub struct InvalidUuid;

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        if text.len() != TEXT_LENGTH as usize {
            return Err(InvalidUuid);
        }
        let mut value = 0u128;
        for (at, character) in text.bytes().enumerate() {
            let found = ALPHABET.iter().position(|known| *known == character);
            let bits = found.ok_or(InvalidUuid)? as u128;
            let last = at + 1 == text.len();
            value = if last { value << 2 | bits >> 4 } else { value << 6 | bits };
        }
        Ok(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_kafkas_text() {
        let id = Uuid([0xff, 0xef, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xfd]);
        assert_eq!(id.to_string(), "_-8AAQIDBAUGBwgJCgsM_Q");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAA".parse::<Uuid>(), Err(InvalidUuid));
        assert_eq!("AAAAAAAAAAAAAAAAAAAAA+".parse::<Uuid>(), Err(InvalidUuid));
    }
}
