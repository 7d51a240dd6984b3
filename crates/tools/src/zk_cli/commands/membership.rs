//! The ensemble's membership.

use std::fmt::Write as _;

use super::print_stat;
use crate::properties;
use crate::zk_cli::CliError;
use crate::zk_cli::command::Context;

/// `config`
pub fn config(context: &Context<'_>) -> Result<(), CliError> {
    let (data, stat) = context.client.get_config(context.parsed.has("w"))?;
    let data = data.unwrap_or_else(|| b"null".to_vec());
    let text = String::from_utf8_lossy(&data);
    if context.parsed.has("c") {
        context.console.line(&client_addresses(&text));
    } else {
        context.console.line(&text);
    }
    print_stat(context, &stat);
    Ok(())
}

/// The version of a configuration and where its servers take clients, separated by commas.
fn client_addresses(config: &str) -> String {
    let mut version = String::new();
    let mut addresses = Vec::new();
    for (key, value) in properties::parse(config) {
        if key == "version" {
            version = value;
        } else if key.starts_with("server.") {
            addresses.push(match value.split_once(';') {
                // A port alone means all interfaces.
                Some((_, client)) if !client.contains(':') => format!("0.0.0.0:{client}"),
                Some((_, client)) => client.to_owned(),
                None => String::new(),
            });
        }
    }
    format!("{version} {}", addresses.join(","))
}

/// `reconfig`
pub fn reconfig(context: &Context<'_>) -> Result<(), CliError> {
    let parsed = &context.parsed;
    let given = |name: &str| parsed.value(name).map(str::to_lowercase);
    let whole = parsed.has("file") || parsed.has("members");
    let partial = parsed.has("add") || parsed.has("remove");
    if !whole && !partial {
        return Err(context.misuse());
    }
    let version = parsed.value("v").map_or(Ok(-1), |version| {
        i64::from_str_radix(version, 16)
            .map_err(|_| CliError::new("-v must be followed by a long (configuration version)"))
    })?;
    if whole && partial {
        return Err(CliError::new(
            "Can't use -file or -members together with -add or -remove (mixing incremental and \
             non-incremental modes is not allowed)",
        ));
    }
    if parsed.has("file") && parsed.has("members") {
        return Err(CliError::new(
            "Can't use -file and -members together (conflicting non-incremental modes)",
        ));
    }
    let members = match parsed.value("file") {
        Some(file) => Some(members_of(file)?),
        None => given("members"),
    };
    let (data, stat) = context.client.reconfig(
        given("add").as_deref(),
        given("remove").as_deref(),
        members.as_deref(),
        version,
    )?;
    let config = data.unwrap_or_default();
    let config = String::from_utf8_lossy(&config);
    context.console.line(&format!("Committed new configuration:\n{config}"));
    print_stat(context, &stat);
    Ok(())
}

/// The members that a configuration file names.
fn members_of(file: &str) -> Result<String, CliError> {
    let bytes = std::fs::read(file).map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
            _ => error.to_string(),
        };
        CliError::new(format!("Error processing {file}{file} ({reason})"))
    })?;
    let mut members = String::new();
    for (key, value) in properties::parse(&String::from_utf8_lossy(&bytes)) {
        let is_member = ["server.", "group", "weight"].iter().any(|name| key.starts_with(name));
        if is_member || key == "version" {
            // Writing to a string cannot fail.
            let _ = writeln!(members, "{key}={value}");
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::client_addresses;

    #[test]
    fn client_addresses_are_what_follows_the_semicolon() {
        let config = "server.1=a:2888:3888:participant;0.0.0.0:2181\n\
                      server.2=b:2888:3888:observer;2182\nserver.3=c:1:2\nversion=100000000";
        assert_eq!(client_addresses(config), "100000000 0.0.0.0:2181,0.0.0.0:2182,");
    }
}
