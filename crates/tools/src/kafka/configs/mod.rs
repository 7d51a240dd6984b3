//! `kafka-configs.sh`: settings of topics, brokers, users, clients and addresses.

mod options;

use options::ConfigOptions;

use super::client::ClientError;
use super::client::admin::{
    Admin, ConfigChange, ConfigEntry, ConfigOperation, QuotaEntity, QuotaMatch, ResourceKind,
    ScramMechanism,
};
use super::stop::{Failure, Stop, exit_code};
use crate::zk_cli::Console;

const EXECUTION: &str = "java.util.concurrent.ExecutionException";
const INVALID_CONFIG: &str = "org.apache.kafka.common.errors.InvalidConfigurationException";
const DEFAULT_ITERATIONS: i32 = 4096;
const DYNAMIC_TOPIC: i8 = 1;
const DYNAMIC_BROKER: i8 = 2;
const DYNAMIC_DEFAULT_BROKER: i8 = 3;
const DYNAMIC_CLIENT_METRICS: i8 = 7;
/// Settings of users and clients, and of addresses, that are quotas.
const QUOTAS: [&str; 5] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
    "connection_creation_rate",
];

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    run(&args[1.min(args.len())..], &Console::process())
}

fn run(args: &[String], console: &Console) -> i32 {
    let result = ConfigOptions::read(args).and_then(|options| {
        let mut properties = super::command_config(&options.parsed, "command-config")?;
        let servers = options.parsed.value("bootstrap-server")?.unwrap_or_default();
        properties.set("bootstrap.servers", servers);
        let admin = Admin::new(properties, console)
            .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
        let mut tool = Tool { options: &options, admin, console };
        if options.parsed.has("alter") { tool.alter() } else { tool.describe() }
    });
    exit_code(result, console, options::ALL, |failure| {
        let plain = failure.class.starts_with("joptsimple.")
            || failure.class.ends_with("IllegalArgumentException")
            || failure.class == INVALID_CONFIG;
        if plain {
            console.error(&failure.message);
        } else {
            console.error(&format!(
                "Error while executing config command with args '{}'",
                args.join(" ")
            ));
            console.error(&failure.exception());
        }
        1
    })
}

/// A broker's error, as the tool's own exception has it.
fn of_future(error: ClientError) -> Failure {
    Failure::new(EXECUTION, error.exception()).caused_by(error.exception())
}

struct Tool<'a> {
    options: &'a ConfigOptions,
    admin: Admin<'a>,
    console: &'a Console,
}

/// What kind of resource an entity type is, and which source its own settings have.
fn resource(kind: &str, name: &str) -> Option<(ResourceKind, Option<i8>)> {
    match kind {
        "topics" => Some((ResourceKind::Topic, Some(DYNAMIC_TOPIC))),
        "brokers" if name.is_empty() => Some((ResourceKind::Broker, Some(DYNAMIC_DEFAULT_BROKER))),
        "brokers" => Some((ResourceKind::Broker, Some(DYNAMIC_BROKER))),
        "broker-loggers" => Some((ResourceKind::BrokerLogger, None)),
        "client-metrics" => Some((ResourceKind::ClientMetrics, Some(DYNAMIC_CLIENT_METRICS))),
        _ => None,
    }
}

/// The entity type without its plural.
fn singular(kind: &str) -> &str {
    kind.strip_suffix('s').unwrap_or(kind)
}

