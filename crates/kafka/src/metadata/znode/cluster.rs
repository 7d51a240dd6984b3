//! The znodes there is one of: `/controller`, `/cluster/id`, `/feature`,
//! `/latest_producer_id_block`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ZnodeError;

/// `/controller`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerZnode {
    version: i32,
    /// Which broker.
    #[serde(rename = "brokerid")]
    pub broker: i32,
    /// Since when, in milliseconds, as text.
    timestamp: String,
    #[serde(rename = "kraftControllerEpoch", default = "no_epoch")]
    kraft_controller_epoch: i32,
}

fn no_epoch() -> i32 {
    -1
}

impl ControllerZnode {
    /// A controller since `timestamp_ms`.
    pub fn new(broker: i32, timestamp_ms: i64) -> Self {
        let timestamp = timestamp_ms.to_string();
        Self { version: 2, broker, timestamp, kraft_controller_epoch: -1 }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        super::json(self)
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Self, ZnodeError> {
        super::parse("the controller's znode", json)
    }
}

#[derive(Serialize, Deserialize)]
struct ClusterId<'a> {
    version: &'a str,
    id: &'a str,
}

/// `/cluster/id`.
pub fn cluster_id_json(id: &str) -> Vec<u8> {
    super::json(&ClusterId { version: "1", id })
}

/// Reads `/cluster/id`.
///
/// # Errors
/// If it is none.
pub fn parse_cluster_id(json: &[u8]) -> Result<String, ZnodeError> {
    let read: ClusterId<'_> = super::parse("the cluster's id", json)?;
    Ok(read.id.to_owned())
}

/// `/feature`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureZnode {
    /// Finalised features by name.
    features: BTreeMap<String, BTreeMap<String, i16>>,
    version: i32,
    /// Whether there are such things as features.
    status: i32,
}

impl FeatureZnode {
    /// Enabled and empty, as brokers of a fresh cluster of the newest version make it.
    pub fn empty() -> Self {
        Self { features: BTreeMap::new(), version: 2, status: 1 }
    }

    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        super::json(self)
    }
}

/// `/latest_producer_id_block`: producer ids that one broker may hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// Whose it is.
    pub broker: i32,
    /// First id.
    pub first: i64,
    /// Last id.
    pub last: i64,
}

#[derive(Serialize, Deserialize)]
struct Block {
    version: i32,
    broker: i32,
    block_start: String,
    block_end: String,
}

impl ProducerIdBlock {
    /// Ids of a block.
    pub const SIZE: i64 = 1000;

    /// The block after this one (or the first of all), for a broker; nothing if there are no more.
    pub fn after(previous: Option<Self>, broker: i32) -> Option<Self> {
        let first = previous.map_or(Some(0), |block| block.last.checked_add(1))?;
        Some(Self { broker, first, last: first.checked_add(Self::SIZE - 1)? })
    }

    /// As it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        let (block_start, block_end) = (self.first.to_string(), self.last.to_string());
        super::json(&Block { version: 1, broker: self.broker, block_start, block_end })
    }

    /// Reads it; nothing if no block was handed out yet.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Option<Self>, ZnodeError> {
        if json.is_empty() {
            return Ok(None);
        }
        let block: Block = super::parse("the block of producer ids", json)?;
        let number = |text: &str| {
            let number: Option<i64> = text.parse().ok();
            let number = number.filter(|number| *number >= 0);
            number.ok_or_else(|| ZnodeError::value("a bound of producer ids", text))
        };
        let (first, last) = (number(&block.block_start)?, number(&block.block_end)?);
        Ok(Some(Self { broker: block.broker, first, last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: Vec<u8>) -> String {
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn they_are_written_as_kafka_writes_them() {
        let controller = ControllerZnode::new(0, 7);
        let json = r#"{"version":2,"brokerid":0,"timestamp":"7","kraftControllerEpoch":-1}"#;
        assert_eq!(text(controller.to_json()), json);
        assert_eq!(ControllerZnode::parse(json.as_bytes()).unwrap(), controller);
        let old = br#"{"version":1,"brokerid":5,"timestamp":"7"}"#;
        assert_eq!(ControllerZnode::parse(old).unwrap().broker, 5);

        assert_eq!(text(cluster_id_json("x")), r#"{"version":"1","id":"x"}"#);
        assert_eq!(parse_cluster_id(&cluster_id_json("x")).unwrap(), "x");
        let feature = FeatureZnode::empty().to_json();
        assert_eq!(text(feature), r#"{"features":{},"version":2,"status":1}"#);
    }

    #[test]
    fn blocks_of_producer_ids_follow_each_other() {
        let first = ProducerIdBlock::after(None, 3).unwrap();
        let json = r#"{"version":1,"broker":3,"block_start":"0","block_end":"999"}"#;
        assert_eq!(text(first.to_json()), json);
        assert_eq!(ProducerIdBlock::parse(json.as_bytes()).unwrap(), Some(first));
        assert_eq!(ProducerIdBlock::after(Some(first), 1).unwrap().first, 1000);
        let last = ProducerIdBlock { broker: 1, first: 0, last: i64::MAX };
        assert_eq!(ProducerIdBlock::after(Some(last), 1), None);
        assert_eq!(ProducerIdBlock::parse(b"").unwrap(), None);
        let bad = json.replace("\"0\"", "\"-1\"");
        assert!(ProducerIdBlock::parse(bad.as_bytes()).is_err());
    }
}
