//! `name=value` and `name="value"`, separated by commas (RFC 2831 section 7.1).

/// A response's directives in their order.
pub(super) struct Directives(Vec<(String, String)>);

/// No response needs more.
const MOST: usize = 32;

impl Directives {
    /// Reads a list; nothing if it is malformed, too long, or says a directive twice.
    pub(super) fn parse(token: &[u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(token).ok()?;
        let mut all: Vec<(String, String)> = Vec::new();
        loop {
            // Empty elements and white space between commas are allowed.
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
            if rest.is_empty() {
                return Some(Self(all));
            }
            let (name, after) = rest.split_once('=')?;
            let name = name.trim_end().to_ascii_lowercase();
            let (value, after) = value(after.trim_start())?;
            let after = after.trim_start();
            let ends = after.is_empty() || after.starts_with(',');
            if !ends || name.is_empty() || all.len() == MOST || all.iter().any(|(n, _)| *n == name)
            {
                return None;
            }
            all.push((name, value));
            rest = after;
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A value and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t', '\r', '\n']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_white_space_are_understood() {
        let said = Directives::parse(b"a=\"x, \\\"y\\\"\" ,\r\n ,B = z,c=\"\"").unwrap();
        assert_eq!(said.get("a"), Some("x, \"y\""));
        assert_eq!((said.get("b"), said.get("c"), said.get("d")), (Some("z"), Some(""), None));
        for bad in ["a", "a=\"x", "a=\"x\"y", "=x", "a=1,A=2", "a=\"\\", "a=1 b=2"] {
            assert!(Directives::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Directives::parse(b"a=\xff").is_none());
    }
}
