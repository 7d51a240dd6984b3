//! Membership in a group: joining, syncing, heartbeats, leaving; the classic protocol, eager.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use polyport_kafka_codec::messages::join_group_request::JoinGroupRequestProtocol;
use polyport_kafka_codec::messages::leave_group_request::MemberIdentity;
use polyport_kafka_codec::messages::sync_group_request::SyncGroupRequestAssignment;
use polyport_kafka_codec::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, consumer_protocol_assignment,
};
use polyport_kafka_codec::{Message, record};

use super::assign::{Member, range};
use super::{Consumer, Position, Subscription};
use crate::kafka::client::{Call, ClientError, Coordinator, Result, To, TopicPartition};

const CONSUMER: &str = "consumer";
const RANGE: &str = "range";
/// The version of a subscription that all of today's members read.
const SUBSCRIPTION: i16 = 1;
const ASSIGNMENT: i16 = 0;
/// The first LeaveGroup that names members in structs.
const BATCHED_LEAVE: i16 = 3;
/// The first versions with a name for static members.
const STATIC_JOIN: i16 = 5;
const STATIC_HEARTBEAT: i16 = 3;
/// The first SyncGroup that says which protocol it is about.
const SYNC_WITH_PROTOCOL: i16 = 5;
/// Joining takes at most this much longer than the members have.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;

/// A consumer's group and its place in it.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// What the coordinator calls the member; empty before it joins.
    pub member: String,
    /// Which generation of the group it is in, if it is.
    pub generation: Option<i32>,
    last_heartbeat: Instant,
    leads: bool,
    stale: bool,
}

impl Group {
    /// A group that is not joined yet.
    pub fn new(id: String) -> Self {
        Self {
            id,
            member: String::new(),
            generation: None,
            last_heartbeat: Instant::now(),
            leads: false,
            stale: false,
        }
    }

    /// The topics are others than those of which the partitions were shared out.
    pub fn topics_changed(&mut self) {
        self.stale = self.generation.is_some();
    }

    fn to(&self) -> To {
        To::Coordinator(Coordinator::Group, self.id.clone())
    }

    /// Takes an error of a member; whether joining again mends it.
    fn lost(&mut self, code: i16) -> bool {
        match code {
            REBALANCE_IN_PROGRESS => {}
            ILLEGAL_GENERATION | UNKNOWN_MEMBER_ID => self.member.clear(),
            MEMBER_ID_REQUIRED => {}
            _ => return false,
        }
        self.generation = None;
        true
    }
}

