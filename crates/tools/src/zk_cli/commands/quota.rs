//! Quotas, which are znodes under `/zookeeper/quota`.

use std::collections::BTreeMap;
use std::fmt;

use polyport_tree::{Acl, CreateMode};
use polyport_zookeeper::codec::ErrorCode;

use super::tree::visit;
use crate::zk_cli::CliError;
use crate::zk_cli::command::Context;
use crate::zk_client::{Client, ClientError, NewNode};

type Result<T = ()> = std::result::Result<T, CliError>;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";

/// Limits or usage: what the znodes hold. -1 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Track(BTreeMap<String, i64>);

impl Track {
    fn parse(data: Option<&[u8]>) -> Result<Self> {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let mut track = Self::default();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let key = parts.next().unwrap_or_default();
            let value = match parts.next().unwrap_or_default() {
                "" => -1,
                value => super::number(value)?,
            };
            track.0.insert(key.to_owned(), value);
        }
        Ok(track)
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    fn set(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value);
    }
}

/// The form that all versions of ZooKeeper can read: count and bytes first, then a `=` that makes
/// old ones overlook what follows.
impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        let mut others = self.0.iter().filter(|(key, _)| *key != COUNT && *key != BYTES).peekable();
        if others.peek().is_some() {
            f.write_str("=")?;
        }
        others.try_for_each(|(key, value)| write!(f, ";{key}={value}"))
    }
}

fn limits_path(path: &str) -> String {
    format!("{ROOT}{path}/{LIMITS}")
}

fn stats_path(path: &str) -> String {
    format!("{ROOT}{path}/{STATS}")
}

fn read(client: &Client, path: &str) -> Result<Track> {
    Track::parse(client.get_data(path, false)?.0.as_deref())
}

fn is(error: &ClientError, code: ErrorCode) -> bool {
    error.code() == Some(code)
}

