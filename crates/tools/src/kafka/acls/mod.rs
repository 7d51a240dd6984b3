//! `kafka-acls.sh`: who may do what.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use names::{
    entry_text, kind_name, operation, operation_name, operations_on, pattern, pattern_name,
    resource_text,
};

use super::client::admin::{AclEntry, AclResource, Admin};
use super::options::{HELP, Opt, Parsed, VERSION, parse, refuse_together};
use super::stop::{Failure, Stop, exit_code, help_or_version};
use crate::zk_cli::Console;

const ALL: &[Opt] = &[
    HELP,
    VERSION,
    Opt::text("bootstrap-server", "server to connect to", "The broker(s) to ask first."),
    Opt::text("command-config", "command-config", "A file with settings of the client."),
    Opt::text("topic", "topic", "A topic; '*' for all."),
    Opt::flag("cluster", "The cluster."),
    Opt::text("group", "group", "A consumer group; '*' for all."),
    Opt::text("transactional-id", "transactional-id", "A transactional id; '*' for all."),
    Opt::flag("idempotent", "With --producer: idempotent writes, too."),
    Opt::text("delegation-token", "delegation-token", "A delegation token; '*' for all."),
    Opt::text("user-principal", "user-principal", "A user, for delegation tokens; '*' for all."),
    Opt::text(
        "resource-pattern-type",
        "ANY|MATCH|LITERAL|PREFIXED",
        "How names are meant: literally or as prefixes; to list and to remove also 'any' of both, or \
         'match' for whatever concerns the name.",
    )
    .or("LITERAL"),
    Opt::flag("add", "Indicates you are trying to add ACLs."),
    Opt::flag("remove", "Indicates you are trying to remove ACLs."),
    Opt::flag("list", "List ACLs for the specified resource."),
    Opt::text("operation", "", "What is allowed or denied.").or("All"),
    Opt::text("allow-principal", "allow-principal", "Who is allowed to, User:name; User:'*' for all."),
    Opt::text("deny-principal", "deny-principal", "Who is not allowed to; goes before what is allowed."),
    Opt::text("principal", "principal", "With --list: only what concerns this principal.")
        .optional_value(),
    Opt::text("allow-host", "allow-host", "From where it is allowed; '*' if not said."),
    Opt::text("deny-host", "deny-host", "From where it is denied; '*' if not said."),
    Opt::flag("producer", "What a producer needs: WRITE, DESCRIBE and CREATE on topic."),
    Opt::flag("consumer", "What a consumer needs: READ, DESCRIBE on topic and READ on group."),
    Opt::flag("force", "Assume Yes to all queries and do not prompt."),
];

const PURPOSE: &str = "This tool helps to manage acls on kafka.";
const NO_RESOURCE: &str = "You must provide at least one resource: --topic <topic> or --cluster or \
                           --group <group> or --delegation-token <Delegation Token ID>";

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTIONAL_ID: i8 = 5;
const DELEGATION_TOKEN: i8 = 6;
const USER: i8 = 7;
const ANY: i8 = 1;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DESCRIBE: i8 = 8;
const IDEMPOTENT_WRITE: i8 = 12;
const ALL_OPERATIONS: i8 = 2;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const CLUSTER_NAME: &str = "kafka-cluster";

/// What is to be granted on what.
type Grants = BTreeMap<AclResource, BTreeSet<AclEntry>>;

/// Runs the tool; the first of `args` is its name. Gives the exit code.
pub fn main(args: Vec<String>) -> i32 {
    let console = Console::process();
    let mut answer = || {
        let mut line = String::new();
        // What cannot be read is no consent.
        let _ = std::io::stdin().read_line(&mut line);
        line
    };
    run(&args[1.min(args.len())..], &mut answer, &console)
}

fn run(args: &[String], answer: &mut dyn FnMut() -> String, console: &Console) -> i32 {
    let parsed = match read(args) {
        Ok(parsed) => parsed,
        Err(stop) => {
            return exit_code(Err(stop), console, ALL, |failure| {
                console.error(&format!("Exception in thread \"main\" {}", failure.exception()));
                1
            });
        }
    };
    exit_code(work(&parsed, answer, console), console, ALL, |failure| {
        console.line(&format!("Error while executing ACL command: {}", failure.message));
        console.line(&failure.exception());
        1
    })
}

