//! DescribeConfigs.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_topics_response::CreatableTopicConfigs;
use polyport_kafka_codec::messages::describe_configs_request::DescribeConfigsResource;
use polyport_kafka_codec::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use polyport_kafka_codec::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::metadata::config::{Entry, Source, without_effect};
use crate::metadata::topics::name;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;

/// Resources, with the numbers that requests give them.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;

/// Why a resource is not described.
pub(super) type Refused = (ErrorCode, String);

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let may = Operation::DescribeConfigs;
    let (synonyms, about) = (request.include_synonyms, request.include_documentation);
    let results = request.resources.into_iter().map(|resource| {
        let described = match resource.resource_type {
            TOPIC if call.topic(may, &resource.resource_name).is_err() => {
                Err(denied(ErrorCode::TopicAuthorizationFailed))
            }
            BROKER | BROKER_LOGGER if call.cluster(may).is_err() => {
                Err(denied(ErrorCode::ClusterAuthorizationFailed))
            }
            TOPIC => of_topic(call, &resource),
            BROKER => of_broker(call, &resource),
            // Levels of log lines are not set from outside.
            BROKER_LOGGER => Ok(Vec::new()),
            other => {
                Err((ErrorCode::InvalidRequest, format!("Unsupported resource type: {other}")))
            }
        };
        let asked = |entry: &Entry| {
            let keys = resource.configuration_keys.as_ref();
            keys.is_none_or(|keys| keys.contains(&entry.name))
        };
        let (code, text, configs) = match described {
            Ok(all) => {
                let all = all.into_iter().filter(asked);
                (ErrorCode::None, None, all.map(|entry| shown(entry, synonyms, about)).collect())
            }
            Err((code, text)) => (code, Some(text), Vec::new()),
        };
        DescribeConfigsResult {
            error_code: code.code(),
            error_message: text,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs,
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

/// Why a resource is neither described nor changed.
pub(super) fn denied(code: ErrorCode) -> Refused {
    (code, code.message().to_owned())
}

fn of_topic(call: &Call, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Refused> {
    let broker = &call.broker;
    let image = broker.images.current();
    let topic = &resource.resource_name;
    name::validate(topic).map_err(|text| (ErrorCode::InvalidTopicException, text))?;
    if image.topic(topic).is_none() || image.is_deleting(topic) {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err((code, code.message().to_owned()));
    }
    Ok(broker.settings.configs.describe_topic(&image, topic))
}

fn of_broker(call: &Call, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Refused> {
    let broker = &call.broker;
    let image = broker.images.current();
    let (named, ours) = (&resource.resource_name, broker.settings.broker_id);
    if named.is_empty() {
        return Ok(broker.settings.configs.describe_all_brokers(&image));
    }
    if named.parse() != Ok(ours) {
        let text =
            format!("Unexpected broker id, expected {ours} or empty string, but received {named}");
        return Err((ErrorCode::InvalidRequest, text));
    }
    Ok(broker.settings.configs.describe_broker(&image))
}

/// A source's number.
fn number(source: Source) -> i8 {
    source as i8 + 1
}

fn shown(entry: Entry, synonyms: bool, about: bool) -> DescribeConfigsResourceResult {
    let synonym = |synonym: crate::metadata::config::Synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value,
        source: number(synonym.source),
    };
    let documentation = match without_effect(&entry.name) {
        None => entry.documentation.to_owned(),
        Some(why) => format!("{} Without effect in Polyport: {why}.", entry.documentation),
    };
    let behind = entry.synonyms.into_iter().filter(|_| synonyms);
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: number(entry.source),
        is_sensitive: entry.sensitive,
        synonyms: behind.map(synonym).collect(),
        config_type: entry.kind.map_or(0, |kind| kind as i8 + 1),
        documentation: about.then_some(documentation),
        ..Default::default()
    }
}

/// The configuration of a topic that was just made.
pub(super) fn of_created(call: &Call, topic: &str) -> Vec<CreatableTopicConfigs> {
    let broker = &call.broker;
    let entries = broker.settings.configs.describe_topic(&broker.images.current(), topic);
    let config = |entry: Entry| CreatableTopicConfigs {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: number(entry.source),
        is_sensitive: entry.sensitive,
    };
    entries.into_iter().map(config).collect()
}
