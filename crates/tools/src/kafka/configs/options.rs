//! The command line of `kafka-configs.sh`.

use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, refuse_together};
use crate::kafka::stop::{Failure, Stop, help_or_version};

/// The options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("bootstrap-server", "server to connect to", "The broker(s) to ask first."),
    Opt::text(
        "command-config",
        "command config property file",
        "A file with settings of the client.",
    ),
    Opt::flag("alter", "Alter the configuration for the entity."),
    Opt::flag("describe", "List configs for the given entity."),
    Opt::flag("all", "List all settings, not only those that were set."),
    Opt::text(
        "entity-type",
        "",
        "topics, clients, users, brokers, broker-loggers, ips or client-metrics",
    ),
    Opt::text("entity-name", "", "The entity's name."),
    Opt::flag("entity-default", "The default of clients, users, brokers or ips."),
    Opt::text("add-config", "", "Settings to add, 'k1=v1,k2=[v1,v2,v2],k3=v3'."),
    Opt::text("add-config-file", "", "A file with settings to add."),
    Opt::text("delete-config", "", "Settings to remove, 'k1,k2'.").list(','),
    Opt::flag("force", "Suppress console prompts"),
    Opt::text("topic", "", "The topic's name."),
    Opt::text("client", "", "The client's ID."),
    Opt::flag("client-defaults", "The defaults of all clients."),
    Opt::text("user", "", "The user's principal name."),
    Opt::flag("user-defaults", "The defaults of all users."),
    Opt::text("broker", "", "The broker's ID."),
    Opt::flag("broker-defaults", "The defaults of all brokers."),
    Opt::text("broker-logger", "", "The broker's ID for its logger config."),
    Opt::flag("ip-defaults", "The defaults of all IPs."),
    Opt::text("ip", "", "The IP address."),
];

const PURPOSE: &str = "This tool helps to manipulate and describe entity config for a topic, client, \
                       user, broker, ip or client-metrics";
const TYPES: [&str; 7] =
    ["topics", "clients", "users", "brokers", "ips", "broker-loggers", "client-metrics"];
const FLAGS: [(&str, &str); 6] = [
    ("topic", "topics"),
    ("client", "clients"),
    ("user", "users"),
    ("broker", "brokers"),
    ("broker-logger", "broker-loggers"),
    ("ip", "ips"),
];
const DEFAULT_FLAGS: [(&str, &str); 4] = [
    ("client-defaults", "clients"),
    ("user-defaults", "users"),
    ("broker-defaults", "brokers"),
    ("ip-defaults", "ips"),
];

/// The command line, checked.
#[derive(Clone, Debug)]
pub struct ConfigOptions {
    /// What was given.
    pub parsed: Parsed,
    /// The kinds of entities.
    pub types: Vec<String>,
    /// Their names, empty for a default; there may be fewer.
    pub names: Vec<String>,
}

impl ConfigOptions {
    /// Reads the command line.
    ///
    /// # Errors
    /// If it is refused or asks for help.
    pub fn read(args: &[String]) -> Result<Self, Stop> {
        let parsed = parse(ALL, false, args)?;
        help_or_version(args, &parsed, PURPOSE)?;
        if parsed.has("alter") == parsed.has("describe") {
            return Err(Stop::Usage(
                "Command must include exactly one action: --describe, --alter".to_owned(),
            ));
        }
        refuse_together(&parsed, "describe", &["add-config", "delete-config"])
            .map_err(Stop::Usage)?;
        let flags = FLAGS.iter().chain(&DEFAULT_FLAGS).filter(|(flag, _)| parsed.has(flag));
        let own = parsed.values("entity-type").into_iter().map(str::to_owned);
        let types: Vec<_> = own.chain(flags.map(|(_, kind)| (*kind).to_owned())).collect();
        let mut names: Vec<_> = parsed
            .occurrences()
            .filter_map(|(option, value)| match option {
                "entity-name" => Some(value.unwrap_or_default().to_owned()),
                "entity-default" => Some(String::new()),
                _ => None,
            })
            .collect();
        for (flag, _) in FLAGS {
            names.extend(parsed.given(flag)?.map(str::to_owned));
        }
        names.extend(DEFAULT_FLAGS.iter().filter(|(it, _)| parsed.has(it)).map(|_| String::new()));
        let options = Self { parsed, types, names };
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), Failure> {
        let refuse = |message: String| Err(Failure::argument(message));
        let (parsed, types) = (&self.parsed, &self.types);
        if types.len() == 2 && types[0] == types[1] {
            return refuse(format!("Duplicate entity type(s) specified: {}", types[0]));
        }
        if let Some(unknown) = types.iter().find(|kind| !TYPES.contains(&kind.as_str())) {
            return refuse(format!(
                "Invalid entity type {unknown}, the entity type must be one of {} with a \
                 --bootstrap-server or --bootstrap-controller argument",
                TYPES.join(", ")
            ));
        }
        let has_type = |kind: &str| types.iter().any(|it| it == kind);
        if types.is_empty() {
            return refuse("At least one entity type must be specified".to_owned());
        }
        if types.len() > 1 && !(types.len() == 2 && has_type("users") && has_type("clients")) {
            return refuse(
                "Only 'users' and 'clients' entity types may be specified together".to_owned(),
            );
        }
        let general = ["entity-type", "entity-name", "entity-default"];
        let flags = FLAGS.iter().chain(&DEFAULT_FLAGS).any(|(flag, _)| parsed.has(flag));
        if flags && general.iter().any(|option| parsed.has(option)) {
            return refuse(
                "--entity-{type,name,default} should not be used in conjunction with specific \
                 entity flags"
                    .to_owned(),
            );
        }
        if !parsed.has("bootstrap-server") {
            return refuse(
                "One of the required --bootstrap-server, --boostrap-controller, or --zookeeper \
                 arguments must be specified"
                    .to_owned(),
            );
        }
        let named = self.names.iter().any(|name| !name.is_empty());
        let default = self.names.iter().any(String::is_empty);
        if has_type("brokers") || has_type("broker-loggers") {
            let wrong = self.names.iter().find(|it| !it.is_empty() && it.parse::<i32>().is_err());
            if let Some(name) = wrong {
                return refuse(format!(
                    "The entity name for {} must be a valid integer broker id, but it is: {name}",
                    types[0]
                ));
            }
        }
        let all = types.join(",");
        if parsed.has("describe") && has_type("broker-loggers") && !named {
            return refuse(format!("an entity name must be specified with --describe of {all}"));
        }
        if !parsed.has("alter") {
            return Ok(());
        }
        if ["users", "clients", "brokers", "ips"].iter().any(|kind| has_type(kind)) {
            if !named && !default {
                return refuse(
                    "an entity-name or default entity must be specified with --alter of users, \
                     clients, brokers or ips"
                        .to_owned(),
                );
            }
        } else if !named {
            return refuse(format!("an entity name must be specified with --alter of {all}"));
        }
        if parsed.has("add-config") && parsed.has("add-config-file") {
            return refuse(
                "Only one of --add-config or --add-config-file must be specified".to_owned(),
            );
        }
        if !["add-config", "add-config-file", "delete-config"].iter().any(|it| parsed.has(it)) {
            return refuse(
                "At least one of --add-config, --add-config-file, or --delete-config must be \
                 specified with --alter"
                    .to_owned(),
            );
        }
        if types.len() != self.names.len() {
            return refuse("An entity name must be specified for every entity type".to_owned());
        }
        Ok(())
    }

