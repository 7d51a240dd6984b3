//! Splitting a line into a command and its arguments, as ZooKeeper's command line does.

/// Splits at white space. An argument that begins with a quote runs to the next one of its kind and
/// loses both; a quote that is never closed is skipped; quotes inside an argument are part of it.
pub fn split(line: &str) -> Vec<String> {
    let mut args = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        match argument(rest) {
            Some((arg, after)) => {
                args.push(arg.to_owned());
                rest = after.trim_start_matches(is_space);
            }
            None => rest = skip_char(rest),
        }
    }
    args
}

/// An argument at the start of `text` and what follows it.
fn argument(text: &str) -> Option<(&str, &str)> {
    let trimmed = text.trim_start_matches(is_space);
    let quote = match trimmed.chars().next() {
        Some(c @ ('"' | '\'')) => c,
        Some(_) => return Some(word(trimmed)),
        // Only white space is left: ZooKeeper takes its last character for an argument.
        None => return text.char_indices().last().map(|(at, _)| (&text[at..], "")),
    };
    let quoted = &trimmed[1..];
    if let Some(end) = quoted.find(quote) {
        return Some((&quoted[..end], &quoted[end + 1..]));
    }
    // Never closed: with white space before it, that is where the argument begins.
    let spaces = text.len() - trimmed.len();
    let (last_space, _) = text[..spaces].char_indices().last()?;
    let (word, after) = word(&text[last_space + 1..]);
    Some((&text[last_space..last_space + 1 + word.len()], after))
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(is_space).unwrap_or(text.len()))
}

fn skip_char(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// Java's `\s`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_split_as_in_zookeepers_command_line() {
        let cases: &[(&str, &[&str])] = &[
            ("ls /", &["ls", "/"]),
            ("  ls   /  ", &["ls", "/"]),
            ("create /a \"hello world\"", &["create", "/a", "hello world"]),
            ("create /a 'it is' acl", &["create", "/a", "it is", "acl"]),
            ("create /a ''", &["create", "/a", ""]),
            ("set /a \"x\"y", &["set", "/a", "x", "y"]),
            ("set /a b\"c d\"", &["set", "/a", "b\"c", "d\""]),
            ("set /a \"open", &["set", "/a", "open"]),
            ("set /a it's", &["set", "/a", "it's"]),
            ("   ", &[" "]),
            ("\"", &[]),
            (" \"x", &[" \"x"]),
            ("get /\u{4e2d}\u{6587} x", &["get", "/\u{4e2d}\u{6587}", "x"]),
        ];
        for (line, args) in cases {
            assert_eq!(split(line), *args, "{line:?}");
        }
    }
}
