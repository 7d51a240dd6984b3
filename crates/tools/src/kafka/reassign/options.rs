//! The command line of `kafka-reassign-partitions.sh`.

use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, require};
use crate::kafka::stop::{Failure, Stop, help_or_version};

/// All options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::flag("verify", "Tell how the moves of a file are getting on; when all are done, end throttling."),
    Opt::flag("generate", "Propose brokers for the partitions of topics. Nothing is moved."),
    Opt::flag("execute", "Begin the moves of a file."),
    Opt::flag("cancel", "Call the moves of a file off."),
    Opt::flag("list", "List the partitions that are being moved."),
    Opt::text(
        "bootstrap-server",
        "Server(s) to use for bootstrapping",
        "REQUIRED: The broker(s) to ask first.",
    ),
    Opt::text(
        "zookeeper",
        "urls",
        "In place of --bootstrap-server, as before Kafka 3.0: the ensemble in which the brokers are \
         registered, host:port with an optional chroot.",
    ),
    Opt::text(
        "command-config",
        "Admin client property file",
        "A file with settings of the client.",
    ),
    Opt::text(
        "reassignment-json-file",
        "manual assignment json file path",
        "A file that says which brokers are to have which partitions: {\"partitions\": [{\"topic\": \
         \"foo\", \"partition\": 1, \"replicas\": [1,2,3]}], \"version\": 1}",
    ),
    Opt::text(
        "topics-to-move-json-file",
        "topics to reassign json file path",
        "For --generate, a file with topics: {\"topics\": [{\"topic\": \"foo\"}], \"version\": 1}",
    ),
    Opt::text("broker-list", "brokerlist", "For --generate, the brokers to use, such as \"0,1,2\"."),
    Opt::flag("disable-rack-aware", "Propose brokers without regard to racks."),
    Opt::long(
        "throttle",
        "throttle",
        "Most bytes a second that moves between brokers may take. With --additional, it changes that \
         of moves under way.",
    )
    .or("-1"),
    Opt::long(
        "replica-alter-log-dirs-throttle",
        "replicaAlterLogDirsThrottle",
        "Most bytes a second that moves between directories of a broker may take.",
    )
    .or("-1"),
    Opt::long(
        "timeout",
        "timeout",
        "Most milliseconds to wait for moves between directories to begin.",
    )
    .or("10000"),
    Opt::flag("additional", "Begin the moves though others are under way."),
    Opt::flag("preserve-throttles", "Do not end throttling."),
];

const PURPOSE: &str = "This tool helps to move topic partitions between replicas.";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell how moves are getting on.
    Verify {
        /// The file with the moves.
        moves: String,
        /// Do not end throttling.
        preserve_throttles: bool,
    },
    /// Propose moves.
    Generate {
        /// The file with the topics.
        topics: String,
        /// Brokers to use.
        brokers: String,
        /// With regard to racks.
        rack_aware: bool,
    },
    /// Begin moves.
    Execute {
        /// The file with the moves.
        moves: String,
        /// Though others are under way.
        additional: bool,
        /// Bytes a second; negative for no throttling.
        throttle: i64,
        /// Bytes a second between directories; negative for no throttling.
        log_dir_throttle: i64,
    },
    /// Call moves off.
    Cancel {
        /// The file with the moves.
        moves: String,
        /// Do not end throttling.
        preserve_throttles: bool,
    },
    /// List moves.
    List,
}

/// An action with the options that it needs, and others that it takes.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const MOVES: &[&str] = &["reassignment-json-file"];
const ACTIONS: [Row; 5] = [
    ("generate", &["topics-to-move-json-file", "broker-list"], &["disable-rack-aware"]),
    ("execute", MOVES, &["additional", "throttle", "replica-alter-log-dirs-throttle", "timeout"]),
    ("verify", MOVES, &["preserve-throttles"]),
    ("cancel", MOVES, &["preserve-throttles", "timeout"]),
    ("list", &[], &[]),
];
/// What every action takes.
const COMMON: [&str; 3] = ["bootstrap-server", "zookeeper", "command-config"];

/// Reads the command line.
///
/// # Errors
/// If it is refused or asks for help.
pub fn read(args: &[String]) -> Result<(Action, Parsed), Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    let given: Vec<&Row> = ACTIONS.iter().filter(|(name, ..)| parsed.has(name)).collect();
    let [(name, needed, taken)] = given.as_slice() else {
        let all: Vec<_> = ACTIONS.iter().map(|(name, ..)| format!("--{name}")).collect();
        let all = all.join(", ");
        return Err(Stop::Usage(format!("Command must include exactly one action: {all}")));
    };
    match (parsed.has("bootstrap-server"), parsed.has("zookeeper")) {
        (false, false) => return Err(Stop::Usage("Please specify --bootstrap-server".to_owned())),
        (true, true) => {
            let text = "Only one of --bootstrap-server or --zookeeper must be specified";
            return Err(Failure::argument(text).into());
        }
        _ => {}
    }
    require(&parsed, needed).map_err(Stop::Usage)?;
    let takes = |option: &str| {
        option == *name || [needed, taken, &COMMON[..]].iter().any(|some| some.contains(&option))
    };
    if let Some((other, _)) = parsed.occurrences().find(|(option, _)| !takes(option)) {
        let text = format!("Option \"[{other}]\" can't be used with action \"[{name}]\"");
        return Err(Stop::Usage(text));
    }
    let text = |name: &str| -> Result<String, Stop> {
        Ok(parsed.value(name)?.unwrap_or_default().to_owned())
    };
    let moves = || text("reassignment-json-file");
    let number = |name: &str| -> Result<i64, Stop> { Ok(parsed.number(name)?.unwrap_or(-1)) };
    let preserve_throttles = parsed.has("preserve-throttles");
    let action = match *name {
        "generate" => Action::Generate {
            topics: text("topics-to-move-json-file")?,
            brokers: text("broker-list")?,
            rack_aware: !parsed.has("disable-rack-aware"),
        },
        "execute" => Action::Execute {
            moves: moves()?,
            additional: parsed.has("additional"),
            throttle: number("throttle")?,
            log_dir_throttle: number("replica-alter-log-dirs-throttle")?,
        },
        "verify" => Action::Verify { moves: moves()?, preserve_throttles },
        "cancel" => Action::Cancel { moves: moves()?, preserve_throttles },
        _ => Action::List,
    };
    Ok((action, parsed))
}
