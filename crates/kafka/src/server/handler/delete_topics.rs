//! DeleteTopics.

use std::time::Duration;

use polyport_kafka_codec::messages::delete_topics_request::DeleteTopicState;
use polyport_kafka_codec::messages::delete_topics_response::DeletableTopicResult;
use polyport_kafka_codec::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use polyport_kafka_codec::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use crate::metadata::TopicId;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// The first version that names topics by name or id.
const FIRST_VERSION_BY_ID: i16 = 6;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let wait = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let deadline = Instant::now() + wait;
    let asked = match call.version() >= FIRST_VERSION_BY_ID {
        true => request.topics,
        false => {
            let names = request.topic_names.into_iter();
            names.map(|name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO }).collect()
        }
    };
    let mut responses = Vec::with_capacity(asked.len());
    for topic in asked {
        responses.push(one(call, topic, deadline).await);
    }
    DeleteTopicsResponse { responses, ..Default::default() }
}

async fn one(call: &Call, asked: DeleteTopicState, deadline: Instant) -> DeletableTopicResult {
    let broker = &call.broker;
    let result = |name: Option<String>, id, code: ErrorCode, text: Option<String>| {
        let error_message =
            (code != ErrorCode::None).then(|| text.unwrap_or_else(|| code.message().to_owned()));
        // Versions before 6 cannot say that there is no name.
        let name = name.or_else(|| (call.version() < FIRST_VERSION_BY_ID).then(String::new));
        DeletableTopicResult { name, topic_id: id, error_code: code.code(), error_message }
    };
    if !broker.deletes_topics() {
        let code = match call.version() < 3 {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TopicDeletionDisabled,
        };
        return result(asked.name, asked.topic_id, code, None);
    }
    let image = broker.images.current();
    let found = match &asked.name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(TopicId(asked.topic_id.0)),
    };
    let name = found.map(|topic| &*topic.name).or(asked.name.as_deref());
    if let Some(name) = name {
        // Who may not describe a topic is not told its name.
        let may = match asked.name {
            None => call.topic(Operation::Describe, name),
            Some(_) => Ok(()),
        };
        if let Err(code) = may {
            return result(None, asked.topic_id, code, None);
        }
        if let Err(code) = call.topic(Operation::Delete, name) {
            return result(Some(name.to_owned()), asked.topic_id, code, None);
        }
    }
    let Some(topic) = found.filter(|topic| !image.is_deleting(&topic.name)) else {
        let code = match asked.name {
            Some(_) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::UnknownTopicId,
        };
        return result(asked.name, asked.topic_id, code, None);
    };
    let (name, id) = (Some(topic.name.to_string()), Uuid(topic.id.0));
    match broker.topics.delete(&topic.name).await {
        Err(error) => result(name, id, error.code(), Some(error.to_string())),
        Ok(zxid) => {
            let gone = async {
                broker.images.at(zxid).await;
                broker.topics.gone(&topic.name, topic.id).await;
            };
            match timeout_at(deadline, gone).await {
                Ok(()) => result(name, id, ErrorCode::None, None),
                Err(_) => result(name, id, ErrorCode::RequestTimedOut, None),
            }
        }
    }
}
