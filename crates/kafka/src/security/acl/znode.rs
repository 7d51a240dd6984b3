//! Where lists are in the tree: `/kafka-acl/TYPE/NAME` for literal patterns,
//! `/kafka-acl-extended/prefixed/TYPE/NAME` for prefixed ones, both as Kafka's ZooKeeper mode has them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::model::{Entry, Operation, Pattern, PatternKind, Permission, ResourceKind};
use crate::metadata::znode::{ZnodeError, json, parse};

/// Home of the lists of literal patterns.
pub const LITERAL: &str = "/kafka-acl";
/// Home of the lists of patterns of other kinds.
pub const EXTENDED: &str = "/kafka-acl-extended";
/// Home of the lists of prefixed patterns.
pub const PREFIXED: &str = "/kafka-acl-extended/prefixed";

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    acls: Vec<WrittenEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry<'a> {
    principal: &'a str,
    permission_type: &'static str,
    operation: &'static str,
    host: &'a str,
}

#[derive(Deserialize)]
struct Read {
    version: i32,
    #[serde(default)]
    acls: Vec<ReadEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadEntry {
    principal: String,
    permission_type: String,
    operation: String,
    host: String,
}

/// Where a pattern's list is; nothing if its name cannot be a path's component.
pub fn path(pattern: &Pattern) -> Option<String> {
    let home = match pattern.kind {
        PatternKind::Literal => LITERAL,
        PatternKind::Prefixed => PREFIXED,
    };
    let name = &pattern.name;
    let fits = !name.is_empty() && !name.contains('/');
    fits.then(|| format!("{home}/{}/{name}", pattern.resource.name()))
}

/// The pattern whose list is there; nothing if none is.
pub fn pattern(path: &str) -> Option<Pattern> {
    let below = |home: &str| path.strip_prefix(home)?.strip_prefix('/');
    let (kind, rest) = match below(PREFIXED) {
        Some(rest) => (PatternKind::Prefixed, rest),
        None => (PatternKind::Literal, below(LITERAL)?),
    };
    let (resource, name) = rest.split_once('/')?;
    let resource = ResourceKind::named(resource)?;
    (!name.contains('/')).then(|| Pattern { resource, kind, name: name.into() })
}

/// A list as it is stored.
pub fn to_json(entries: &BTreeSet<Entry>) -> Vec<u8> {
    json(&Written { version: 1, acls: entries.iter().map(written).collect() })
}

fn written(entry: &Entry) -> WrittenEntry<'_> {
    WrittenEntry {
        principal: &entry.principal,
        permission_type: entry.permission.name(),
        operation: entry.operation.name(),
        host: &entry.host,
    }
}

/// Reads a list. A znode without data holds none.
///
/// # Errors
/// If it is none: a line that cannot be read may have been a denial, so that the whole list is unfit.
pub fn from_json(data: &[u8]) -> Result<BTreeSet<Entry>, ZnodeError> {
    if data.is_empty() {
        return Ok(BTreeSet::new());
    }
    let read: Read = parse("an access control list", data)?;
    if read.version != 1 {
        return Err(ZnodeError::value("an access control list's version", read.version));
    }
    read.acls
        .into_iter()
        .map(|one| {
            let operation = Operation::named(&one.operation);
            let permission = Permission::named(&one.permission_type);
            Ok(Entry {
                operation: operation
                    .ok_or_else(|| ZnodeError::value("an operation", &one.operation))?,
                permission: permission
                    .ok_or_else(|| ZnodeError::value("a permission", &one.permission_type))?,
                principal: one.principal.into(),
                host: one.host.into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_kafka_writes_it() {
        let entry = Entry {
            principal: "User:alice".into(),
            host: "*".into(),
            operation: Operation::DescribeConfigs,
            permission: Permission::Allow,
        };
        let entries = BTreeSet::from([entry]);
        let text = r#"{"version":1,"acls":[{"principal":"User:alice","permissionType":"Allow","operation":"DescribeConfigs","host":"*"}]}"#;
        assert_eq!(String::from_utf8(to_json(&entries)).unwrap(), text);
        assert_eq!(from_json(text.as_bytes()).unwrap(), entries);
        assert!(from_json(b"").unwrap().is_empty());
        for bad in [&text.replace("Allow", "Perhaps"), &text.replace(":1,", ":2,"), "[]"] {
            assert!(from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_read_as_they_are_written() {
        let literal = Pattern::literal(ResourceKind::Topic, "*");
        assert_eq!(path(&literal).unwrap(), "/kafka-acl/Topic/*");
        let prefixed = Pattern {
            kind: PatternKind::Prefixed,
            ..Pattern::literal(ResourceKind::TransactionalId, "team-")
        };
        let at = "/kafka-acl-extended/prefixed/TransactionalId/team-";
        assert_eq!(path(&prefixed).unwrap(), at);
        for each in [literal, prefixed] {
            assert_eq!(pattern(&path(&each).unwrap()), Some(each));
        }
        for none in ["/kafka-acl", "/kafka-acl/Topic", "/kafka-acl/Other/x", "/kafka-acl-changes/x"]
        {
            assert_eq!(pattern(none), None, "{none}");
        }
        assert_eq!(path(&Pattern::literal(ResourceKind::Group, "a/b")), None);
    }
}
