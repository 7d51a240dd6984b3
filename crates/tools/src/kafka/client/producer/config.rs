//! A producer's settings.

use std::time::Duration;

use polyport_log::batch::Codec;

use crate::kafka::client::{ClientConfig, ClientError, Properties, Result};

/// A producer's settings, checked.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Those of every client.
    pub client: ClientConfig,
    /// Whose having it a batch waits for: 0 nobody's, 1 the leader's, -1 that of all in sync.
    pub acks: i16,
    /// How long a batch waits for more.
    pub linger: Duration,
    /// How large a batch becomes.
    pub batch_bytes: usize,
    /// How batches are compressed.
    pub codec: Codec,
    /// How often a batch is tried again.
    pub retries: u32,
    /// How long a record may take from its sending.
    pub delivery_timeout: Duration,
    /// How long sending waits for metadata and room.
    pub max_block: Duration,
    /// How much waits to be sent at most.
    pub buffer_bytes: usize,
    /// How large a request becomes.
    pub max_request_bytes: usize,
    /// Whether brokers are to know what they have already.
    pub idempotent: bool,
}

impl ProducerConfig {
    /// The settings of a producer.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn new(properties: Properties) -> Result<Self> {
        let id = properties.get("client.id").unwrap_or("producer-1").to_owned();
        let prefix = format!("[Producer clientId={id}] ");
        let codec = codec(properties.get("compression.type").unwrap_or("none"))?;
        let acks = acks(properties.get("acks").unwrap_or("all"))?;
        let retries: u32 = properties.number("retries", i32::MAX as u32, 0)?;
        let millis = |key, default| {
            properties
                .number(key, default, 0_i64)
                .map(|it| Duration::from_millis(it.unsigned_abs()))
        };
        let asked = properties
            .get("enable.idempotence")
            .is_none_or(|_| properties.is_true("enable.idempotence"));
        Ok(Self {
            acks,
            linger: millis("linger.ms", 0)?,
            batch_bytes: properties.number("batch.size", 16 * 1024, 0)?,
            codec,
            retries,
            delivery_timeout: millis("delivery.timeout.ms", 120_000)?,
            max_block: millis("max.block.ms", 60_000)?,
            buffer_bytes: properties.number("buffer.memory", 32 << 20, 0)?,
            max_request_bytes: properties.number("max.request.size", 1 << 20, 0)?,
            idempotent: asked && acks == -1 && retries > 0,
            client: ClientConfig::new(properties, id, prefix)?,
        })
    }
}

fn codec(name: &str) -> Result<Codec> {
    Ok(match name {
        "none" => Codec::None,
        "gzip" => Codec::Gzip,
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        other => {
            return Err(ClientError::Config(format!(
                "Invalid value {other} for configuration compression.type: String must be one of: \
                 none, gzip, snappy, lz4, zstd"
            )));
        }
    })
}

fn acks(text: &str) -> Result<i16> {
    match text.trim() {
        "all" | "-1" => Ok(-1),
        "0" => Ok(0),
        "1" => Ok(1),
        other => Err(ClientError::Config(format!(
            "Invalid value {other} for configuration acks: String must be one of: all, -1, 0, 1"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_kafkas_defaults() {
        let config = |pairs: &[&str]| {
            let mut properties = Properties::from_pairs(pairs);
            properties.set("bootstrap.servers", "h:1");
            ProducerConfig::new(properties)
        };
        let defaults = config(&[]).unwrap();
        assert_eq!((defaults.acks, defaults.batch_bytes, defaults.idempotent), (-1, 16384, true));
        assert!(!config(&["acks=1"]).unwrap().idempotent);
        assert!(!config(&["enable.idempotence=false"]).unwrap().idempotent);
        assert_eq!(config(&["compression.type=lz4"]).unwrap().codec, Codec::Lz4);
        assert_eq!(
            config(&["compression.type=x"]).unwrap_err().to_string(),
            "Invalid value x for configuration compression.type: String must be one of: none, gzip, \
             snappy, lz4, zstd"
        );
        assert!(config(&["acks=2"]).is_err());
    }
}
