//! `/brokers/topics/T/partitions/P/state`.

use serde::{Deserialize, Serialize};

use super::ZnodeError;

/// Who leads a partition and who is in sync with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStateZnode {
    /// Epoch of the controller that last elected a leader.
    pub controller_epoch: i32,
    /// The leader; -1 for none.
    pub leader: i32,
    /// Of this format: 1.
    version: i32,
    /// How often the leader was elected.
    pub leader_epoch: i32,
    /// Who is in sync.
    pub isr: Vec<i32>,
    /// 1 while a leader that was not in sync makes up for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leader_recovery_state: i8,
}

fn is_zero(state: &i8) -> bool {
    *state == 0
}

/// No leader.
pub const NO_LEADER: i32 = -1;

impl PartitionStateZnode {
    /// A state without recovery.
    pub fn new(controller_epoch: i32, leader: i32, leader_epoch: i32, isr: Vec<i32>) -> Self {
        Self { controller_epoch, leader, version: 1, leader_epoch, isr, leader_recovery_state: 0 }
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
        super::parse("a partition's state", json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_as_kafka_writes_it() {
        let state = PartitionStateZnode::new(1, 0, 0, vec![0]);
        let json = r#"{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}"#;
        assert_eq!(String::from_utf8(state.to_json()).unwrap(), json);
        assert_eq!(PartitionStateZnode::parse(json.as_bytes()).unwrap(), state);
    }

    #[test]
    fn the_states_of_the_notes_are_read() {
        let json = br#"{ "controller_epoch": 1, "leader": 2, "version": 1,
            "leader_epoch": 1, "isr": [2, 1, 3] }"#;
        let state = PartitionStateZnode::parse(json).unwrap();
        assert_eq!((state.leader, state.isr), (2, vec![2, 1, 3]));
        assert!(PartitionStateZnode::parse(b"{}").is_err());
    }
}
