//! `kafka-broker-api-versions.sh`: which requests brokers know in which versions.

use polyport_kafka_codec::ApiKey;

use super::client::admin::Admin;
use super::client::{ClientError, To};
use super::options::{HELP, Opt, VERSION, parse, require};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text(
        "bootstrap-server",
        "server(s) to use for bootstrapping",
        "REQUIRED: The broker(s) to ask first.",
    ),
    Opt::text(
        "command-config",
        "command config property file",
        "A file with settings of the client.",
    ),
];

const PURPOSE: &str = "This tool helps to retrieve broker version information.";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let result = run(&args[1.min(args.len())..], &console);
    exit_code(result, &console, ALL, |failure| {
        console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
        1
    })
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let parsed = parse(ALL, false, args).map_err(|error| Stop::Usage(error.to_string()))?;
    help_or_version(args, &parsed, PURPOSE)?;
    require(&parsed, &["bootstrap-server"]).map_err(Stop::Usage)?;
    let mut properties = super::command_config(&parsed, "command-config")?;
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    for broker in admin.brokers()? {
        let deadline = std::time::Instant::now() + admin.client.config.request_timeout;
        match admin.client.connection(&To::Node(broker.id), "apiVersions", deadline) {
            Ok(connection) => {
                let ranges = connection.ranges();
                console.line(&format!("{broker} -> (\n{}\n)", versions(&ranges)));
            }
            Err(error) => console.line(&format!("{broker} -> ERROR: {}", shown(&error))),
        }
    }
    Ok(())
}

fn shown(error: &ClientError) -> String {
    error.exception()
}

/// The lines of a broker: APIs by their keys, those that this client does not know without a name.
fn versions(ranges: &[(i16, i16, i16)]) -> String {
    let range = |first: i16, last: i16| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    };
    let line = |(key, first, last): &(i16, i16, i16)| match ApiKey::from_code(*key) {
        Some(api) => {
            let info = api.info();
            let usable = (*last).min(info.last_version);
            let use_of = match usable >= (*first).max(info.first_version) {
                true => format!("usable: {usable}"),
                false => "unusable".to_owned(),
            };
            format!("\t{}({key}): {} [{use_of}]", api.name(), range(*first, *last))
        }
        None => format!("\tUNKNOWN({key}): {}", range(*first, *last)),
    };
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    ranges.iter().map(line).collect::<Vec<_>>().join(",\n")
}

#[cfg(test)]
mod tests {
    use super::versions;

    #[test]
    fn apis_are_listed_with_the_version_in_use() {
        assert_eq!(
            versions(&[(1, 0, 17), (0, 0, 11), (42, 2, 2), (3, 90, 91), (999, 0, 1)]),
            "\tProduce(0): 0 to 11 [usable: 11],\n\
             \tFetch(1): 0 to 17 [usable: 17],\n\
             \tMetadata(3): 90 to 91 [unusable],\n\
             \tDeleteGroups(42): 2 [usable: 2],\n\
             \tUNKNOWN(999): 0 to 1"
        );
    }
}