fn read(args: &[String]) -> Result<Parsed, Stop> {
    let parsed = parse(ALL, false, args)?;
    help_or_version(args, &parsed, PURPOSE)?;
    let usage = |message: &str| Err(Stop::Usage(message.to_owned()));
    let has = |name: &str| parsed.has(name);
    if !has("bootstrap-server") {
        return usage("One of --bootstrap-server or --authorizer must be specified");
    }
    if ["add", "remove", "list"].iter().filter(|action| has(action)).count() != 1 {
        return usage("Command must include exactly one action: --list, --add, --remove. ");
    }
    let people = ["allow-host", "allow-principal", "deny-host", "deny-principal"];
    let refuse =
        |used: &str, invalid: &[&str]| refuse_together(&parsed, used, invalid).map_err(Stop::Usage);
    refuse("list", &["producer", "consumer"])?;
    refuse("list", &people)?;
    for role in ["producer", "consumer"] {
        refuse(role, &["operation", "deny-principal", "deny-host"])?;
    }
    if has("principal") && !has("list") {
        return usage("The --principal option is only available if --list is set");
    }
    if has("producer") && !has("topic") {
        return usage("With --producer you must specify a --topic");
    }
    if has("idempotent") && !has("producer") {
        return usage("The --idempotent option is only available if --producer is set");
    }
    let others = !has("producer") && (has("cluster") || has("transactional-id"));
    if has("consumer") && (!has("topic") || !has("group") || others) {
        return usage(
            "With --consumer you must specify a --topic and a --group and no --cluster or \
             --transactional-id option should be specified.",
        );
    }
    Ok(parsed)
}

