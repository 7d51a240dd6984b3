//! Single znodes, and the session.

use polyport_tree::{Acl, CreateMode};
use polyport_zookeeper::codec::ErrorCode;

use super::{number, parse_acl, print_stat, version as expected_version};
use crate::zk_cli::command::Context;
use crate::zk_cli::{CliError, print};
use crate::zk_client::{ClientError, NewNode};

type Result = std::result::Result<(), CliError>;

/// Forty bits of milliseconds, about 34 years.
const MAX_TTL_MS: i64 = 0xff_ffff_ffff;

/// `create`
pub fn create(context: &Context<'_>) -> Result {
    let parsed = &context.parsed;
    let has = |name| parsed.has(name);
    if has("c") && (has("e") || has("s")) {
        return Err(CliError::new(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ));
    }
    let ttl_ms = match parsed.value("t") {
        Some(ttl) => ttl.parse().map_err(|_| CliError::new("-t argument must be a long value"))?,
        None => 0,
    };
    let mode = match (has("t"), has("e"), has("s"), has("c")) {
        (true, true, ..) => {
            return Err(CliError::new("TTLs cannot be used with Ephemeral znodes"));
        }
        (true, _, _, true) => {
            return Err(CliError::new("TTLs cannot be used with Container znodes"));
        }
        (true, _, true, _) => CreateMode::PersistentSequentialWithTtl,
        (true, ..) => CreateMode::PersistentWithTtl,
        (_, true, true, _) => CreateMode::EphemeralSequential,
        (_, true, ..) => CreateMode::Ephemeral,
        (_, _, true, _) => CreateMode::PersistentSequential,
        (_, _, _, true) => CreateMode::Container,
        _ => CreateMode::Persistent,
    };
    if mode.has_ttl() && !(1..=MAX_TTL_MS).contains(&ttl_ms) {
        return Err(CliError::new(format!(
            "ttl must be positive and cannot be larger than: {MAX_TTL_MS}"
        )));
    }
    let data = context.arg(2).map(str::as_bytes);
    let acl = context.arg(3).map_or_else(Acl::open, |text| parse_acl(context.console, text));
    let created = context.client.create(NewNode { path: context.path(), data, acl, mode, ttl_ms });
    match created {
        // Not on the output stream: scripts read that for data.
        Ok(path) => context.console.error(&format!("Created {path}")),
        Err(error) => {
            match error.code() {
                Some(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION) => {
                    context.console.error("Unable to create ephemeral node on a local session");
                }
                Some(ErrorCode::INVALID_ACL) => context.console.error(&error.to_string()),
                _ => {}
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// `delete`
pub fn delete(context: &Context<'_>) -> Result {
    Ok(context.client.delete(context.path(), expected_version(context)?)?)
}

/// `get`
pub fn get(context: &Context<'_>) -> Result {
    let (data, stat) = context.client.get_data(context.path(), context.parsed.has("w"))?;
    let data = data.unwrap_or_else(|| b"null".to_vec());
    let text = if context.parsed.has("x") {
        print::hex_dump(&data)
    } else if context.parsed.has("b") {
        print::base64(&data)
    } else {
        String::from_utf8_lossy(&data).into_owned()
    };
    context.console.line(&text);
    print_stat(context, &stat);
    Ok(())
}

/// `set`
pub fn set(context: &Context<'_>) -> Result {
    let text = context.arg(2).unwrap_or_default();
    let data = if context.parsed.has("b") {
        print::from_base64(text).map_err(CliError::new)?
    } else {
        text.as_bytes().to_vec()
    };
    let stat = context.client.set_data(context.path(), &data, expected_version(context)?)?;
    print_stat(context, &stat);
    Ok(())
}

/// `stat`
pub fn stat(context: &Context<'_>) -> Result {
    let path = context.path();
    let stat = context.client.exists(path, context.parsed.has("w"))?;
    let stat = stat.ok_or_else(|| ClientError::keeper(ErrorCode::NO_NODE, path))?;
    context.console.line(&print::stat(&stat));
    Ok(())
}

/// `getAcl`
pub fn get_acl(context: &Context<'_>) -> Result {
    let (acl, stat) = context.client.get_acl(context.path())?;
    for entry in &acl {
        context.console.line(&print::acl(entry));
    }
    print_stat(context, &stat);
    Ok(())
}

/// `getEphemerals`
pub fn get_ephemerals(context: &Context<'_>) -> Result {
    let paths = context.client.get_ephemerals(context.arg(1).unwrap_or("/"))?;
    context.console.line(&print::list(&paths));
    Ok(())
}

/// `sync`
pub fn sync(context: &Context<'_>) -> Result {
    match context.client.sync(context.path()) {
        Ok(()) => context.console.line("Sync is OK"),
        Err(ClientError::Keeper { code, .. }) => {
            context.console.line(&format!("Sync has failed. rc={}", code.0));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `addauth`
pub fn add_auth(context: &Context<'_>) -> Result {
    context.client.add_auth(context.path(), context.arg(2).map(str::as_bytes));
    Ok(())
}

/// `whoami`
pub fn who_am_i(context: &Context<'_>) -> Result {
    let ids = context.client.who_am_i()?;
    context.console.line("Auth scheme: User");
    for (scheme, user) in ids {
        context.console.line(&format!("{scheme}: {user}"));
    }
    Ok(())
}

/// `close`
pub fn close(context: &Context<'_>) -> Result {
    context.client.close();
    Ok(())
}

/// The level of ZooKeeper's command line that this one follows.
const LEVEL: &str = "3.9.3";

/// `version`
pub fn version(context: &Context<'_>) -> Result {
    let ours = env!("CARGO_PKG_VERSION");
    context.console.line(&format!("ZooKeeper CLI version: {LEVEL}-polyport-{ours}"));
    Ok(())
}

/// The index of `redo`, in decimal, octal or hexadecimal as Java's `Integer.decode`.
pub fn decode_index(text: &str) -> std::result::Result<i32, CliError> {
    let parsed = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix('#')) {
        i32::from_str_radix(hex, 16).ok()
    } else if let Some(octal) = text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        i32::from_str_radix(octal, 8).ok()
    } else {
        return number(text);
    };
    parsed.ok_or_else(|| CliError::new(format!("For input string: \"{text}\"")))
}
