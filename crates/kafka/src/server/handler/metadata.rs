//! Metadata: brokers, and topics with their partitions' leaders.

use std::time::Duration;

use polyport_kafka_codec::messages::metadata_request::MetadataRequestTopic;
use polyport_kafka_codec::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use polyport_kafka_codec::messages::{MetadataRequest, MetadataResponse};
use polyport_kafka_codec::{ErrorCode, Uuid};

use crate::metadata::TopicId;
use crate::metadata::image::{Image, Partition, Topic};
use crate::metadata::topics::{is_internal, name};
use crate::security::acl::{Operation, ResourceKind};
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// How long a topic that was just made may take to get its leaders before the client hears of it
/// without them.
const LED_WITHIN: Duration = Duration::from_secs(2);

/// Answers the request.
pub(in crate::server) async fn handle(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let broker = &call.broker;
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && call.version() == 0,
    };
    let named = if all { Vec::new() } else { request.topics.unwrap_or_default() };
    let mut refused = Vec::new();
    if broker.auto_creates() && (call.version() < 4 || request.allow_auto_topic_creation) {
        for name in named.iter().filter_map(|topic| topic.name.as_deref()) {
            // Who may not describe it learns nothing of it below.
            if call.topic(Operation::Describe, name).is_err() {
                continue;
            }
            if let Err(code) = create(call, name).await {
                refused.push((name.to_owned(), code));
            }
        }
    }
    let image = broker.images.current();
    let mut topics: Vec<_> = match all {
        true => {
            let mut topics: Vec<_> =
                image.topics().filter(|topic| !image.is_deleting(&topic.name)).collect();
            topics.retain(|topic| call.topic(Operation::Describe, &topic.name).is_ok());
            topics.sort_by(|a, b| a.name.cmp(&b.name));
            topics.into_iter().map(|topic| known(call, &image, topic)).collect()
        }
        false => named.into_iter().map(|asked| one(call, &image, asked, &refused)).collect(),
    };
    if request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::None.code()) {
            let name = topic.name.as_deref().unwrap_or_default();
            topic.topic_authorized_operations = call.operations(ResourceKind::Topic, name);
        }
    }
    let brokers = image.brokers().values().filter_map(|broker| {
        let endpoint = broker.endpoint(&call.client.listener)?;
        Some(MetadataResponseBroker {
            node_id: broker.id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref().map(str::to_owned),
        })
    });
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(image.cluster_id.to_string()),
        controller_id: image.controller.unwrap_or(-1),
        topics,
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => call.operations_on_cluster(),
            false => i32::MIN,
        },
        ..Default::default()
    }
}

/// Makes a topic with the broker's defaults, unless it is there.
async fn create(call: &Call, topic: &str) -> Result<(), ErrorCode> {
    let broker = &call.broker;
    if broker.images.current().topic(topic).is_some() {
        return Ok(());
    }
    if !call.may_cluster(Operation::Create) {
        call.topic(Operation::Create, topic)?;
    }
    broker.ensure(topic).await.map_err(|error| error.code())?;
    // Without leaders the client asks again.
    let _ = tokio::time::timeout(LED_WITHIN, broker.served(topic)).await;
    Ok(())
}

fn one(
    call: &Call,
    image: &Image,
    mut asked: MetadataRequestTopic,
    refused: &[(String, ErrorCode)],
) -> MetadataResponseTopic {
    // Java's client sends an empty name, not a null one, with an identity.
    if asked.topic_id != Uuid::ZERO {
        asked.name = None;
    }
    let failed = |code: ErrorCode, asked: MetadataRequestTopic| MetadataResponseTopic {
        error_code: code.code(),
        // Versions before 12 cannot say that they do not know the name.
        name: asked.name.or_else(|| (call.version() < 12).then(String::new)),
        topic_id: asked.topic_id,
        partitions: Vec::new(),
        ..Default::default()
    };
    let by_id = |id: Uuid| image.topic_by_id(TopicId(id.0));
    let found = match &asked.name {
        Some(name) => image.topic(name),
        None => by_id(asked.topic_id),
    };
    let name = found.map(|topic| &*topic.name).or(asked.name.as_deref());
    if let Some(name) = name
        && let Err(code) = call.topic(Operation::Describe, name)
    {
        return failed(code, asked);
    }
    if let Some(topic) = found.filter(|topic| !image.is_deleting(&topic.name)) {
        return known(call, image, topic);
    }
    let Some(topic) = &asked.name else { return failed(ErrorCode::UnknownTopicId, asked) };
    if name::validate(topic).is_err() {
        return failed(ErrorCode::InvalidTopicException, asked);
    }
    let code = refused.iter().find(|(name, _)| name == topic).map(|(_, code)| *code);
    failed(code.unwrap_or(ErrorCode::UnknownTopicOrPartition), asked)
}

fn known(call: &Call, image: &Image, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.numbered().map(|(number, of)| partition(call, image, number, of));
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string()),
        topic_id: Uuid(topic.id.0),
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn partition(
    call: &Call,
    image: &Image,
    number: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let alive = |id: &i32| image.is_alive(*id) && !call.broker.gone.contains(*id);
    let leader = partition.leader().filter(alive);
    let reachable = leader.is_some_and(|leader| {
        let broker = image.brokers().get(&leader);
        broker.is_some_and(|broker| broker.endpoint(&call.client.listener).is_some())
    });
    let code = match (leader, reachable) {
        (None, _) => ErrorCode::LeaderNotAvailable,
        (Some(_), false) => ErrorCode::ListenerNotFound,
        (Some(_), true) => ErrorCode::None,
    };
    MetadataResponsePartition {
        error_code: code.code(),
        partition_index: number,
        leader_id: leader.unwrap_or(-1),
        leader_epoch: partition.leader_epoch(),
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr().to_vec(),
        offline_replicas: image.offline_replicas(partition),
    }
}
