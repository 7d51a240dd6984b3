//! Settings of topics, brokers and others: what they are, and their change.

use polyport_kafka_codec::messages::describe_configs_request::DescribeConfigsResource;
use polyport_kafka_codec::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use polyport_kafka_codec::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Result, To};

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A topic.
    Topic,
    /// A broker; with an empty name, all of them.
    Broker,
    /// A broker's loggers.
    BrokerLogger,
    /// Clients' metrics.
    ClientMetrics,
    /// A group.
    Group,
}

impl ResourceKind {
    fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }
}

/// The source that is nobody's setting.
const DEFAULT_CONFIG: i8 = 5;

/// A setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` if it is secret or not set.
    pub value: Option<String>,
    /// Where it comes from, as in DescribeConfigs.
    pub source: i8,
    /// Whether its value is kept secret.
    pub sensitive: bool,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Where it would come from, nearest first: name, value and source.
    pub synonyms: Vec<(String, Option<String>, i8)>,
}

impl ConfigEntry {
    /// Whether nobody set it.
    pub fn is_default(&self) -> bool {
        self.source == DEFAULT_CONFIG
    }

    /// The source's name.
    pub fn source_name(source: i8) -> &'static str {
        match source {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// It gets the value.
    Set,
    /// It becomes the default again.
    Delete,
    /// The value is added to its list.
    Append,
    /// The value is taken from its list.
    Subtract,
}

/// A change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub operation: ConfigOperation,
    /// The value.
    pub value: Option<String>,
}

impl Admin<'_> {
    /// Who is asked about a resource: a broker about itself.
    fn config_target(kind: ResourceKind, name: &str) -> To {
        match kind {
            ResourceKind::Broker | ResourceKind::BrokerLogger => {
                name.parse().map_or(To::Any, To::Node)
            }
            _ => To::Any,
        }
    }

    /// The settings of a resource, in the broker's order.
    ///
    /// # Errors
    /// As the broker says.
    pub fn describe_configs(
        &mut self,
        kind: ResourceKind,
        name: &str,
        synonyms: bool,
    ) -> Result<Vec<ConfigEntry>> {
        let to = Self::config_target(kind, name);
        let call = Call::new(to, "describeConfigs").within(self.timeout);
        let make = |_| DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: kind.code(),
                resource_name: name.to_owned(),
                configuration_keys: None,
            }],
            include_synonyms: synonyms,
            include_documentation: false,
        };
        let response = self.client.call(&call, make, |_| 0)?;
        let Some(result) = response.results.into_iter().next() else { return Ok(Vec::new()) };
        ClientError::check(result.error_code, result.error_message)?;
        let entries = result.configs.into_iter().map(|config| ConfigEntry {
            name: config.name,
            value: config.value,
            source: match config.config_source {
                // Before version 1 only whether it is the default is known.
                -1 if config.is_default => DEFAULT_CONFIG,
                source => source,
            },
            sensitive: config.is_sensitive,
            read_only: config.read_only,
            synonyms: config
                .synonyms
                .into_iter()
                .map(|synonym| (synonym.name, synonym.value, synonym.source))
                .collect(),
        });
        Ok(entries.collect())
    }

    /// Changes settings of a resource.
    ///
    /// # Errors
    /// As the broker says.
    pub fn alter_configs(
        &mut self,
        kind: ResourceKind,
        name: &str,
        changes: &[ConfigChange],
    ) -> Result<()> {
        let to = Self::config_target(kind, name);
        let call = Call::new(to, "incrementalAlterConfigs").within(self.timeout);
        let configs: Vec<_> = changes
            .iter()
            .map(|change| AlterableConfig {
                name: change.name.clone(),
                config_operation: match change.operation {
                    ConfigOperation::Set => 0,
                    ConfigOperation::Delete => 1,
                    ConfigOperation::Append => 2,
                    ConfigOperation::Subtract => 3,
                },
                value: change.value.clone(),
            })
            .collect();
        let make = |_| IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: kind.code(),
                resource_name: name.to_owned(),
                configs: configs.clone(),
            }],
            validate_only: false,
        };
        let response = self.client.call(&call, make, |response| {
            response.responses.first().map_or(0, |resource| resource.error_code)
        })?;
        response.responses.into_iter().try_for_each(|resource| {
            ClientError::check(resource.error_code, resource.error_message)
        })
    }
}
