//! Which names topics may have.

/// Where consumer groups keep their offsets.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Where transactions are kept.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Longest name, in characters: `-` and a partition's number follow it in a file's name.
const MAX_LEN: usize = 249;

/// Whether a topic is Kafka's own.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, CONSUMER_OFFSETS | TRANSACTION_STATE)
}

/// Checks a topic's name.
///
/// # Errors
/// What is wrong with it, in Kafka's words.
pub fn validate(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let wrong = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        // Java counts UTF-16 units; all that are allowed are one byte each.
        _ if name.encode_utf16().count() > MAX_LEN => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LEN}")
        }
        _ if !name.chars().all(allowed) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', \
                 '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {wrong}"))
}

/// Whether a name has characters that metrics write alike.
pub fn can_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// Whether the metrics of two topics would have the same name.
pub fn collide(a: &str, b: &str) -> bool {
    let alike = |a: u8, b: u8| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_'));
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| alike(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A.b_c-9", &"x".repeat(249), "...", "__consumer_offsets"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(250)] {
            assert!(validate(bad).unwrap_err().starts_with("Topic name is invalid: "), "{bad}");
        }
        let text = "Topic name is invalid: 'a b' contains one or more characters other than \
                    ASCII alphanumerics, '.', '_' and '-'";
        assert_eq!(validate("a b").unwrap_err(), text);
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(collide("a.b", "a_b") && collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b") && !collide("a.b", "a.bc"));
        assert!(can_collide("a.b") && can_collide("_") && !can_collide("a-b"));
    }
}
