//! `/brokers/topics/T`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ZnodeError;
use super::path::parse_number;
use crate::metadata::TopicId;

/// Where a partition's replicas are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The brokers, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those among them that are being added.
    pub adding: Vec<i32>,
    /// Those among them that are being removed.
    pub removing: Vec<i32>,
}

impl Assignment {
    /// One that is not being changed.
    pub fn settled(replicas: Vec<i32>) -> Self {
        Self { replicas, ..Self::default() }
    }

    /// What it will be: without those that are being removed.
    pub fn target(&self) -> Vec<i32> {
        let stays = |id: &&i32| !self.removing.contains(id);
        self.replicas.iter().filter(stays).copied().collect()
    }
}

/// A topic's id and its partitions' replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicZnode {
    /// The topic's id; Kafka before 2.8 gave none.
    pub id: Option<TopicId>,
    /// By partition.
    pub partitions: BTreeMap<i32, Assignment>,
}

#[derive(Serialize)]
struct Written {
    partitions: BTreeMap<Number, Vec<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
    adding_replicas: BTreeMap<Number, Vec<i32>>,
    removing_replicas: BTreeMap<Number, Vec<i32>>,
    version: i32,
}

/// A key that is a number, so that 10 comes after 9.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Number(i32);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow, default)]
    partitions: BTreeMap<&'a str, Vec<i32>>,
    #[serde(default)]
    topic_id: Option<&'a str>,
    #[serde(borrow, default)]
    adding_replicas: BTreeMap<&'a str, Vec<i32>>,
    #[serde(borrow, default)]
    removing_replicas: BTreeMap<&'a str, Vec<i32>>,
}

impl TopicZnode {
    /// As it is stored, version 3.
    pub fn to_json(&self) -> Vec<u8> {
        let lists = |list: fn(&Assignment) -> &Vec<i32>| {
            self.partitions.iter().map(move |(id, a)| (Number(*id), list(a).clone()))
        };
        super::json(&Written {
            partitions: lists(|a| &a.replicas).collect(),
            topic_id: self.id.map(|id| id.to_string()),
            adding_replicas: lists(|a| &a.adding).filter(|(_, l)| !l.is_empty()).collect(),
            removing_replicas: lists(|a| &a.removing).filter(|(_, l)| !l.is_empty()).collect(),
            version: 3,
        })
    }

    /// Reads any version.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Self, ZnodeError> {
        let mut read: Read<'_> = super::parse("a topic's assignment", json)?;
        let id = match read.topic_id {
            None => None,
            Some(text) => {
                let id = TopicId::parse(text);
                Some(id.ok_or_else(|| ZnodeError::value("a topic's id", text))?)
            }
        };
        let mut partitions = BTreeMap::new();
        for (name, replicas) in read.partitions {
            let number = parse_number(name);
            let number = number.ok_or_else(|| ZnodeError::value("a partition's number", name))?;
            let adding = read.adding_replicas.remove(name).unwrap_or_default();
            let removing = read.removing_replicas.remove(name).unwrap_or_default();
            partitions.insert(number, Assignment { replicas, adding, removing });
        }
        Ok(Self { id, partitions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_written_as_kafka_writes_it() {
        let id = TopicId::parse("tNZMHdwGQtOyVvE9Xhueyg").unwrap();
        let settled = |replicas: &[i32]| Assignment::settled(replicas.to_vec());
        let partitions = BTreeMap::from([(0, settled(&[1, 2])), (10, settled(&[2, 3]))]);
        let mut topic = TopicZnode { id: Some(id), partitions };
        let json = r#"{"partitions":{"0":[1,2],"10":[2,3]},"topic_id":"tNZMHdwGQtOyVvE9Xhueyg","adding_replicas":{},"removing_replicas":{},"version":3}"#;
        assert_eq!(String::from_utf8(topic.to_json()).unwrap(), json);
        assert_eq!(TopicZnode::parse(json.as_bytes()).unwrap(), topic);

        let moving = Assignment { replicas: vec![4, 1], adding: vec![4], removing: vec![1] };
        assert_eq!(moving.target(), [4]);
        topic.partitions.insert(2, moving);
        let json = String::from_utf8(topic.to_json()).unwrap();
        assert!(json.contains(r#""adding_replicas":{"2":[4]}"#), "{json}");
        assert!(json.contains(r#""removing_replicas":{"2":[1]}"#), "{json}");
        assert_eq!(TopicZnode::parse(json.as_bytes()).unwrap(), topic);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let old = TopicZnode::parse(br#"{"version":1,"partitions":{"0":[7]}}"#).unwrap();
        assert_eq!((old.id, old.partitions[&0].replicas.as_slice()), (None, &[7][..]));
        for bad in
            [r#"{"partitions":{"x":[1]}}"#, r#"{"partitions":{},"topic_id":"short"}"#, "null"]
        {
            assert!(TopicZnode::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
