//! DescribeConfigs.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::create_topics_response::CreatableTopicConfigs;
use polyport_kafka_codec::messages::describe_configs_request::DescribeConfigsResource;
use polyport_kafka_codec::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use polyport_kafka_codec::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::broker::overrides;
use crate::config::define::{Definition, Dynamic, Effect};
use crate::config::resolve::{Found, Source};
use crate::config::{BROKER_KEYS, TOPIC_KEYS};
use crate::metadata::topics::name;
use crate::metadata::znode::path;
use crate::server::dispatch::Call;

/// Resources, with the numbers that requests give them.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;

/// Why a resource is not described.
type Refused = (ErrorCode, String);

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let (synonyms, about) = (request.include_synonyms, request.include_documentation);
    let results = request.resources.into_iter().map(|resource| {
        let described = match resource.resource_type {
            TOPIC => of_topic(call, &resource),
            BROKER => of_broker(call, &resource),
            // Levels of log lines are not set from outside.
            BROKER_LOGGER => Ok(Vec::new()),
            other => {
                Err((ErrorCode::InvalidRequest, format!("Unsupported resource type: {other}")))
            }
        };
        let asked = |name: &str| {
            let keys = resource.configuration_keys.as_ref();
            keys.is_none_or(|keys| keys.iter().any(|key| key == name))
        };
        let (code, text, configs) = match described {
            Ok(all) => {
                let all = all.into_iter().filter(|(key, _)| asked(key.name));
                let all = all.map(|(key, found)| entry(resource.resource_type, key, found));
                (ErrorCode::None, None, all.map(|it| shown(it, synonyms, about)).collect())
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

type Keys = Vec<(&'static Definition, Vec<Found>)>;

fn of_topic(call: &Call, resource: &DescribeConfigsResource) -> Result<Keys, Refused> {
    let image = call.broker.images.current();
    let topic = &resource.resource_name;
    name::validate(topic).map_err(|text| (ErrorCode::InvalidTopicException, text))?;
    if image.topic(topic).is_none() || image.is_deleting(topic) {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err((code, code.message().to_owned()));
    }
    Ok(topic_keys(call, topic))
}

fn topic_keys(call: &Call, topic: &str) -> Keys {
    let broker = &call.broker;
    let image = broker.images.current();
    broker.settings.with_layers(&image, |layers| {
        let set = overrides(&image, &path::topic_entity(topic));
        TOPIC_KEYS.iter().map(|key| (key, layers.topic_value(key, &set))).collect()
    })
}

fn of_broker(call: &Call, resource: &DescribeConfigsResource) -> Result<Keys, Refused> {
    let broker = &call.broker;
    let image = broker.images.current();
    let named = &resource.resource_name;
    if named.is_empty() {
        // All brokers: what has been set for them, and nothing else.
        let set = overrides(&image, &path::broker_entity(None));
        let keys = BROKER_KEYS.iter().filter_map(|key| {
            let value = set.get(key.name)?.clone();
            let (name, source) = (key.name.to_owned(), Source::AllBrokers);
            Some((key, vec![Found { name, value: Some(value), source }]))
        });
        return Ok(keys.collect());
    }
    let ours = broker.settings.broker_id;
    if named.parse() != Ok(ours) {
        let text =
            format!("Unexpected broker id, expected {ours} or empty string, but received {named}");
        return Err((ErrorCode::InvalidRequest, text));
    }
    Ok(broker.settings.with_layers(&image, |layers| {
        BROKER_KEYS.iter().map(|key| (key, layers.broker_value(key))).collect()
    }))
}

/// A key with what holds for it first.
struct Entry {
    read_only: bool,
    key: &'static Definition,
    found: Vec<Found>,
}

fn entry(resource: i8, key: &'static Definition, found: Vec<Found>) -> Entry {
    Entry { read_only: resource == BROKER && key.dynamic == Dynamic::ReadOnly, key, found }
}

fn shown(entry: Entry, synonyms: bool, about: bool) -> DescribeConfigsResourceResult {
    let Entry { read_only, key, found } = entry;
    let sensitive = key.is_sensitive();
    let hidden = |value: Option<String>| value.filter(|_| !sensitive);
    let first = found.first();
    let source = first.map_or(Source::Default, |found| found.source);
    let behind = found.iter().filter(|found| {
        // A default that is no value is not behind anything.
        found.source != Source::Default || found.value.is_some()
    });
    let synonym = |found: &Found| DescribeConfigsSynonym {
        name: found.name.clone(),
        value: hidden(found.value.clone()),
        source: found.source as i8,
    };
    let documentation = match key.effect {
        Effect::Full => key.about.to_owned(),
        Effect::None(why) => format!("{} Without effect in Polyport: {why}.", key.about),
    };
    DescribeConfigsResourceResult {
        name: key.name.to_owned(),
        value: hidden(first.and_then(|found| found.value.clone())),
        read_only,
        config_source: source as i8,
        is_sensitive: sensitive,
        synonyms: if synonyms { behind.map(synonym).collect() } else { Vec::new() },
        config_type: key.kind as i8,
        documentation: about.then_some(documentation),
        ..Default::default()
    }
}

/// The configuration of a topic that was just made.
pub(super) fn of_created(call: &Call, topic: &str) -> Vec<CreatableTopicConfigs> {
    let keys = topic_keys(call, topic).into_iter();
    let config = |(key, found): (&'static Definition, Vec<Found>)| {
        let first = found.into_iter().next();
        CreatableTopicConfigs {
            name: key.name.to_owned(),
            config_source: first.as_ref().map_or(Source::Default, |found| found.source) as i8,
            value: first.and_then(|found| found.value),
            read_only: false,
            is_sensitive: false,
        }
    };
    keys.map(config).collect()
}