impl Tool<'_> {
    fn first(&self) -> (String, String) {
        let first = |all: &[String]| all.first().cloned().unwrap_or_default();
        (first(&self.options.types), first(&self.options.names))
    }

    /// The settings of an entity by name, all of them or those that were set for it.
    fn entries(&mut self, kind: &str, name: &str, all: bool) -> Result<Vec<ConfigEntry>, Stop> {
        let Some((resource, source)) = resource(kind, name) else { return Ok(Vec::new()) };
        let mut entries = self.admin.describe_configs(resource, name, true).map_err(of_future)?;
        entries.retain(|entry| all || source.is_none_or(|source| entry.source == source));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn alter(&mut self) -> Result<(), Stop> {
        let (kind, name) = self.first();
        let (added, deleted) = (self.options.added()?, self.options.deleted());
        match resource(&kind, &name) {
            Some((resource, _)) => {
                let there = self.entries(&kind, &name, kind == "broker-loggers")?;
                let unknown: Vec<_> = deleted
                    .iter()
                    .filter(|key| !there.iter().any(|entry| entry.name == **key))
                    .cloned()
                    .collect();
                if !unknown.is_empty() {
                    let message = format!("Invalid config(s): {}", unknown.join(","));
                    return Err(Failure::new(INVALID_CONFIG, message).into());
                }
                let set = |(name, value): (String, String)| ConfigChange {
                    name,
                    operation: ConfigOperation::Set,
                    value: Some(value),
                };
                let delete = |name: String| ConfigChange {
                    name,
                    operation: ConfigOperation::Delete,
                    value: None,
                };
                let mut changes: Vec<_> = added.into_iter().map(set).collect();
                changes.extend(deleted.into_iter().map(delete));
                self.admin.alter_configs(resource, &name, &changes).map_err(of_future)?;
            }
            None => self.alter_user(&kind, added, deleted)?,
        }
        self.console.line(&match name.is_empty() {
            false => format!("Completed updating config for {} {name}.", singular(&kind)),
            true => format!("Completed updating default config for {kind} in the cluster."),
        });
        Ok(())
    }

    fn alter_user(
        &mut self,
        kind: &str,
        added: Vec<(String, String)>,
        deleted: Vec<String>,
    ) -> Result<(), Stop> {
        let keys = || added.iter().map(|(key, _)| key).chain(&deleted);
        let is_quota = |key: &&String| QUOTAS.contains(&key.as_str());
        let is_scram = |key: &&String| ScramMechanism::by_name(key).is_some();
        let scram_allowed = kind == "users" && self.options.types.len() == 1;
        let unexpected: Vec<_> = keys()
            .filter(|key| !(is_quota(key) || scram_allowed && is_scram(key)))
            .cloned()
            .collect();
        if !unexpected.is_empty() {
            let what = match kind {
                "ips" => "Only connection quota configs",
                "users" if scram_allowed => "Only quota and SCRAM credential configs",
                _ => "Only quota configs",
            };
            return Err(Failure::argument(format!(
                "{what} can be added for '{kind}' using --bootstrap-server. Unexpected config \
                 names: {}",
                unexpected.join(",")
            ))
            .into());
        }
        let (quotas, scram) = (keys().any(|key| is_quota(&key)), keys().any(|key| is_scram(&key)));
        if scram && self.options.names.iter().any(String::is_empty) {
            return Err(Failure::argument(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM \
                 Credentials using --bootstrap-server.",
            )
            .into());
        }
        if scram && quotas {
            return Err(Failure::argument(format!(
                "Cannot alter both quota and SCRAM credential configs simultaneously for '{kind}' \
                 using --bootstrap-server."
            ))
            .into());
        }
        if scram { self.alter_scram(&added, &deleted) } else { self.alter_quotas(added, deleted) }
    }

    fn alter_scram(&mut self, added: &[(String, String)], deleted: &[String]) -> Result<(), Stop> {
        let mut set = Vec::new();
        for (name, text) in added {
            let Some(mechanism) = ScramMechanism::by_name(name) else { continue };
            let (iterations, password) = credential(name, text)?;
            set.push((mechanism, iterations, password));
        }
        let delete: Vec<_> =
            deleted.iter().filter_map(|name| ScramMechanism::by_name(name)).collect();
        let (_, user) = self.first();
        Ok(self.admin.alter_scram(&user, &set, &delete).map_err(of_future)?)
    }

    fn alter_quotas(
        &mut self,
        added: Vec<(String, String)>,
        deleted: Vec<String>,
    ) -> Result<(), Stop> {
        let there = self.quotas()?;
        let known = |key: &String| {
            there.first().is_some_and(|(_, values)| values.iter().any(|(name, _)| name == key))
        };
        let unknown: Vec<_> = deleted.iter().filter(|key| !known(key)).cloned().collect();
        if !unknown.is_empty() {
            let message = format!("Invalid config(s): {}", unknown.join(","));
            return Err(Failure::new(INVALID_CONFIG, message).into());
        }
        let number = |(key, text): (String, String)| match text.parse() {
            Ok(value) => Ok((key, Some(value))),
            Err(_) => Err(Failure::argument(format!(
                "Cannot parse quota configuration value for {key}: {text}"
            ))),
        };
        let mut changes: Vec<_> = added.into_iter().map(number).collect::<Result<_, _>>()?;
        changes.extend(deleted.into_iter().map(|key| (key, None)));
        let entity: QuotaEntity = self
            .options
            .types
            .iter()
            .zip(&self.options.names)
            .map(|(kind, name)| {
                (quota_kind(kind).to_owned(), Some(name.clone()).filter(|name| !name.is_empty()))
            })
            .collect();
        Ok(self.admin.alter_quotas(&entity, &changes).map_err(of_future)?)
    }

    /// The quotas of the entities that are meant.
    fn quotas(&mut self) -> Result<Vec<(QuotaEntity, Vec<(String, f64)>)>, Stop> {
        if self.options.names.len() > self.options.types.len() {
            return Err(Failure::argument("More entity names specified than entity types").into());
        }
        let matches: Vec<_> = self
            .options
            .types
            .iter()
            .enumerate()
            .map(|(at, kind)| {
                let wanted = match self.options.names.get(at) {
                    None => QuotaMatch::Any,
                    Some(name) if name.is_empty() => QuotaMatch::Default,
                    Some(name) => QuotaMatch::Name(name.clone()),
                };
                (quota_kind(kind).to_owned(), wanted)
            })
            .collect();
        Ok(self.admin.describe_quotas(&matches).map_err(of_future)?)
    }

    fn describe(&mut self) -> Result<(), Stop> {
        let (kind, _) = self.first();
        if resource(&kind, "").is_none() {
            return self.describe_users();
        }
        let all = self.options.parsed.has("all");
        let names = match self.options.names.first() {
            Some(name) => vec![name.clone()],
            None if kind == "topics" => {
                self.admin.list_topics()?.into_iter().map(|topic| topic.name).collect()
            }
            None if kind == "client-metrics" => Vec::new(),
            None => {
                let brokers = self.admin.brokers()?;
                let ids = brokers.into_iter().map(|broker| broker.id.to_string());
                ids.chain([String::new()]).collect()
            }
        };
        for name in names {
            let how = if all { "All" } else { "Dynamic" };
            self.console.line(&match name.is_empty() {
                true => format!("Default configs for {kind} in the cluster are:"),
                false => format!("{how} configs for {} {name} are:", singular(&kind)),
            });
            for entry in self.entries(&kind, &name, all)? {
                self.console.line(&entry_line(&entry));
            }
        }
        Ok(())
    }

    fn describe_users(&mut self) -> Result<(), Stop> {
        for (entity, values) in self.quotas()? {
            self.console.line(&quota_line(&entity, values));
        }
        let (types, names) = (&self.options.types, &self.options.names);
        if types.iter().any(|kind| kind != "users") || names.iter().any(String::is_empty) {
            return Ok(());
        }
        for (user, credentials) in self.admin.describe_scram(names).map_err(of_future)? {
            self.console.line(&match credentials {
                Ok(infos) => {
                    let infos: Vec<_> = infos
                        .iter()
                        .map(|(mechanism, rounds)| format!("{mechanism}=iterations={rounds}"))
                        .collect();
                    format!(
                        "SCRAM credential configs for user-principal '{user}' are {}",
                        infos.join(", ")
                    )
                }
                Err(error) => format!(
                    "Error retrieving SCRAM credential configs for user-principal '{user}': {}: \
                     {error}",
                    error.known().class
                ),
            });
        }
        Ok(())
    }
}

