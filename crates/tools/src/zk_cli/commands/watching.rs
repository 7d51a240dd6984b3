//! Watches.

use crate::zk_cli::CliError;
use crate::zk_cli::command::Context;
use crate::zk_client::WatcherType;

/// `addWatch`
pub fn add_watch(context: &Context<'_>) -> Result<(), CliError> {
    let recursive = match context.parsed.value("m").map(str::to_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => true,
        Some("PERSISTENT") => false,
        Some(_) => return Err(context.misuse()),
    };
    Ok(context.client.add_watch(context.path(), recursive)?)
}

/// `removewatches`
pub fn remove_watches(context: &Context<'_>) -> Result<(), CliError> {
    let kinds = [
        ("c", WatcherType::Children),
        ("d", WatcherType::Data),
        ("p", WatcherType::Persistent),
        ("r", WatcherType::PersistentRecursive),
    ];
    let given = kinds.iter().find(|(name, _)| context.parsed.has(name));
    let kind = given.map_or(WatcherType::Any, |(_, kind)| *kind);
    Ok(context.client.remove_watches(context.path(), kind, context.parsed.has("l"))?)
}
