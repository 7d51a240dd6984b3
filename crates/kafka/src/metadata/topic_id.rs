//! Ids of topics.

use std::fmt;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A topic's id: 16 bytes, written as 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// Says that there is none.
    pub const ZERO: TopicId = TopicId([0; 16]);

    /// A random one: a version 4 UUID that is none of Kafka's reserved ones and does not begin
    /// with a dash, which command lines take for an option.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn random() -> io::Result<Self> {
        loop {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let id = Self(bytes);
            if !id.to_string().starts_with('-') {
                return Ok(id);
            }
        }
    }

    /// Reads what it is written as.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_the_notes_show_them() {
        let text = "FI8TD7kpQGGkQ0U4Dhwlcg";
        let id = TopicId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId::parse("FI8TD7kpQGGkQ0U4Dhwl"), None);
        let random = TopicId::random().unwrap();
        assert_eq!(TopicId::parse(&random.to_string()), Some(random));
        assert_ne!(TopicId::random().unwrap(), random);
    }
}
