//! JSON, laid out as ZooKeeper's admin server lays it out: objects in lines, lists in one.

use std::fmt::Write;

/// A JSON value. Objects keep the order of their fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Whole(i64),
    Decimal(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// An object being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, Json)>);

impl Fields {
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }
}

impl From<Fields> for Json {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
}

impl Json {
    /// The text.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            // Writing to a string cannot fail.
            Self::Whole(value) => drop(write!(out, "{value}")),
            Self::Decimal(value) if value.is_finite() => drop(write!(out, "{value:?}")),
            Self::Decimal(value) => quote(&value.to_string(), out),
            Self::Text(text) => quote(text, out),
            Self::List(items) if items.is_empty() => out.push_str("[ ]"),
            Self::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number == 0 { "[ " } else { ", " });
                    item.write(depth, out);
                }
                out.push_str(" ]");
            }
            Self::Object(fields) if fields.is_empty() => out.push_str("{ }"),
            Self::Object(fields) => {
                for (number, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if number == 0 { "{\n" } else { ",\n" });
                    indent(depth + 1, out);
                    quote(name, out);
                    out.push_str(" : ");
                    value.write(depth + 1, out);
                }
                out.push('\n');
                indent(depth, out);
                out.push('}');
            }
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// RFC 8259, 7.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char < ' ' => drop(write!(out, "\\u{:04X}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_zookeepers() {
        let connection = Fields::default().with("sid", 3_i64).with("lop", "NA\"\n\u{1}");
        let json: Json = Fields::default()
            .with("connections", Json::List(vec![connection.into()]))
            .with("secure_connections", Json::List(Vec::new()))
            .with("paths", ["/a", "/b"].into_iter().collect::<Json>())
            .with("current_config", Fields::default())
            .with("avg", Json::Decimal(0.5))
            .with("nan", Json::Decimal(f64::NAN))
            .with("error", Json::Null)
            .into();
        let expected = r#"{
  "connections" : [ {
    "sid" : 3,
    "lop" : "NA\"\n\u0001"
  } ],
  "secure_connections" : [ ],
  "paths" : [ "/a", "/b" ],
  "current_config" : { },
  "avg" : 0.5,
  "nan" : "NaN",
  "error" : null
}"#;
        assert_eq!(json.pretty(), expected);
    }
}
