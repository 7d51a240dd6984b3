//! `kafka-cluster.sh`: the cluster's id, and brokers that are gone for good.

use super::client::admin::Admin;
use super::log::{Level, log};
use super::options::{Opt, parse};
use super::stop::{Failure, Stop};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    Opt::text("bootstrap-server", "", ""),
    Opt::text("b", "", ""),
    Opt::text("config", "", ""),
    Opt::text("c", "", ""),
    Opt::integer("id", "", ""),
    Opt::integer("i", "", ""),
    Opt::flag("help", ""),
    Opt::flag("h", ""),
];
const USAGE: &str = "usage: kafka-cluster [-h] {cluster-id,unregister} ...";
const ADMIN_CLIENT: &str = "org.apache.kafka.clients.admin.KafkaAdminClient";
const UNSUPPORTED_VERSION: &str = "UnsupportedVersionException";

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    match run(&args[1.min(args.len())..], &console) {
        Ok(()) => 0,
        Err(Stop::Usage(message)) => {
            console.error(&message);
            1
        }
        Err(Stop::Failure(failure)) => {
            console.error(&failure.message);
            console.error(&format!("{}\n", failure.exception()));
            1
        }
        Err(Stop::Code(code)) => code,
        Err(Stop::Version) => 0,
    }
}

fn run(args: &[String], console: &Console) -> Result<(), Stop> {
    let Some((command, rest)) = args.split_first() else {
        let message = format!("{USAGE}\nkafka-cluster: error: too few arguments");
        return Err(Stop::Usage(message));
    };
    if command == "-h" || command == "--help" {
        console.line(USAGE);
        return Ok(());
    }
    if !["cluster-id", "unregister"].contains(&command.as_str()) {
        return Err(Stop::Usage(format!(
            "{USAGE}\nkafka-cluster: error:  invalid  choice:  '{command}'  (choose  from \
             'cluster-id',\n'unregister')"
        )));
    }
    let usage = |id: &str| format!("usage: kafka-cluster {command} [-h] [--config CONFIG]{id}");
    let usage = if command == "unregister" { usage(" [--id ID]") } else { usage("") };
    let parsed = parse(ALL, true, rest)
        .map_err(|error| Stop::Usage(format!("{usage}\nkafka-cluster: error: {error}")))?;
    if parsed.has("help") || parsed.has("h") {
        console.line(&usage);
        return Ok(());
    }
    let either = |long: &str, short: &str| -> Result<Option<String>, Stop> {
        Ok(parsed.value(long)?.or(parsed.value(short)?).map(str::to_owned))
    };
    let Some(servers) = either("bootstrap-server", "b")? else {
        return Err(Stop::Usage(format!(
            "{usage}\nkafka-cluster:  error:  one  of   the  arguments  --bootstrap-server/-b  \
             --\nbootstrap-controller/-C is required"
        )));
    };
    let mut properties = match either("config", "c")? {
        Some(path) => super::read_properties(&path)?,
        None => super::client::Properties::default(),
    };
    properties.set("bootstrap.servers", servers);
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    if command == "cluster-id" {
        console.line(&match admin.cluster_id()? {
            Some(id) => format!("Cluster ID: {id}"),
            None => "No cluster ID found. The Kafka version is probably too old.".to_owned(),
        });
        return Ok(());
    }
    let id = parsed.number::<i32>("id")?.or(parsed.number("i")?);
    unregister(&mut admin, id.unwrap_or_default(), console)
}

fn unregister(admin: &mut Admin<'_>, id: i32, console: &Console) -> Result<(), Stop> {
    match admin.unregister_broker(id) {
        Ok(()) => {
            console.line(&format!("Broker {id} is no longer registered."));
            Ok(())
        }
        Err(error) if error.known().class == UNSUPPORTED_VERSION => {
            console.line("The target cluster does not support the broker unregistration API.");
            Ok(())
        }
        Err(error) => {
            let message = format!(
                "{}Unregister broker request for broker ID {id} failed: {error}",
                admin.client.config.log_prefix
            );
            log(console, Level::Error, &message, ADMIN_CLIENT);
            let cause = error.exception();
            let class = "java.util.concurrent.ExecutionException";
            // What is told of it is its message, which is the cause.
            Err(Failure::new(class, cause.clone()).caused_by(cause).into())
        }
    }
}
