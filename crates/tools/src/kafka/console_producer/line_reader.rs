//! A line as a record: headers, key and value between their separators.

use crate::kafka::client::Properties;
use crate::kafka::stop::Failure;

/// How lines are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReader {
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
}

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Names and values.
    pub headers: Vec<(&'a str, Option<&'a str>)>,
    /// The key.
    pub key: Option<&'a str>,
    /// The value.
    pub value: Option<&'a str>,
}

fn kafka(message: String) -> Failure {
    Failure::new("org.apache.kafka.common.KafkaException", message)
}

impl LineReader {
    /// By the properties of `--property`.
    ///
    /// # Errors
    /// If two separators are the same.
    pub fn new(properties: &Properties) -> Result<Self, Failure> {
        let text = |name: &str, default: &str| properties.get(name).unwrap_or(default).to_owned();
        let reader = Self {
            parse_key: properties.is_true("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: properties.is_true("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: properties.is_true("ignore.error"),
            null_marker: properties.get("null.marker").map(str::to_owned),
        };
        let null = reader.null_marker.as_deref();
        let pairs = [
            (
                "headers.delimiter",
                Some(&*reader.headers_delimiter),
                "headers.separator",
                &reader.headers_separator,
            ),
            (
                "headers.delimiter",
                Some(&*reader.headers_delimiter),
                "headers.key.separator",
                &reader.headers_key_separator,
            ),
            (
                "headers.separator",
                Some(&*reader.headers_separator),
                "headers.key.separator",
                &reader.headers_key_separator,
            ),
            ("null.marker", null, "key.separator", &reader.key_separator),
            ("null.marker", null, "headers.separator", &reader.headers_separator),
            ("null.marker", null, "headers.delimiter", &reader.headers_delimiter),
            ("null.marker", null, "headers.key.separator", &reader.headers_key_separator),
        ];
        match pairs.iter().find(|(_, one, _, other)| *one == Some(other.as_str())) {
            Some((one, _, other, _)) => Err(kafka(format!("{one} and {other} may not be equal"))),
            None => Ok(reader),
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// If a separator is missing, unless that is ignored.
    pub fn read<'a>(&self, line: &'a str, number: u64) -> Result<Fields<'a>, Failure> {
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers
            && let Some(text) =
                self.cut(line, &mut rest, &self.headers_delimiter, "headers delimiter", number)?
            && self.null_marker.as_deref() != Some(text)
        {
            headers = self.headers(text, number)?;
        }
        let key = match self.parse_key {
            true => self.cut(line, &mut rest, &self.key_separator, "key separator", number)?,
            false => None,
        };
        Ok(Fields {
            headers,
            key: key.and_then(|it| self.not_null(it)),
            value: self.not_null(rest),
        })
    }

    fn not_null<'a>(&self, text: &'a str) -> Option<&'a str> {
        (self.null_marker.as_deref() != Some(text)).then_some(text)
    }

    /// Takes what is before a separator off the rest of the line.
    fn cut<'a>(
        &self,
        line: &str,
        rest: &mut &'a str,
        separator: &str,
        name: &str,
        number: u64,
    ) -> Result<Option<&'a str>, Failure> {
        match rest.split_once(separator) {
            Some((before, after)) => {
                *rest = after;
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => Err(kafka(format!("No {name} found on line number {number}: '{line}'"))),
        }
    }

    fn headers<'a>(
        &self,
        text: &'a str,
        number: u64,
    ) -> Result<Vec<(&'a str, Option<&'a str>)>, Failure> {
        let pair = |pair: &'a str| match pair.split_once(self.headers_key_separator.as_str()) {
            Some((key, _)) if self.null_marker.as_deref() == Some(key) => Err(kafka(format!(
                "Header keys should not be equal to the null marker '{key}' as they can't be null"
            ))),
            Some((key, value)) => Ok((key, self.not_null(value))),
            None if self.ignore_error => Ok((pair, None)),
            None => Err(kafka(format!(
                "No header key separator found in pair '{pair}' on line number {number}"
            ))),
        };
        text.split(self.headers_separator.as_str()).map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(pairs: &[&str]) -> Result<LineReader, Failure> {
        LineReader::new(&Properties::from_pairs(pairs))
    }

    #[test]
    fn a_line_is_a_value_unless_told_otherwise() {
        let plain = reader(&[]).unwrap();
        assert_eq!(plain.read("a\tb", 1).unwrap().value, Some("a\tb"));
        let keyed = reader(&["parse.key=true", "key.separator=:"]).unwrap();
        let fields = keyed.read("k:v:w", 1).unwrap();
        assert_eq!((fields.key, fields.value), (Some("k"), Some("v:w")));
    }

    #[test]
    fn headers_come_first() {
        let all = reader(&["parse.key=true", "parse.headers=true", "null.marker=NULL"]).unwrap();
        let fields = all.read("h1:v1,h2:NULL\tk\tNULL", 1).unwrap();
        assert_eq!(fields.headers, [("h1", Some("v1")), ("h2", None)]);
        assert_eq!((fields.key, fields.value), (Some("k"), None));
        assert_eq!(all.read("NULL\tk\tv", 1).unwrap().headers, []);
    }

    #[test]
    fn a_missing_separator_is_an_error_unless_ignored() {
        let keyed = reader(&["parse.key=true"]).unwrap();
        assert_eq!(
            keyed.read("kv", 3).unwrap_err().message,
            "No key separator found on line number 3: 'kv'"
        );
        let lenient = reader(&["parse.key=true", "ignore.error=true"]).unwrap();
        let fields = lenient.read("kv", 3).unwrap();
        assert_eq!((fields.key, fields.value), (None, Some("kv")));
        let headers = reader(&["parse.headers=true"]).unwrap();
        assert_eq!(
            headers.read("h\tv", 1).unwrap_err().message,
            "No header key separator found in pair 'h' on line number 1"
        );
    }

    #[test]
    fn separators_differ() {
        assert_eq!(
            reader(&["headers.separator=:"]).unwrap_err().message,
            "headers.separator and headers.key.separator may not be equal"
        );
    }
}