fn quota_kind(kind: &str) -> &str {
    match kind {
        "users" => "user",
        "clients" => "client-id",
        _ => "ip",
    }
}

/// The iterations and the password of `iterations=8192,password=secret`.
fn credential(mechanism: &str, text: &str) -> Result<(i32, String), Failure> {
    let invalid = || Failure::argument(format!("Invalid credential property {mechanism}={text}"));
    let (iterations, rest) = match text.strip_prefix("iterations=") {
        Some(rest) => {
            let (number, rest) = rest.split_once(',').ok_or_else(invalid)?;
            (number.parse().map_err(|_| invalid())?, rest)
        }
        None => (DEFAULT_ITERATIONS, text),
    };
    let iterations = if iterations == -1 { DEFAULT_ITERATIONS } else { iterations };
    let password = rest.strip_prefix("password=").ok_or_else(invalid)?;
    if iterations < DEFAULT_ITERATIONS {
        return Err(Failure::argument(format!(
            "Iterations {iterations} is less than the minimum {DEFAULT_ITERATIONS} required for \
             {mechanism}"
        )));
    }
    Ok((iterations, password.to_owned()))
}

/// The line of a setting.
fn entry_line(entry: &ConfigEntry) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<_> = entry
        .synonyms
        .iter()
        .map(|(name, value, source)| {
            format!("{}:{name}={}", ConfigEntry::source_name(*source), shown(value))
        })
        .collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        shown(&entry.value),
        entry.sensitive,
        synonyms.join(", ")
    )
}