impl Consumer<'_> {
    /// Sees to it that the consumer is a member of its group, if it has one.
    pub(super) fn be_member(&mut self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let matching = matches!(self.subscription, Subscription::Matching(_));
        if group.stale && (group.leads || matching) {
            self.rejoin()?;
        }
        self.heartbeat_if_due()?;
        while self.group.as_ref().is_some_and(|group| group.generation.is_none()) {
            if self.partitions.is_empty() && matching {
                return Ok(());
            }
            self.join()?;
        }
        Ok(())
    }

    /// Gives the partitions back, with where the consumer is in them, before the group shares them
    /// out anew.
    fn rejoin(&mut self) -> Result<()> {
        if self.config.auto_commit.is_some() {
            // What cannot be committed is read again by whoever gets the partition.
            if let Err(ClientError::Interrupted) = self.commit() {
                return Err(ClientError::Interrupted);
            }
        }
        self.positions.clear();
        if let Some(group) = &mut self.group {
            group.generation = None;
            group.stale = false;
        }
        Ok(())
    }

    fn heartbeat_if_due(&mut self) -> Result<()> {
        let Some(group) = &mut self.group else { return Ok(()) };
        let Some(generation) = group.generation else { return Ok(()) };
        if group.last_heartbeat.elapsed() < self.config.heartbeat {
            return Ok(());
        }
        group.last_heartbeat = Instant::now();
        let call = Call::new(group.to(), "heartbeat").within(Some(self.config.session_timeout));
        let instance = self.config.group_instance_id.clone();
        let (group_id, member_id) = (group.id.clone(), group.member.clone());
        let make = |version| HeartbeatRequest {
            group_id: group_id.clone(),
            generation_id: generation,
            member_id: member_id.clone(),
            group_instance_id: instance.clone().filter(|_| version >= STATIC_HEARTBEAT),
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        match response.error_code {
            0 => Ok(()),
            code => {
                // The offsets are committed while the generation still counts.
                if code == REBALANCE_IN_PROGRESS {
                    return self.rejoin();
                }
                let mends = self.group.as_mut().is_some_and(|group| group.lost(code));
                self.positions.clear();
                if mends { Ok(()) } else { ClientError::check(code, None) }
            }
        }
    }

    fn topics_wanted(&self) -> Vec<String> {
        match &self.subscription {
            Subscription::Topics(topics) => topics.clone(),
            Subscription::Matching(_) => self.partitions.keys().cloned().collect(),
            Subscription::Partition(partition, _) => vec![partition.topic.clone()],
        }
    }

    fn join(&mut self) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics_wanted(),
            ..ConsumerProtocolSubscription::default()
        };
        let metadata = record::encode(&subscription, SUBSCRIPTION)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let metadata = Bytes::from(metadata);
        let config = &self.config;
        let millis = |it: Duration| i32::try_from(it.as_millis()).unwrap_or(i32::MAX);
        let (session, rebalance) =
            (millis(config.session_timeout), millis(config.rebalance_timeout));
        let instance = config.group_instance_id.clone();
        let (group_id, member_id) = (group.id.clone(), group.member.clone());
        let call = Call::new(group.to(), "joinGroup")
            .within(Some(config.rebalance_timeout + JOIN_MARGIN))
            .patient();
        let make = |version| JoinGroupRequest {
            group_id: group_id.clone(),
            session_timeout_ms: session,
            rebalance_timeout_ms: if version == 0 { -1 } else { rebalance },
            member_id: member_id.clone(),
            group_instance_id: instance.clone().filter(|_| version >= STATIC_JOIN),
            protocol_type: CONSUMER.to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: RANGE.to_owned(),
                metadata: metadata.clone(),
            }],
            reason: None,
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        let Some(group) = &mut self.group else { return Ok(()) };
        if response.error_code != 0 {
            let mends = group.lost(response.error_code);
            if response.error_code == MEMBER_ID_REQUIRED {
                group.member = response.member_id;
            }
            return if mends { Ok(()) } else { ClientError::check(response.error_code, None) };
        }
        group.member = response.member_id.clone();
        group.leads = response.leader == response.member_id;
        group.stale = false;
        let shares = if group.leads { self.share_out(&response)? } else { Vec::new() };
        self.sync(&response, shares)
    }

    /// As the group's leader, who gets what.
    fn share_out(&mut self, joined: &JoinGroupResponse) -> Result<Vec<SyncGroupRequestAssignment>> {
        let mut members = Vec::new();
        for member in &joined.members {
            let subscription: ConsumerProtocolSubscription = subscription(&member.metadata)?;
            members.push(Member {
                id: member.member_id.clone(),
                instance: member.group_instance_id.clone(),
                topics: subscription.topics,
            });
        }
        let mut topics: Vec<_> =
            members.iter().flat_map(|member| &member.topics).cloned().collect();
        topics.sort();
        topics.dedup();
        let unknown = topics.iter().any(|topic| !self.partitions.contains_key(topic));
        let mut partitions = self.partitions.clone();
        if unknown {
            let response = self.client.metadata(Some(&topics), true, "metadata", None)?;
            partitions = response
                .topics
                .into_iter()
                .filter(|topic| topic.error_code == 0)
                .filter_map(|topic| {
                    Some((topic.name?, i32::try_from(topic.partitions.len()).ok()?))
                })
                .collect();
        }
        range(&members, &partitions)
            .into_iter()
            .map(|(member_id, partitions)| {
                let assignment = record::encode(&assignment(&partitions), ASSIGNMENT)
                    .map_err(|error| ClientError::Protocol(error.to_string()))?;
                Ok(SyncGroupRequestAssignment { member_id, assignment: Bytes::from(assignment) })
            })
            .collect()
    }

    fn sync(
        &mut self,
        joined: &JoinGroupResponse,
        shares: Vec<SyncGroupRequestAssignment>,
    ) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let instance = self.config.group_instance_id.clone();
        let call = Call::new(group.to(), "syncGroup")
            .within(Some(self.config.rebalance_timeout + JOIN_MARGIN))
            .patient();
        let group_id = group.id.clone();
        let make = |version| SyncGroupRequest {
            group_id: group_id.clone(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: instance.clone().filter(|_| version >= STATIC_HEARTBEAT),
            protocol_type: (version >= SYNC_WITH_PROTOCOL).then(|| CONSUMER.to_owned()),
            protocol_name: (version >= SYNC_WITH_PROTOCOL).then(|| RANGE.to_owned()),
            assignments: shares.clone(),
        };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        let Some(group) = &mut self.group else { return Ok(()) };
        if response.error_code != 0 {
            let mends = group.lost(response.error_code);
            return if mends { Ok(()) } else { ClientError::check(response.error_code, None) };
        }
        group.generation = Some(joined.generation_id);
        group.last_heartbeat = Instant::now();
        self.last_commit = Instant::now();
        self.positions = assigned(&response.assignment)?
            .into_iter()
            .map(|partition| (partition, Position::default()))
            .collect();
        self.last_metadata = None;
        self.refresh_metadata()
    }

    /// Leaves the group; a static member keeps its place.
    pub(super) fn leave(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        if group.member.is_empty() || self.config.group_instance_id.is_some() {
            return Ok(());
        }
        let call = Call::new(group.to(), "leaveGroup");
        let make = |version| match version {
            BATCHED_LEAVE.. => LeaveGroupRequest {
                group_id: group.id.clone(),
                members: vec![MemberIdentity {
                    member_id: group.member.clone(),
                    ..MemberIdentity::default()
                }],
                ..LeaveGroupRequest::default()
            },
            _ => LeaveGroupRequest {
                group_id: group.id.clone(),
                member_id: group.member.clone(),
                ..LeaveGroupRequest::default()
            },
        };
        self.client.call(&call, make, |response| response.error_code).map(|_| ())
    }
}