fn work(
    parsed: &Parsed,
    answer: &mut dyn FnMut() -> String,
    console: &Console,
) -> Result<(), Stop> {
    let mut properties = super::command_config(parsed, "command-config")?;
    properties.set("bootstrap.servers", parsed.value("bootstrap-server")?.unwrap_or_default());
    let mut admin = Admin::new(properties, console)
        .map_err(|error| Failure::no_client("create new KafkaAdminClient", &error))?;
    if parsed.has("list") {
        return list(parsed, &mut admin, console);
    }
    if parsed.has("add") {
        let kind = pattern_type(parsed)?;
        if ![LITERAL, PREFIXED].contains(&kind) {
            return Err(Stop::Usage(format!(
                "A '--resource-pattern-type' value of '{}' is not valid when adding acls.",
                pattern_name(kind)
            )));
        }
        let grants = grants(parsed)?;
        if grants.values().any(BTreeSet::is_empty) {
            return Err(Stop::Usage(
                "You must specify one of: --allow-principal, --deny-principal when trying to add \
                 ACLs."
                    .to_owned(),
            ));
        }
        for (resource, entries) in grants {
            let shown = resource_text(&resource, "ResourcePattern");
            console.line(&format!("Adding ACLs for resource `{shown}`: \n {} \n", lines(&entries)));
            admin.create_acls(&resource, &entries.into_iter().collect::<Vec<_>>())?;
        }
        return Ok(());
    }
    for (resource, entries) in grants(parsed)? {
        let shown = resource_text(&resource, "ResourcePattern");
        let question = match entries.is_empty() {
            true => format!(
                "Are you sure you want to delete all ACLs for resource filter `{shown}`? (y/n)"
            ),
            false => format!(
                "Are you sure you want to remove ACLs: \n {} \n from resource filter `{shown}`? \
                 (y/n)",
                lines(&entries)
            ),
        };
        if !parsed.has("force") {
            console.line(&question);
            if !answer().trim_end_matches(['\n', '\r']).eq_ignore_ascii_case("y") {
                continue;
            }
        }
        admin.delete_acls(&resource, &entries.into_iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

fn lines<'a>(entries: impl IntoIterator<Item = &'a AclEntry>) -> String {
    let lines: Vec<_> =
        entries.into_iter().map(|entry| format!("\t{}", entry_text(entry))).collect();
    lines.join("\n")
}

fn list(parsed: &Parsed, admin: &mut Admin<'_>, console: &Console) -> Result<(), Stop> {
    let mut filters = resources(parsed)?;
    if filters.is_empty() {
        filters.push(AclResource { kind: ANY, name: None, pattern: ANY });
    }
    let principals = principals(parsed, "principal")?;
    let mut found: BTreeMap<AclResource, Vec<AclEntry>> = BTreeMap::new();
    for filter in &filters {
        for (resource, entries) in admin.describe_acls(filter)? {
            let all = found.entry(resource).or_default();
            all.extend(entries);
            all.sort();
            all.dedup();
        }
    }
    let print = |wanted: Option<&str>| {
        for (resource, entries) in &found {
            let entries: Vec<_> = entries
                .iter()
                .filter(|entry| wanted.is_none_or(|wanted| entry.principal == wanted))
                .collect();
            if entries.is_empty() && wanted.is_some() {
                continue;
            }
            let shown = resource_text(resource, "ResourcePattern");
            console.line(&format!(
                "Current ACLs for resource `{shown}`: \n {} \n",
                lines(entries.into_iter())
            ));
        }
    };
    if principals.is_empty() {
        print(None);
    }
    for principal in principals {
        console.line(&format!("ACLs for principal `{principal}`"));
        print(Some(&principal));
    }
    Ok(())
}

fn pattern_type(parsed: &Parsed) -> Result<i8, Stop> {
    let name = parsed.value("resource-pattern-type")?.unwrap_or("LITERAL");
    Ok(pattern(name).ok_or_else(|| {
        Failure::new(
            "joptsimple.OptionArgumentConversionException",
            format!("Cannot parse argument '{name}' of option resource-pattern-type"),
        )
    })?)
}

/// The resources that are named.
fn resources(parsed: &Parsed) -> Result<Vec<AclResource>, Stop> {
    let pattern = pattern_type(parsed)?;
    let mut resources = Vec::new();
    let named = [
        ("topic", TOPIC),
        ("group", GROUP),
        ("transactional-id", TRANSACTIONAL_ID),
        ("delegation-token", DELEGATION_TOKEN),
        ("user-principal", USER),
    ];
    for (option, kind) in named {
        for name in parsed.values(option) {
            resources.push(AclResource { kind, name: Some(name.trim().to_owned()), pattern });
        }
    }
    if pattern == LITERAL && (parsed.has("cluster") || parsed.has("idempotent")) {
        resources.push(cluster());
    }
    Ok(resources)
}

fn cluster() -> AclResource {
    AclResource { kind: CLUSTER, name: Some(CLUSTER_NAME.to_owned()), pattern: LITERAL }
}

/// What is granted on what, or taken back.
fn grants(parsed: &Parsed) -> Result<Grants, Stop> {
    let resources = resources(parsed)?;
    if resources.is_empty() {
        return Err(Stop::Usage(NO_RESOURCE.to_owned()));
    }
    let mut grants = Grants::new();
    let mut grant = |resource: AclResource, operations: &[i8]| -> Result<(), Stop> {
        let entries = entries(parsed, operations)?;
        grants.entry(resource).or_default().extend(entries);
        Ok(())
    };
    let of_kind = |kind: i8| resources.iter().filter(move |it| it.kind == kind).cloned();
    let roles = parsed.has("producer") || parsed.has("consumer");
    if !roles {
        let mut operations = Vec::new();
        for name in parsed.values("operation") {
            operations.push(operation(name.trim()).ok_or_else(|| {
                Failure::argument(format!("No operation with name '{name}' found"))
            })?);
        }
        for resource in &resources {
            grant(resource.clone(), &operations)?;
        }
    }
    if parsed.has("producer") {
        of_kind(TOPIC).try_for_each(|it| grant(it, &[WRITE, DESCRIBE, CREATE]))?;
        of_kind(TRANSACTIONAL_ID).try_for_each(|it| grant(it, &[WRITE, DESCRIBE]))?;
        if parsed.has("idempotent") {
            grant(cluster(), &[IDEMPOTENT_WRITE])?;
        }
    }
    if parsed.has("consumer") {
        of_kind(TOPIC).try_for_each(|it| grant(it, &[READ, DESCRIBE]))?;
        of_kind(GROUP).try_for_each(|it| grant(it, &[READ]))?;
    }
    for (resource, entries) in &grants {
        let valid = operations_on(resource.kind);
        let possible = |code: i8| code == ALL_OPERATIONS || valid.contains(&code);
        if !entries.iter().all(|entry| possible(entry.operation)) {
            let mut names: Vec<_> = valid.iter().map(|code| operation_name(*code)).collect();
            names.push(operation_name(ALL_OPERATIONS));
            return Err(Stop::Usage(format!(
                "ResourceType {} only supports operations {}",
                kind_name(resource.kind),
                names.join(", ")
            )));
        }
    }
    Ok(grants)
}

/// What the principals that are named may and may not do.
fn entries(parsed: &Parsed, operations: &[i8]) -> Result<Vec<AclEntry>, Stop> {
    let mut entries = Vec::new();
    let people = [("allow-principal", "allow-host", ALLOW), ("deny-principal", "deny-host", DENY)];
    for (principal_option, host_option, permission) in people {
        let hosts = match parsed.has(host_option) {
            true => parsed.values(host_option),
            false => vec!["*"],
        };
        for principal in principals(parsed, principal_option)? {
            for host in &hosts {
                entries.extend(operations.iter().map(|operation| AclEntry {
                    principal: principal.clone(),
                    host: host.trim().to_owned(),
                    operation: *operation,
                    permission,
                }));
            }
        }
    }
    Ok(entries)
}

fn principals(parsed: &Parsed, option: &str) -> Result<Vec<String>, Stop> {
    let principal = |text: &str| {
        let text = text.trim();
        match text.split_once(':') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(text.to_owned()),
            _ => Err(Failure::argument(format!(
                "expected a string in format principalType:principalName but got {text}"
            ))),
        }
    };
    let named: Result<Vec<_>, Failure> = parsed.values(option).into_iter().map(principal).collect();
    Ok(named?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Stop> {
        let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
        read(&args)
    }

    fn shown(line: &str) -> Vec<String> {
        let parsed = parsed(&format!("--bootstrap-server h:1 --add {line}")).unwrap();
        let text = |(resource, entries): (AclResource, BTreeSet<AclEntry>)| {
            format!("{} {}", kind_name(resource.kind), lines(&entries).replace("\n\t", " ").trim())
        };
        grants(&parsed).unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn roles_are_what_clients_need() {
        assert_eq!(
            shown("--allow-principal User:a --consumer --topic t --group g"),
            [
                "TOPIC (principal=User:a, host=*, operation=READ, permissionType=ALLOW) \
                 (principal=User:a, host=*, operation=DESCRIBE, permissionType=ALLOW)",
                "GROUP (principal=User:a, host=*, operation=READ, permissionType=ALLOW)"
            ]
        );
        assert_eq!(
            shown("--deny-principal User:a --deny-host 1.2.3.4 --group p"),
            ["GROUP (principal=User:a, host=1.2.3.4, operation=ALL, permissionType=DENY)"]
        );
    }

    #[test]
    fn command_lines_are_refused_in_kafkas_words() {
        let message = |line: &str| match parsed(line) {
            Err(Stop::Usage(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            message("--bootstrap-server h:1"),
            "Command must include exactly one action: --list, --add, --remove. "
        );
        assert_eq!(
            message("--bootstrap-server h:1 --add --producer"),
            "With --producer you must specify a --topic"
        );
        let wrong = parsed(
            "--bootstrap-server h:1 --add --topic t --operation ClusterAction \
                            --allow-principal User:a",
        );
        match grants(&wrong.unwrap()) {
            Err(Stop::Usage(message)) => {
                assert!(message.starts_with("ResourceType TOPIC only supports operations Read"));
            }
            other => panic!("{other:?}"),
        }
    }
}
