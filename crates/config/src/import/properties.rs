//! Java's `.properties` format, as `java.util.Properties.load` reads it.

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Unescaped.
    pub key: String,
    /// Unescaped; trailing blanks are part of it.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// Reads a file: ISO-8859-1 with `\uXXXX`. A file that is valid UTF-8 is read as UTF-8, which
/// differs only for bytes that ISO-8859-1 would show as gibberish. All lines are returned in
/// order; where a key is repeated, Java keeps the last.
///
/// Nothing is refused, as in Java, except that a malformed `\u` stays as it is written.
pub fn parse(bytes: &[u8]) -> Vec<Property> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    };
    logical_lines(text.strip_prefix('\u{feff}').unwrap_or(&text))
        .into_iter()
        .map(|(line, text)| {
            let (key, value) = split(&text);
            Property { key: unescape(key), value: unescape(value), line }
        })
        .collect()
}

/// Lines with content, continuations joined, each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut natural = text.split('\n').enumerate();
    while let Some((number, line)) = natural.next() {
        let start = trim_start(line);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = start.to_owned();
        while is_continued(&joined) {
            joined.pop();
            match natural.next() {
                Some((_, next)) => joined.push_str(trim_start(next)),
                None => break,
            }
        }
        lines.push((number + 1, joined));
    }
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn trim_start(line: &str) -> &str {
    line.trim_start_matches(is_blank)
}

/// A line is continued if it ends in an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// The key ends at the first unescaped `=`, `:` or blank; one `=` or `:` and blanks around it
/// belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !escaped && (matches!(c, '=' | ':') || is_blank(c)) {
            let rest = trim_start(&line[at..]);
            let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (&line[..at], trim_start(value));
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    // UTF-16, because a character beyond the basic plane is written as two escapes.
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let unescaped = match c {
            '\\' => match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => match code_unit(rest.as_str()) {
                    Some(unit) => {
                        units.push(unit);
                        rest = rest.as_str()[4..].chars();
                        continue;
                    }
                    None => {
                        units.push(u16::from(b'\\'));
                        'u'
                    }
                },
                Some(other) => other,
                None => break,
            },
            _ => c,
        };
        units.extend_from_slice(unescaped.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

fn code_unit(text: &str) -> Option<u16> {
    let digits = text.get(..4)?;
    let valid = digits.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let found = parse(text.as_bytes());
        let found: Vec<_> =
            found.iter().map(|p| (p.key.as_str(), p.value.as_str(), p.line)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn separators_and_blanks() {
        check(
            "a=1\nb:2\nc 3\nd\t=\t4\n  e  :  5  \n",
            &[("a", "1", 1), ("b", "2", 2), ("c", "3", 3), ("d", "4", 4), ("e", "5  ", 5)],
        );
        check(
            "key\n=v\nk==v\nk=a=b:c",
            &[("key", "", 1), ("", "v", 2), ("k", "=v", 3), ("k", "a=b:c", 4)],
        );
    }

    #[test]
    fn comments_and_empty_lines_are_left_out() {
        check(
            "# a=1\n  ! b=2\n\n \t\r\nc=3 # part of the value",
            &[("c", "3 # part of the value", 5)],
        );
    }

    #[test]
    fn continued_lines_keep_the_first_line_number() {
        check(
            "a=1,\\\n   2,\\\r\n\t3\nb=x\\\\\nc=4\\",
            &[("a", "1,2,3", 1), ("b", "x\\", 4), ("c", "4", 5)],
        );
        check("a=1\\\n# not a comment", &[("a", "1# not a comment", 1)]);
    }

    #[test]
    fn escapes() {
        check("a\\=b=c\\:d\\ne\\u4e2d\\ud83d\\ude00\\q", &[("a=b", "c:d\ne\u{4e2d}\u{1f600}q", 1)]);
        check("a=\\u12", &[("a", "\\u12", 1)]);
        check("a=\\ud800", &[("a", "\u{fffd}", 1)]);
    }

    #[test]
    fn bytes_are_latin_1_unless_they_are_utf_8() {
        assert_eq!(parse(b"a=\xe9")[0].value, "\u{e9}");
        assert_eq!(parse("a=\u{e9}".as_bytes())[0].value, "\u{e9}");
        assert_eq!(parse(b"\xef\xbb\xbfa=1")[0].key, "a");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
        }

        #[test]
        fn any_text_of_special_characters_is_read(text in "[a=: \\\\\\n\\r#!u0-9\u{e9}\u{1f600}]{0,60}") {
            let lines = text.split(['\n', '\r']).count();
            for property in parse(text.as_bytes()) {
                prop_assert!(property.line <= lines);
            }
        }
    }
}