    /// The settings to be added.
    ///
    /// # Errors
    /// If one is not `key=value`, or the file cannot be read.
    pub fn added(&self) -> Result<Vec<(String, String)>, Stop> {
        let mut added = Vec::new();
        if let Some(path) = self.parsed.given("add-config-file")? {
            let file = crate::kafka::read_properties(path)?;
            added.extend(file.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        if let Some(text) = self.parsed.given("add-config")? {
            added.extend(pairs(text)?);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
        match added.iter().find(|(key, _)| !key.chars().all(valid)) {
            Some((key, _)) => {
                Err(Failure::argument(format!("Invalid character found for config key: {key}"))
                    .into())
            }
            None => Ok(added),
        }
    }

    /// The settings to be removed.
    pub fn deleted(&self) -> Vec<String> {
        let deleted = self.parsed.values("delete-config").into_iter();
        deleted.map(|key| key.trim().to_owned()).collect()
    }
}

/// `k1=v1,k2=[v1,v2]`: commas and equals signs in brackets belong to the value.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut depth = 0;
    let outside = |c: char, depth: &mut i32, wanted: char| {
        match c {
            '[' => *depth += 1,
            ']' => *depth -= 1,
            _ => {}
        }
        c == wanted && *depth <= 0
    };
    let parts: Vec<_> = text.split(|c| outside(c, &mut depth, ',')).collect();
    let pair = |part: &str| {
        let mut depth = 0;
        let sides: Vec<_> = part.split(|c| outside(c, &mut depth, '=')).collect();
        match sides.as_slice() {
            [key, value] => {
                let value = value.replace(['[', ']'], "");
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(Failure::argument(
                "requirement failed: Invalid entity config: all configs to be added must be in the \
                 format \"key=val\".",
            )),
        }
    };
    parts.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_hold_values_together() {
        let read = pairs("a=1,b=[x,y=z],c=").unwrap();
        let read: Vec<_> = read.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        assert_eq!(read, ["a:1", "b:x,y=z", "c:"]);
        assert!(pairs("a").is_err() && pairs("a=b=c").is_err());
    }

    #[test]
    fn entities_are_named_in_the_order_of_the_command_line() {
        let read = |line: &str| {
            let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
            ConfigOptions::read(&args)
        };
        let both = read(
            "--bootstrap-server h:1 --describe --entity-type users --entity-default --entity-type \
             clients --entity-name c",
        );
        let both = both.unwrap();
        assert_eq!(
            (both.types, both.names),
            (vec!["users".to_owned(), "clients".to_owned()], vec![String::new(), "c".to_owned()])
        );
        let message = |line: &str| match read(line) {
            Err(Stop::Failure(failure)) => failure.message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            message("--bootstrap-server h:1 --alter --topic a"),
            "At least one of --add-config, --add-config-file, or --delete-config must be specified \
             with --alter"
        );
        assert_eq!(
            message("--bootstrap-server h:1 --describe"),
            "At least one entity type must be specified"
        );
    }
}