/// The line of quotas.
fn quota_line(entity: &QuotaEntity, mut values: Vec<(String, f64)>) -> String {
    let part = |kind: &str, shown: &str| {
        let (_, name) = entity.iter().find(|(it, _)| it == kind)?;
        Some(match name {
            Some(name) => format!("{shown} '{name}'"),
            None => format!("the default {shown}"),
        })
    };
    let parts = [part("user", "user-principal"), part("client-id", "client-id"), part("ip", "ip")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    let values: Vec<_> = values.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    format!("Quota configs for {} are {}", parts.join(", "), values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_synonyms() {
        let entry = ConfigEntry {
            name: "max.message.bytes".to_owned(),
            value: Some("2000".to_owned()),
            source: DYNAMIC_TOPIC,
            synonyms: vec![
                ("max.message.bytes".to_owned(), Some("2000".to_owned()), 1),
                ("message.max.bytes".to_owned(), Some("1048588".to_owned()), 5),
            ],
            ..ConfigEntry::default()
        };
        assert_eq!(
            entry_line(&entry),
            "  max.message.bytes=2000 sensitive=false \
             synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000, \
             DEFAULT_CONFIG:message.max.bytes=1048588}"
        );
    }

    #[test]
    fn quotas_name_their_entity() {
        let both = vec![("client-id".to_owned(), None), ("user".to_owned(), Some("u".to_owned()))];
        let values = vec![("request_percentage".to_owned(), 50.0)];
        assert_eq!(
            quota_line(&both, values),
            "Quota configs for user-principal 'u', the default client-id are request_percentage=50.0"
        );
    }

    #[test]
    fn credentials_have_iterations_and_a_password() {
        assert_eq!(credential("M", "password=a,b").unwrap(), (4096, "a,b".to_owned()));
        assert_eq!(credential("M", "iterations=8192,password=s").unwrap().0, 8192);
        let message = |text: &str| credential("M", text).unwrap_err().message;
        assert_eq!(message("x"), "Invalid credential property M=x");
        let low = "Iterations 1 is less than the minimum 4096 required for M";
        assert_eq!(message("iterations=1,password=s"), low);
    }
}