fn read<M: Message>(bytes: &[u8]) -> Result<M> {
    let malformed = |error: polyport_kafka_codec::DecodeError| {
        ClientError::Protocol(format!("a member's message that cannot be read: {error}"))
    };
    let version = record::version(bytes).map_err(malformed)?.min(M::LAST_VERSION);
    record::decode_as(bytes, version).map_err(malformed)
}

fn subscription(bytes: &[u8]) -> Result<ConsumerProtocolSubscription> {
    read(bytes)
}

/// The partitions of an assignment; none if it is empty.
///
/// # Errors
/// If it cannot be read.
pub fn assigned(bytes: &[u8]) -> Result<Vec<TopicPartition>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment = read(bytes)?;
    let all = assignment.assigned_partitions.into_iter().flat_map(|topic| {
        let name = topic.topic;
        topic.partitions.into_iter().map(move |it| TopicPartition::new(name.clone(), it))
    });
    Ok(all.collect())
}

fn assignment(partitions: &[TopicPartition]) -> ConsumerProtocolAssignment {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let assigned_partitions = topics
        .into_iter()
        .map(|(topic, partitions)| consumer_protocol_assignment::TopicPartition {
            topic: topic.to_owned(),
            partitions,
        })
        .collect();
    ConsumerProtocolAssignment { assigned_partitions, user_data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_comes_back_as_it_was_given() {
        let partitions = [TopicPartition::new("a", 0), TopicPartition::new("b", 3)];
        let bytes = record::encode(&assignment(&partitions), ASSIGNMENT).unwrap();
        assert_eq!(assigned(&bytes).unwrap(), partitions);
        assert_eq!(assigned(b"").unwrap(), []);
        assert!(assigned(b"\0").is_err());
    }

    #[test]
    fn a_subscription_of_a_newer_member_is_read() {
        // Version 9, of which the fields of version 1 are a part.
        let topics = vec!["t".to_owned()];
        let newer = ConsumerProtocolSubscription { topics, ..Default::default() };
        let mut bytes = record::encode(&newer, 3).unwrap();
        bytes[1] = 9;
        assert_eq!(subscription(&bytes).unwrap().topics, ["t"]);
    }

    #[test]
    fn a_member_that_is_not_known_joins_as_a_new_one() {
        let mut group = Group::new("g".to_owned());
        group.member = "m".to_owned();
        group.generation = Some(3);
        assert!(group.lost(REBALANCE_IN_PROGRESS));
        assert_eq!((group.member.as_str(), group.generation), ("m", None));
        assert!(group.lost(UNKNOWN_MEMBER_ID) && group.member.is_empty());
        assert!(!group.lost(30), "what is not allowed does not become so");
    }
}
