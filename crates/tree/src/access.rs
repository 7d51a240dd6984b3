//! Who may do what: interned access control lists and their evaluation.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::{Acl, Id, Perms};

/// The identities a command was sent with, borrowed from the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities<'a> {
    /// Scheme and name of each.
    pub ids: Vec<(&'a str, &'a str)>,
    /// Set for the super user and where the operator switched ACLs off.
    pub bypass: bool,
}

/// Access control lists by number. Equal lists share one; a list nobody uses any more keeps its
/// number until the next restart from a snapshot.
#[derive(Debug, Default)]
pub struct AclTable {
    lists: Vec<Vec<Acl>>,
    numbers: HashMap<Vec<Acl>, u32>,
}

impl AclTable {
    /// The number of a list, new or known.
    pub fn intern(&mut self, acl: &[Acl]) -> u32 {
        if let Some(number) = self.numbers.get(acl) {
            return *number;
        }
        let number = self.lists.len() as u32;
        self.lists.push(acl.to_vec());
        self.numbers.insert(acl.to_vec(), number);
        number
    }

    /// The list of a number; empty if there is none.
    pub fn get(&self, number: u32) -> &[Acl] {
        self.lists.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// All lists in the order of their numbers.
    pub fn lists(&self) -> &[Vec<Acl>] {
        &self.lists
    }

    /// Whether `who` has any of `perms` by list `number`.
    pub fn permits(&self, number: u32, perms: Perms, who: &Identities<'_>) -> bool {
        who.bypass || permits(self.get(number), perms, &who.ids)
    }
}

/// Scheme of an identity that every list with a `sasl` entry takes for that entry's own.
pub const ANY_SASL: &str = "any-sasl";

/// Whether any of `ids` has any of `perms` by `acl`. An empty list permits everything, as in
/// ZooKeeper.
pub fn permits(acl: &[Acl], perms: Perms, ids: &[(&str, &str)]) -> bool {
    if acl.is_empty() || ids.iter().any(|(scheme, _)| *scheme == "super") {
        return true;
    }
    acl.iter().filter(|entry| entry.perms.intersects(perms)).any(|entry| {
        let Id { scheme, id } = &entry.id;
        (scheme == "world" && id == "anyone")
            || ids.iter().any(|(s, i)| {
                (*s == scheme && matches(scheme, i, id)) || (*s == ANY_SASL && scheme == "sasl")
            })
    })
}

fn matches(scheme: &str, id: &str, pattern: &str) -> bool {
    match scheme {
        "ip" => ip_matches(id, pattern),
        _ => id == pattern,
    }
}

/// Whether an address lies in `address[/bits]`.
fn ip_matches(address: &str, pattern: &str) -> bool {
    let (network, bits) = match pattern.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (pattern, None),
    };
    let (Ok(address), Ok(network)) = (address.parse::<IpAddr>(), network.parse::<IpAddr>()) else {
        return false;
    };
    let same_prefix = |a: u128, b: u128, width: u32| {
        let bits = bits.unwrap_or(width).min(width);
        bits == 0 || (a >> (width - bits)) == (b >> (width - bits))
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            same_prefix(u128::from(u32::from(a)), u128::from(u32::from(n)), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => same_prefix(u128::from(a), u128::from(n), 128),
        _ => false,
    }
}

/// Whether `pattern` is a well-formed id of the `ip` scheme.
pub fn is_ip_pattern(pattern: &str) -> bool {
    let (network, bits) = match pattern.split_once('/') {
        Some((network, bits)) => (network, Some(bits)),
        None => (pattern, None),
    };
    match network.parse::<IpAddr>() {
        Ok(address) => {
            let width = if address.is_ipv4() { 32 } else { 128 };
            bits.is_none_or(|bits| bits.parse::<u32>().is_ok_and(|bits| bits <= width))
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(perms: Perms, scheme: &str, id: &str) -> Vec<Acl> {
        vec![Acl { perms, id: Id::new(scheme, id) }]
    }

    #[test]
    fn each_scheme_matches_its_own() {
        assert!(permits(&Acl::open(), Perms::WRITE, &[]));
        let read_only = acl(Perms::READ, "world", "anyone");
        assert!(permits(&read_only, Perms::READ, &[]));
        assert!(!permits(&read_only, Perms::WRITE, &[("ip", "127.0.0.1")]));
        assert!(permits(&read_only, Perms::WRITE, &[("super", "")]));
        let digest = acl(Perms::ALL, "digest", "u:h");
        assert!(permits(&digest, Perms::READ, &[("digest", "u:h")]));
        assert!(!permits(&digest, Perms::READ, &[("sasl", "u:h"), ("digest", "u:x")]));
    }

    #[test]
    fn ip_patterns_match_by_prefix() {
        let net = acl(Perms::ALL, "ip", "10.1.0.0/16");
        assert!(permits(&net, Perms::READ, &[("ip", "10.1.200.3")]));
        assert!(!permits(&net, Perms::READ, &[("ip", "10.2.0.1")]));
        assert!(permits(&acl(Perms::ALL, "ip", "0.0.0.0/0"), Perms::READ, &[("ip", "1.2.3.4")]));
        assert!(permits(&acl(Perms::ALL, "ip", "::1"), Perms::READ, &[("ip", "::1")]));
        assert!(is_ip_pattern("10.0.0.1") && is_ip_pattern("10.0.0.0/8"));
        assert!(!is_ip_pattern("10.0.0.0/33") && !is_ip_pattern("host"));
    }
}
