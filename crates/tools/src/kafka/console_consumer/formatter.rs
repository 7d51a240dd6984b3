//! How a record is printed.

use crate::kafka::client::Properties;
use crate::kafka::client::consumer::{Fetched, TimestampType};
use crate::kafka::log::{Level, log};
use crate::zk_cli::Console;

const PACKAGE: &str = "org.apache.kafka.tools.consumer.";
const OLD_PACKAGE: &str = "kafka.tools.";
const SERIALIZATION: &str = "org.apache.kafka.common.serialization.";
const DEFAULT: &str = "DefaultMessageFormatter";
const LOGGING: &str = "LoggingMessageFormatter";
const NONE: &str = "NoOpMessageFormatter";

/// What bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserializer {
    Raw,
    Text,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl Deserializer {
    fn by_class(class: &str) -> Option<Self> {
        Some(match class.strip_prefix(SERIALIZATION)? {
            "StringDeserializer" => Self::Text,
            "ShortDeserializer" => Self::Short,
            "IntegerDeserializer" => Self::Integer,
            "LongDeserializer" => Self::Long,
            "FloatDeserializer" => Self::Float,
            "DoubleDeserializer" => Self::Double,
            "BooleanDeserializer" => Self::Boolean,
            "UUIDDeserializer" => Self::Uuid,
            _ => return None,
        })
    }

    /// The text of the bytes; bytes of another length than the type has are shown as they are.
    fn show(self, bytes: &[u8], to: &mut Vec<u8>) {
        let text = match self {
            Self::Raw => None,
            Self::Text => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Short => bytes.try_into().ok().map(|it| i16::from_be_bytes(it).to_string()),
            Self::Integer => bytes.try_into().ok().map(|it| i32::from_be_bytes(it).to_string()),
            Self::Long => bytes.try_into().ok().map(|it| i64::from_be_bytes(it).to_string()),
            Self::Float => bytes.try_into().ok().map(|it| format!("{:?}", f32::from_be_bytes(it))),
            Self::Double => bytes.try_into().ok().map(|it| format!("{:?}", f64::from_be_bytes(it))),
            Self::Boolean => match bytes {
                [0] => Some("false".to_owned()),
                [1] => Some("true".to_owned()),
                _ => None,
            },
            Self::Uuid => Some(String::from_utf8_lossy(bytes).into_owned()),
        };
        match text {
            Some(text) => to.extend_from_slice(text.as_bytes()),
            None => to.extend_from_slice(bytes),
        }
    }
}

/// One of Kafka's formatters with its properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatter {
    silent: bool,
    timestamp: bool,
    key: bool,
    value: bool,
    partition: bool,
    offset: bool,
    headers: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key_deserializer: Deserializer,
    value_deserializer: Deserializer,
    headers_deserializer: Deserializer,
}

impl Formatter {
    /// The formatter of a class, with the properties of `--property`.
    ///
    /// # Errors
    /// If there is no such class here, in the words of a class loader.
    pub fn new(class: &str, properties: &Properties, console: &Console) -> Result<Self, String> {
        let short = match class.strip_prefix(OLD_PACKAGE) {
            Some(name) if [DEFAULT, LOGGING, NONE].contains(&name) => {
                console.error(&format!(
                    "WARNING: {class} is deprecated and will be removed in the next major release. \
                     Please use {PACKAGE}{name} instead"
                ));
                name
            }
            _ => class.strip_prefix(PACKAGE).unwrap_or_default(),
        };
        if ![DEFAULT, LOGGING, NONE].contains(&short) {
            return Err(class.to_owned());
        }
        let on = |name: &str, default: bool| match properties.get(name) {
            Some(_) => properties.is_true(name),
            None => default,
        };
        let text = |name: &str, default: &str| properties.get(name).unwrap_or(default).to_owned();
        let deserializer = |name: &str| match properties.get(name) {
            None => Deserializer::Raw,
            Some(class) => Deserializer::by_class(class).unwrap_or_else(|| {
                let message = format!("Unable to instantiate a deserializer from {class}");
                log(console, Level::Error, &message, &format!("{PACKAGE}{DEFAULT}"));
                Deserializer::Raw
            }),
        };
        Ok(Self {
            silent: short == NONE,
            timestamp: on("print.timestamp", false),
            key: on("print.key", false),
            value: on("print.value", true),
            partition: on("print.partition", false),
            offset: on("print.offset", false),
            headers: on("print.headers", false),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer"),
            value_deserializer: deserializer("value.deserializer"),
            headers_deserializer: deserializer("headers.deserializer"),
        })
    }