/// `listquota`
pub fn list(context: &Context<'_>) -> Result {
    let path = context.path();
    context.console.error(&format!("absolute path is {}", limits_path(path)));
    let data = |path: &str| context.client.get_data(path, false).map(|(data, _)| data);
    let found = data(&limits_path(path)).and_then(|limits| Ok((limits, data(&stats_path(path))?)));
    match found {
        Ok((limits, stats)) => {
            let (limits, stats) =
                (Track::parse(limits.as_deref())?, Track::parse(stats.as_deref())?);
            context.console.line(&format!("Output quota for {path} {limits}"));
            context.console.line(&format!("Output stat for {path} {stats}"));
        }
        Err(error) if is(&error, ErrorCode::NO_NODE) => {
            context.console.error(&format!("quota for {path} does not exist."));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

const KINDS: [(&str, &str); 4] = [("n", COUNT), ("b", BYTES), ("N", COUNT_HARD), ("B", BYTES_HARD)];

/// `setquota`
pub fn set(context: &Context<'_>) -> Result {
    let path = context.path();
    if path.starts_with(ROOT) {
        context.console.error(&format!("cannot set a quota under the path: {ROOT}"));
        return Ok(());
    }
    let mut wanted = Track::default();
    for (option, key) in KINDS {
        let Some(text) = context.parsed.value(option) else { continue };
        let counts = matches!(option, "n" | "N");
        let number = if counts { text.parse::<i32>().map(i64::from) } else { text.parse::<i64>() };
        let complaint = match number {
            Err(_) => "NumberFormatException happens when parsing the option value",
            Ok(number) if counts && number <= 0 => "the num quota must be greater than zero",
            Ok(number) if number < 0 => "the bytes quota must be greater than or equal to zero",
            Ok(number) => {
                wanted.set(key, number);
                continue;
            }
        };
        context.console.error(complaint);
        return Ok(());
    }
    let client = context.client;
    if client.exists(path, false)?.is_none() {
        return Err(CliError::new(format!("{path} does not exist.")));
    }
    refuse_nesting(client, path)?;
    make_parents(client, path)?;
    let (limits_path, stats_path) = (limits_path(path), stats_path(path));
    if client.exists(&limits_path, false)?.is_none() {
        let mut limits = Track::default();
        for (_, key) in KINDS {
            limits.set(key, wanted.get(key));
        }
        create(client, &limits_path, Some(limits.to_string().as_bytes()))?;
        let mut stats = Track::default();
        stats.set(COUNT, 0);
        stats.set(BYTES, 0);
        create(client, &stats_path, Some(stats.to_string().as_bytes()))?;
        warn_if_exceeded(context, &read(client, &limits_path)?, &read(client, &stats_path)?);
    } else {
        let mut limits = read(client, &limits_path)?;
        limits.0.extend(wanted.0);
        warn_if_exceeded(context, &limits, &read(client, &stats_path)?);
        client.set_data(&limits_path, limits.to_string().as_bytes(), -1)?;
    }
    Ok(())
}

/// A quota may not stand above or below another.
fn refuse_nesting(client: &Client, path: &str) -> Result {
    let own = format!("{ROOT}{path}");
    let mut nested: Option<String> = None;
    let searched = visit(client, &own, false, &mut |quota_path| {
        let children = match client.get_children(quota_path, false) {
            Ok((children, _)) => children,
            Err(error) if is(&error, ErrorCode::NO_NODE) => return Ok(()),
            Err(error) => return Err(error),
        };
        if quota_path != own && children.iter().any(|child| child == LIMITS) {
            nested.get_or_insert_with(|| quota_path[ROOT.len()..].to_owned());
        }
        Ok(())
    });
    match searched {
        Err(error) if !is(&error, ErrorCode::NO_NODE) => return Err(error.into()),
        _ => {}
    }
    if let Some(child) = nested {
        return Err(CliError::new(format!("{path} has a child {child} which has a quota")));
    }
    let mut above = path;
    let mut ancestors = Vec::new();
    while let Some(parent) = polyport_tree::path::parent(above).filter(|parent| *parent != "/") {
        ancestors.push(parent);
        above = parent;
    }
    for ancestor in ancestors.into_iter().rev() {
        let children = match client.get_children(&format!("{ROOT}{ancestor}"), false) {
            Ok((children, _)) => children,
            Err(error) if is(&error, ErrorCode::NO_NODE) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if children.iter().any(|child| child == LIMITS) {
            return Err(CliError::new(format!("{path} has a parent {ancestor} which has a quota")));
        }
    }
    Ok(())
}

fn make_parents(client: &Client, path: &str) -> Result {
    let mut at = String::new();
    for name in format!("{ROOT}{path}").split('/').filter(|name| !name.is_empty()) {
        at = format!("{at}/{name}");
        if client.exists(&at, false)?.is_none() {
            match create(client, &at, None) {
                Err(error) if !is(&error, ErrorCode::NODE_EXISTS) => return Err(error.into()),
                _ => {}
            }
        }
    }
    Ok(())
}

fn create(
    client: &Client,
    path: &str,
    data: Option<&[u8]>,
) -> std::result::Result<(), ClientError> {
    let mode = CreateMode::Persistent;
    client.create(NewNode { path, data, acl: Acl::open(), mode, ttl_ms: 0 }).map(drop)
}

fn warn_if_exceeded(context: &Context<'_>, limits: &Track, stats: &Track) {
    for (what, soft, hard) in [("count", COUNT, COUNT_HARD), ("bytes", BYTES, BYTES_HARD)] {
        let used = stats.get(soft);
        let exceeded = |limit: &str| limits.get(limit) > -1 && limits.get(limit) < used;
        if exceeded(soft) || exceeded(hard) {
            context.console.line(&format!(
                "[Warning]: the {what} quota you create is less than the existing {what}:{used}"
            ));
        }
    }
}

/// `delquota`
pub fn delete(context: &Context<'_>) -> Result {
    let path = context.path();
    match delete_quota(context, path) {
        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => {
            context.console.error(&format!("quota for {path} does not exist."));
            Ok(())
        }
        result => Ok(result?),
    }
}

fn delete_quota(context: &Context<'_>, path: &str) -> std::result::Result<(), ClientError> {
    let client = context.client;
    let limits_path = limits_path(path);
    if client.exists(&limits_path, false)?.is_none() {
        context.console.line(&format!("Quota does not exist for {path}"));
        return Ok(());
    }
    let (data, _) = client.get_data(&limits_path, false)?;
    let removed = KINDS.iter().find(|(option, _)| context.parsed.has(option));
    if let Some((_, key)) = removed {
        let mut limits = Track::parse(data.as_deref())
            .map_err(|error| ClientError::IllegalArgument(error.message))?;
        limits.set(key, -1);
        client.set_data(&limits_path, limits.to_string().as_bytes(), -1)?;
        return Ok(());
    }
    let mut at = format!("{ROOT}{path}");
    for child in client.get_children(&at, false)?.0 {
        client.delete(&format!("{at}/{child}"), -1)?;
    }
    // Then the znodes above it that nothing else needs.
    while at != ROOT && client.get_children(&at, false)?.0.is_empty() {
        client.delete(&at, -1)?;
        match polyport_tree::path::parent(&at) {
            Some(parent) => at = parent.to_owned(),
            None => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_read_and_written_in_every_versions_form() {
        let text = "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=7";
        let track = Track::parse(Some(text.as_bytes())).unwrap();
        assert_eq!((track.get(COUNT), track.get(COUNT_HARD), track.get("other")), (5, 7, -1));
        assert_eq!(track.to_string(), text);
        let old = Track::parse(Some(b"count=1,bytes=20")).unwrap();
        assert_eq!(old.to_string(), "count=1,bytes=20");
        assert_eq!(Track::parse(None).unwrap().to_string(), "count=-1,bytes=-1");
        assert!(Track::parse(Some(b"count=x")).is_err());
    }
}
