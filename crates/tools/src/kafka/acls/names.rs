//! The names of the protocol's codes for what is protected and granted.

use crate::kafka::client::admin::{AclEntry, AclResource};

/// What somebody may do, in the order of the codes, from 0.
const OPERATIONS: [&str; 15] = [
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
];
const KINDS: [&str; 8] =
    ["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERNS: [&str; 5] = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const PERMISSIONS: [&str; 4] = ["UNKNOWN", "ANY", "DENY", "ALLOW"];

fn name_of(names: &[&'static str], code: i8) -> &'static str {
    usize::try_from(code).ok().and_then(|at| names.get(at).copied()).unwrap_or("UNKNOWN")
}

fn code_of(names: &[&str], name: &str) -> Option<i8> {
    let at =
        names.iter().position(|known| known.eq_ignore_ascii_case(name)).filter(|at| *at > 0)?;
    i8::try_from(at).ok()
}

/// The code of an operation, as `Read`, `DescribeConfigs` or `DESCRIBE_CONFIGS`.
pub fn operation(name: &str) -> Option<i8> {
    let plain = name.replace('_', "");
    let at =
        OPERATIONS.iter().position(|known| known.replace('_', "").eq_ignore_ascii_case(&plain));
    i8::try_from(at.filter(|at| *at > 0)?).ok()
}

/// An operation's name as the tool writes it in a message.
pub fn operation_name(code: i8) -> String {
    let words = name_of(&OPERATIONS, code).split('_');
    let capital = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => format!("{first}{}", rest.to_lowercase()),
        None => String::new(),
    };
    words.map(capital).collect()
}

/// The code of a pattern type.
pub fn pattern(name: &str) -> Option<i8> {
    code_of(&PATTERNS, name)
}

/// The name of a pattern type.
pub fn pattern_name(code: i8) -> &'static str {
    name_of(&PATTERNS, code)
}

/// The name of a kind of resource.
pub fn kind_name(code: i8) -> &'static str {
    name_of(&KINDS, code)
}

/// The operations that are granted on a kind of resource, besides all of them.
pub fn operations_on(kind: i8) -> &'static [i8] {
    match kind {
        2 => &[3, 4, 5, 8, 6, 7, 10, 11],
        3 => &[3, 8, 6, 10, 11],
        4 => &[5, 9, 10, 11, 12, 7, 8],
        5 => &[8, 4],
        6 => &[8],
        7 => &[13, 14],
        _ => &[],
    }
}

/// A resource, as the tool shows it.
pub fn resource_text(resource: &AclResource, class: &str) -> String {
    format!(
        "{class}(resourceType={}, name={}, patternType={})",
        kind_name(resource.kind),
        resource.name.as_deref().unwrap_or("null"),
        pattern_name(resource.pattern)
    )
}

/// A grant, as the tool shows it.
pub fn entry_text(entry: &AclEntry) -> String {
    format!(
        "(principal={}, host={}, operation={}, permissionType={})",
        entry.principal,
        entry.host,
        name_of(&OPERATIONS, entry.operation),
        name_of(&PERMISSIONS, entry.permission)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes() {
        assert_eq!(operation("Read"), Some(3));
        assert_eq!(
            (operation("DescribeConfigs"), operation("describe_configs")),
            (Some(10), Some(10))
        );
        assert_eq!((operation("unknown"), operation("fly")), (None, None));
        assert_eq!(operation_name(10), "DescribeConfigs");
        assert_eq!((pattern("prefixed"), pattern("UNKNOWN")), (Some(4), None));
    }
}
