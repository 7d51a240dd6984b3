//! The command line of `kafka-consumer-groups.sh`.

use crate::kafka::options::{HELP, Opt, Parsed, VERSION, parse, refuse_together, require};
use crate::kafka::stop::{Failure, Stop, help_or_version};
use crate::zk_cli::Console;

/// The options.
pub const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("bootstrap-server", "server to connect to", "REQUIRED: The broker(s) to ask first."),
    Opt::text("group", "consumer group", "The group that is meant; may be given several times."),
    Opt::text(
        "topic",
        "topic",
        "The topic whose offsets are reset or deleted; topic:0,1,2 for some of its partitions.",
    ),
    Opt::flag("all-topics", "Reset the offsets of all topics that the group has offsets of."),
    Opt::flag("list", "List all consumer groups."),
    Opt::flag(
        "describe",
        "Describe groups: how far they are in their partitions, and how far behind.",
    ),
    Opt::flag("all-groups", "Apply to all consumer groups."),
    Opt::flag("delete", "Delete groups with all that is known of them."),
    Opt::long("timeout", "timeout (ms)", "How long a request may take.").or("5000"),
    Opt::text(
        "command-config",
        "command config property file",
        "A file with settings of the client.",
    ),
    Opt::flag(
        "reset-offsets",
        "Reset offsets of groups without members: plan it with --dry-run, do it with --execute, print \
         it as CSV with --export. Where to: --to-datetime, --by-duration, --to-earliest, --to-latest, \
         --shift-by, --from-file, --to-current, --to-offset.",
    ),
    Opt::flag("delete-offsets", "Delete offsets of a group."),
    Opt::flag("dry-run", "Only show what a reset would do."),
    Opt::flag("execute", "Do the reset."),
    Opt::flag("export", "Print the reset as CSV."),
    Opt::long("to-offset", "offset", "Reset to this offset."),
    Opt::text("from-file", "path to CSV file", "Reset to the offsets in a CSV file."),
    Opt::text("to-datetime", "datetime", "Reset to a moment: 'YYYY-MM-DDTHH:mm:SS.sss'"),
    Opt::text("by-duration", "duration", "Reset to a time before now: 'PnDTnHnMnS'"),
    Opt::flag("to-earliest", "Reset to the first offsets."),
    Opt::flag("to-latest", "Reset to the ends."),
    Opt::flag("to-current", "Reset to where the group is."),
    Opt::long("shift-by", "number-of-offsets", "Reset by so many offsets, forward or back."),
    Opt::flag("members", "Describe the members."),
    Opt::flag("verbose", "Describe more: the partitions of each member."),
    Opt::flag("offsets", "Describe the offsets, as without any of these options."),
    Opt::text(
        "state",
        "",
        "Describe the state, or list the states, or only groups in some states.",
    )
    .optional_value(),
    Opt::text("type", "", "List the types, or only groups of some types.").optional_value(),
];

const PURPOSE: &str = "This tool helps to list all consumer groups, describe a consumer group, delete \
                       consumer group info, or reset consumer group offsets.";
const ACTIONS: [&str; 5] = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];
/// In the order in which Kafka's tool names them.
const GROUP_LEVEL: &str = "[reset-offsets], [describe], [delete], [list]";
const SELECTION: &str = "[all-groups], [group]";
/// Where to reset to, in the order in which Kafka's tool names them.
pub const SCENARIOS: [&str; 8] = [
    "to-offset",
    "to-current",
    "to-datetime",
    "from-file",
    "by-duration",
    "to-earliest",
    "to-latest",
    "shift-by",
];
/// Options that exist beside some others only.
const AVAILABLE: [(&str, &[&str]); 5] = [
    ("members", &["describe"]),
    ("verbose", &["describe"]),
    ("offsets", &["describe"]),
    ("state", &["describe", "list"]),
    ("type", &["list"]),
];

/// Reads the command line and checks what goes with what.
///
/// # Errors
/// If it is refused or asks for help.
pub fn read(args: &[String], console: &Console) -> Result<Parsed, Stop> {
    let parsed = parse(ALL, false, args)?;
    let unavailable: Vec<_> = AVAILABLE
        .iter()
        .filter(|(name, with)| parsed.has(name) && !with.iter().any(|it| parsed.has(it)))
        .map(|(name, _)| *name)
        .collect();
    if !unavailable.is_empty() && !parsed.has("help") && !parsed.has("version") {
        return Err(Failure::new(
            "joptsimple.UnavailableOptionException",
            format!(
                "Option(s) [{}] are unavailable given other options on the command line",
                unavailable.join(", ")
            ),
        )
        .into());
    }
    help_or_version(args, &parsed, PURPOSE)?;
    check(&parsed, console).map_err(Stop::Usage)?;
    if ACTIONS.iter().filter(|name| parsed.has(name)).count() != 1 {
        return Err(Stop::Usage(
            "Command must include exactly one action: --list, --describe, --delete, \
             --reset-offsets, --delete-offsets"
                .to_owned(),
        ));
    }
    Ok(parsed)
}

fn check(parsed: &Parsed, console: &Console) -> Result<(), String> {
    require(parsed, &["bootstrap-server"])?;
    let selected = parsed.has("group") || parsed.has("all-groups");
    if parsed.has("describe") {
        if !selected {
            return Err(format!("Option [describe] takes one of these options: {GROUP_LEVEL}"));
        }
        if ["members", "offsets", "state"].iter().filter(|it| parsed.has(it)).count() > 1 {
            return Err("Option [describe] takes at most one of these options: [members], \
                        [offsets], [state]"
                .to_owned());
        }
        if !parsed.values("state").is_empty() {
            return Err("Option [describe] does not take a value for [state]".to_owned());
        }
    }
    if parsed.has("delete") {
        if !selected {
            return Err(format!("Option [delete] takes one of these options: {SELECTION}"));
        }
        if parsed.has("topic") {
            return Err("The consumer does not support topic-specific offset deletion from a \
                        consumer group."
                .to_owned());
        }
    }
    if parsed.has("delete-offsets") && !(parsed.has("group") && parsed.has("topic")) {
        return Err(format!("Option [delete-offsets] takes the following options: {SELECTION}"));
    }
    if parsed.has("reset-offsets") {
        check_reset(parsed, selected, console)?;
    }
    refuse_together(parsed, "group", &["all-groups"])?;
    refuse_together(parsed, "group", &["list"])?;
    refuse_together(parsed, "topic", &["describe", "list"])
}

fn check_reset(parsed: &Parsed, selected: bool, console: &Console) -> Result<(), String> {
    if parsed.has("dry-run") && parsed.has("execute") {
        return Err("Option [reset-offsets] only accepts one of [execute] and [dry-run]".to_owned());
    }
    if !parsed.has("dry-run") && !parsed.has("execute") {
        console.error(
            "WARN: No action will be performed as the --execute option is missing.In a future major \
             release, the default behavior of this command will be to prompt the user before \
             executing the reset rather than doing a dry run. You should add the --dry-run option \
             explicitly if you are scripting this command and want to keep the current default \
             behavior without prompting.",
        );
    }
    if !selected {
        return Err(format!("Option [reset-offsets] takes one of these options: {SELECTION}"));
    }
    const CHECKED: [&str; 8] = [
        "to-offset",
        "to-datetime",
        "by-duration",
        "to-earliest",
        "to-latest",
        "to-current",
        "shift-by",
        "from-file",
    ];
    CHECKED.iter().try_for_each(|used| {
        let others: Vec<_> = SCENARIOS.into_iter().filter(|other| other != used).collect();
        refuse_together(parsed, used, &others)
    })
}
