//! AlterConfigs, which replaces all that is set, and IncrementalAlterConfigs, which does not.

use std::collections::{BTreeMap, BTreeSet};

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_response,
};

use super::describe_configs::{BROKER, BROKER_LOGGER, Refused, TOPIC, denied};
use crate::metadata::config::Op;
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// What is to be done to a resource.
enum Change {
    All(BTreeMap<String, String>),
    Some(Vec<(String, Op)>),
}

/// Answers AlterConfigs.
pub(in crate::server) async fn replace(
    call: &Call,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let mut values = BTreeMap::new();
        let mut wrong = None;
        for config in resource.configs {
            match config.value {
                Some(value) => {
                    values.insert(config.name, value);
                }
                None => wrong = Some(null_value(&config.name)),
            }
        }
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let done = match wrong {
            Some(refused) => Err(refused),
            None => alter(call, kind, &name, Change::All(values), request.validate_only).await,
        };
        let (error_code, error_message) = outcome(done);
        responses.push(alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: kind,
            resource_name: name,
        });
    }
    AlterConfigsResponse { responses, ..Default::default() }
}

/// Answers IncrementalAlterConfigs.
pub(in crate::server) async fn change(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let mut names = BTreeSet::new();
        let twice = resource.configs.iter().find(|config| !names.insert(&config.name));
        let ops: Result<Vec<_>, Refused> = match twice {
            Some(twice) => Err((
                ErrorCode::InvalidRequest,
                format!("Error due to duplicate config keys: {}", twice.name),
            )),
            None => resource.configs.into_iter().map(step).collect(),
        };
        let done = match ops {
            Err(refused) => Err(refused),
            Ok(ops) => alter(call, kind, &name, Change::Some(ops), request.validate_only).await,
        };
        let (error_code, error_message) = outcome(done);
        responses.push(incremental_alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: kind,
            resource_name: name,
        });
    }
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn step(
    config: polyport_kafka_codec::messages::incremental_alter_configs_request::AlterableConfig,
) -> Result<(String, Op), Refused> {
    let name = config.name;
    let op = match (config.config_operation, config.value) {
        (1, _) => Op::Delete,
        (0 | 2 | 3, None) => return Err(null_value(&name)),
        (0, Some(value)) => Op::Set(value),
        (2, Some(value)) => Op::Append(value),
        (3, Some(value)) => Op::Subtract(value),
        (other, _) => {
            return Err((ErrorCode::InvalidRequest, format!("Unknown operation {other}")));
        }
    };
    Ok((name, op))
}

async fn alter(
    call: &Call,
    kind: i8,
    name: &str,
    change: Change,
    validate_only: bool,
) -> Result<(), Refused> {
    let may = match kind {
        TOPIC => call.topic(Operation::AlterConfigs, name),
        BROKER | BROKER_LOGGER => call.cluster(Operation::AlterConfigs),
        _ => Ok(()),
    };
    may.map_err(denied)?;
    let broker = &call.broker;
    let alterations = &broker.alterations;
    let altered = match (kind, change) {
        (TOPIC, Change::All(values)) => alterations.topic(name, &values, validate_only).await,
        (TOPIC, Change::Some(ops)) => {
            alterations.topic_incrementally(name, &ops, validate_only).await
        }
        (BROKER, change) => {
            let id = broker_id(name)?;
            match change {
                Change::All(values) => alterations.broker(id, &values, validate_only).await,
                Change::Some(ops) => {
                    alterations.broker_incrementally(id, &ops, validate_only).await
                }
            }
        }
        (BROKER_LOGGER, _) => {
            let text = "Levels of log lines are set when the node starts";
            return Err((ErrorCode::InvalidRequest, text.to_owned()));
        }
        (other, _) => {
            let text = format!("Unsupported resource type: {other}");
            return Err((ErrorCode::InvalidRequest, text));
        }
    };
    let zxid = altered.map_err(|error| (error.code(), error.to_string()))?;
    // Whoever asks here next finds it changed.
    broker.images.at(zxid).await;
    Ok(())
}

/// A broker's id; none for all brokers.
fn broker_id(name: &str) -> Result<Option<i32>, Refused> {
    if name.is_empty() {
        return Ok(None);
    }
    let id = name.parse().map_err(|_| {
        let text = format!("Broker id must be an integer, but it is: {name}");
        (ErrorCode::InvalidRequest, text)
    })?;
    Ok(Some(id))
}

fn null_value(name: &str) -> Refused {
    (ErrorCode::InvalidRequest, format!("Null value not supported for : {name}"))
}

fn outcome(done: Result<(), Refused>) -> (i16, Option<String>) {
    match done {
        Ok(()) => (ErrorCode::None.code(), None),
        Err((code, text)) => (code.code(), Some(text)),
    }
}