    /// Appends the record's text.
    pub fn write(&self, fetched: &Fetched<'_>, to: &mut Vec<u8>) {
        if self.silent {
            return;
        }
        let record = fetched.record;
        let columns =
            [self.timestamp, self.partition, self.offset, self.headers, self.key, self.value];
        for (at, _) in columns.iter().enumerate().filter(|(_, shown)| **shown) {
            match at {
                0 => to.extend_from_slice(timestamp(fetched).as_bytes()),
                1 => to.extend_from_slice(
                    format!("Partition:{}", fetched.partition.partition).as_bytes(),
                ),
                2 => to.extend_from_slice(format!("Offset:{}", record.offset).as_bytes()),
                3 => self.write_headers(fetched, to),
                4 => self.write_field(record.key, self.key_deserializer, to),
                _ => self.write_field(record.value, self.value_deserializer, to),
            }
            let more = columns[at + 1..].contains(&true);
            let separator = if more { &self.key_separator } else { &self.line_separator };
            to.extend_from_slice(separator.as_bytes());
        }
    }

    fn write_headers(&self, fetched: &Fetched<'_>, to: &mut Vec<u8>) {
        let headers = &fetched.record.headers;
        if headers.is_empty() {
            to.extend_from_slice(b"NO_HEADERS");
        }
        for (at, (key, value)) in headers.iter().enumerate() {
            if at > 0 {
                to.extend_from_slice(self.headers_separator.as_bytes());
            }
            to.extend_from_slice(key);
            to.push(b':');
            self.write_field(value, self.headers_deserializer, to);
        }
    }

    fn write_field(&self, field: Option<&[u8]>, deserializer: Deserializer, to: &mut Vec<u8>) {
        deserializer.show(field.unwrap_or(self.null_literal.as_bytes()), to);
    }
}

fn timestamp(fetched: &Fetched<'_>) -> String {
    let kind = match fetched.timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    format!("{kind}:{}", fetched.record.timestamp)
}

#[cfg(test)]
mod tests {
    use polyport_log::batch::{Batch, BatchBuilder};

    use super::*;
    use crate::kafka::client::TopicPartition;

    fn shown(properties: &[&str], key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let properties = Properties::from_pairs(properties);
        let class = format!("{PACKAGE}{DEFAULT}");
        let formatter = Formatter::new(&class, &properties, &console).unwrap();
        let mut builder = BatchBuilder::new(4);
        builder.push_with_headers(
            1_700_000_000_000,
            key,
            value,
            &[(b"h", Some(b"1")), (b"i", None)],
        );
        let mut bytes = Vec::new();
        builder.build(None, &mut bytes).unwrap();
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let mut scratch = Vec::new();
        let record = batch.records(&mut scratch, 1000).unwrap().next().unwrap().unwrap();
        let partition = TopicPartition::new("t", 2);
        let timestamp_type = TimestampType::CreateTime;
        let fetched = Fetched { partition: &partition, timestamp_type, record: &record };
        let mut text = Vec::new();
        formatter.write(&fetched, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_record_is_its_value_unless_told_otherwise() {
        assert_eq!(shown(&[], Some(b"k"), Some(b"v")), "v\n");
        assert_eq!(shown(&[], Some(b"k"), None), "null\n");
        assert_eq!(shown(&["print.key=true", "key.separator=="], Some(b"k"), Some(b"v")), "k=v\n");
        let only_key = ["print.key=true", "print.value=false", "line.separator=;"];
        assert_eq!(shown(&only_key, None, Some(b"v")), "null;");
    }

    #[test]
    fn everything_in_kafkas_order() {
        let all = [
            "print.timestamp=true",
            "print.partition=true",
            "print.offset=true",
            "print.headers=true",
            "print.key=true",
        ];
        assert_eq!(
            shown(&all, Some(b"k"), Some(b"v")),
            "CreateTime:1700000000000\tPartition:2\tOffset:4\th:1,i:null\tk\tv\n"
        );
    }

    #[test]
    fn numbers_are_shown_as_numbers() {
        let long = "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer";
        assert_eq!(shown(&[long], None, Some(&7_i64.to_be_bytes())), "7\n");
        let double = "value.deserializer=org.apache.kafka.common.serialization.DoubleDeserializer";
        assert_eq!(shown(&[double], None, Some(&1.0_f64.to_be_bytes())), "1.0\n");
    }

    #[test]
    fn a_class_that_is_not_here_is_named() {
        let console = Console::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let refused = Formatter::new("com.example.F", &Properties::default(), &console);
        assert_eq!(refused, Err("com.example.F".to_owned()));
    }
}
