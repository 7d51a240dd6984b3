//! Java property files, as far as ZooKeeper's configuration uses them: `key=value` lines, comments,
//! continued lines.

/// The entries in the order of the file; white space around keys and values is dropped.
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while logical.ends_with('\\') {
            logical.pop();
            logical.push_str(lines.next().unwrap_or_default().trim_start());
        }
        let end = logical.find(['=', ':', ' ', '\t']).unwrap_or(logical.len());
        let (key, rest) = logical.split_at(end);
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
        entries.push((key.to_owned(), value.trim().to_owned()));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn entries_are_read() {
        let text = "# c\n\n a = 1\nserver.1=h:2888:3888;0.0.0.0:2181\nb 2\nlong=x\\\n  y\n";
        let expected =
            [("a", "1"), ("server.1", "h:2888:3888;0.0.0.0:2181"), ("b", "2"), ("long", "xy")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parse(text), expected);
    }
}
