//! What all lists together say of a request: a pure machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::model::{
    ANYBODY, Entry, EntryFilter, Operation, Pattern, PatternFilter, PatternKind, Permission,
    ResourceKind, WILDCARD,
};

/// The entries of a pattern.
pub type Entries = Arc<BTreeSet<Entry>>;

/// What is decided without lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `super.users`: they may do everything.
    pub super_users: BTreeSet<String>,
    /// `allow.everyone.if.no.acl.found`: what no list is of is everybody's.
    pub allow_without_lists: bool,
}

/// Who asks, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The principal, such as `User:alice`.
    pub principal: &'a str,
    /// The address, as Java prints it.
    pub host: &'a str,
}

/// All lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    literal: BTreeMap<(ResourceKind, Arc<str>), Entries>,
    prefixed: BTreeMap<(ResourceKind, Arc<str>), Entries>,
}

impl Request<'_> {
    fn is_of(&self, entry: &Entry) -> bool {
        (*entry.principal == *self.principal || *entry.principal == *ANYBODY)
            && (*entry.host == *self.host || *entry.host == *WILDCARD)
    }

    /// Whether one of the entries says so of one of the operations.
    fn is_told(&self, entries: &Entries, permission: Permission, operations: &[Operation]) -> bool {
        entries.iter().any(|entry| {
            entry.permission == permission
                && self.is_of(entry)
                && (entry.operation == Operation::All || operations.contains(&entry.operation))
        })
    }
}

impl Rules {
    /// Replaces a pattern's list; an empty one is none.
    pub fn set(&mut self, pattern: Pattern, entries: BTreeSet<Entry>) {
        let lists = match pattern.kind {
            PatternKind::Literal => &mut self.literal,
            PatternKind::Prefixed => &mut self.prefixed,
        };
        let key = (pattern.resource, pattern.name);
        match entries.is_empty() {
            true => drop(lists.remove(&key)),
            false => drop(lists.insert(key, Arc::new(entries))),
        }
    }

    /// All lists.
    pub fn all(&self) -> impl Iterator<Item = (Pattern, &Entries)> {
        let kinds =
            [(&self.literal, PatternKind::Literal), (&self.prefixed, PatternKind::Prefixed)];
        kinds.into_iter().flat_map(|(lists, kind)| {
            lists.iter().map(move |((resource, name), entries)| {
                (Pattern { resource: *resource, kind, name: name.clone() }, entries)
            })
        })
    }

    /// Entries that are meant, by the patterns of their lists.
    pub fn find(&self, pattern: &PatternFilter, entry: &EntryFilter) -> Vec<(Pattern, Vec<Entry>)> {
        let lists = self.all().filter(|(of, _)| pattern.takes(of));
        let found = lists.map(|(of, entries)| {
            let taken = entries.iter().filter(|one| entry.takes(one)).cloned();
            (of, taken.collect::<Vec<_>>())
        });
        found.filter(|(_, entries)| !entries.is_empty()).collect()
    }

    /// The lists that are of a resource.
    fn of(&self, resource: ResourceKind, name: &str) -> Vec<&Entries> {
        let named = |name: &str| self.literal.get(&(resource, name.into()));
        let mut found: Vec<_> = named(name).into_iter().collect();
        found.extend(named(WILDCARD).filter(|_| name != WILDCARD));
        self.prefixes(resource, name, &mut found);
        found
    }

    /// The lists of the name's beginnings: each step finds one, or shortens what can be one.
    fn prefixes<'a>(&'a self, resource: ResourceKind, name: &str, found: &mut Vec<&'a Entries>) {
        let mut upper: Bound<Arc<str>> = Bound::Included(name.into());
        loop {
            let bound = match &upper {
                Bound::Included(name) => Bound::Included((resource, name.clone())),
                Bound::Excluded(name) => Bound::Excluded((resource, name.clone())),
                Bound::Unbounded => return,
            };
            let first: Bound<(ResourceKind, Arc<str>)> = Bound::Included((resource, "".into()));
            let Some(((_, at), entries)) = self.prefixed.range((first, bound)).next_back() else {
                return;
            };
            if name.starts_with(&**at) {
                found.push(entries);
                if at.is_empty() {
                    return;
                }
                upper = Bound::Excluded(at.clone());
                continue;
            }
            // Beginnings of the name that sort before `at` are beginnings of what both share.
            let mut shared = at.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            while !name.is_char_boundary(shared) {
                shared -= 1;
            }
            upper = Bound::Included(name[..shared].into());
        }
    }

    /// Whether the request may do it to the resource.
    pub fn allows(
        &self,
        policy: &Policy,
        request: Request<'_>,
        operation: Operation,
        resource: ResourceKind,
        name: &str,
    ) -> bool {
        if policy.super_users.contains(request.principal) {
            return true;
        }
        let lists = self.of(resource, name);
        if lists.is_empty() {
            return policy.allow_without_lists;
        }
        let told = |permission, operations: &[Operation]| {
            lists.iter().any(|entries| request.is_told(entries, permission, operations))
        };
        !told(Permission::Deny, &[operation]) && told(Permission::Allow, operation.allowed_by())
    }

    /// Whether there is any resource of a kind that the request may do it to, as far as the lists
    /// can tell.
    pub fn allows_any(
        &self,
        policy: &Policy,
        request: Request<'_>,
        operation: Operation,
        resource: ResourceKind,
    ) -> bool {
        if policy.super_users.contains(request.principal) {
            return true;
        }
        let told = |permission| {
            let lists = self.all().filter(move |(of, entries)| {
                of.resource == resource && request.is_told(entries, permission, &[operation])
            });
            lists.map(|(of, _)| of).collect::<Vec<_>>()
        };
        let denied = told(Permission::Deny);
        let all = |of: &Pattern| of.kind == PatternKind::Literal && *of.name == *WILDCARD;
        if denied.iter().any(all) {
            return false;
        }
        if policy.allow_without_lists {
            return true;
        }
        told(Permission::Allow)
            .iter()
            .any(|allowed| all(allowed) || !denied.iter().any(|denied| dominates(denied, allowed)))
    }
}

/// Whether one pattern has all resources of another.
fn dominates(one: &Pattern, other: &Pattern) -> bool {
    match one.kind {
        PatternKind::Prefixed => other.name.starts_with(&*one.name),
        PatternKind::Literal => other.kind == PatternKind::Literal && one.name == other.name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(principal: &str, host: &str, operation: Operation, permission: Permission) -> Entry {
        Entry { principal: principal.into(), host: host.into(), operation, permission }
    }

    fn allow(principal: &str, operation: Operation) -> Entry {
        entry(principal, "*", operation, Permission::Allow)
    }

    fn rules(lists: &[(Pattern, Entry)]) -> Rules {
        let mut by_pattern: BTreeMap<Pattern, BTreeSet<Entry>> = BTreeMap::new();
        for (pattern, entry) in lists {
            by_pattern.entry(pattern.clone()).or_default().insert(entry.clone());
        }
        let mut rules = Rules::default();
        by_pattern.into_iter().for_each(|(pattern, entries)| rules.set(pattern, entries));
        rules
    }

    fn topic(name: &str) -> Pattern {
        Pattern::literal(ResourceKind::Topic, name)
    }

    const ALICE: Request<'_> = Request { principal: "User:alice", host: "10.0.0.1" };

    fn may(rules: &Rules, operation: Operation, name: &str) -> bool {
        rules.allows(&Policy::default(), ALICE, operation, ResourceKind::Topic, name)
    }

    #[test]
    fn what_is_not_allowed_is_refused_and_denial_comes_first() {
        let alice = "User:alice";
        let only = rules(&[(topic("t"), allow(alice, Operation::Read))]);
        assert!(may(&only, Operation::Read, "t") && may(&only, Operation::Describe, "t"));
        assert!(!may(&only, Operation::Write, "t") && !may(&only, Operation::Read, "other"));
        let denied = rules(&[
            (topic("t"), allow(alice, Operation::All)),
            (topic("*"), entry("User:*", "10.0.0.1", Operation::Read, Permission::Deny)),
        ]);
        assert!(!may(&denied, Operation::Read, "t") && may(&denied, Operation::Write, "t"));
        // Denying a read says nothing of what allows to describe.
        assert!(may(&denied, Operation::Describe, "t"));
    }

    #[test]
    fn super_users_and_unlisted_resources_follow_the_policy() {
        let super_users = BTreeSet::from(["User:alice".to_owned()]);
        let policy = Policy { super_users, allow_without_lists: false };
        let deny = entry("User:*", "*", Operation::All, Permission::Deny);
        let rules = rules(&[(topic("*"), deny)]);
        assert!(rules.allows(&policy, ALICE, Operation::Read, ResourceKind::Topic, "t"));
        let open = Policy { allow_without_lists: true, ..Policy::default() };
        assert!(rules.allows(&open, ALICE, Operation::Read, ResourceKind::Group, "g"));
        assert!(!rules.allows(&open, ALICE, Operation::Read, ResourceKind::Topic, "t"));
    }

    #[test]
    fn any_topic_that_may_be_written_is_enough_for_an_idempotent_producer() {
        let any = |lists: &[(Pattern, Entry)]| {
            let policy = Policy::default();
            rules(lists).allows_any(&policy, ALICE, Operation::Write, ResourceKind::Topic)
        };
        let deny = || entry("User:alice", "*", Operation::Write, Permission::Deny);
        let prefix = |name: &str| Pattern { kind: PatternKind::Prefixed, ..topic(name) };
        let write = || allow("User:alice", Operation::Write);
        assert!(!any(&[]));
        assert!(any(&[(topic("t"), write())]));
        assert!(!any(&[(topic("t"), write()), (topic("t"), deny())]));
        assert!(!any(&[(topic("team-a"), write()), (prefix("team-"), deny())]));
        assert!(any(&[(prefix("t"), write()), (prefix("team-"), deny())]));
        assert!(!any(&[(topic("*"), write()), (topic("*"), deny())]));
        assert!(any(&[(topic("*"), write()), (prefix("t"), deny())]));
    }

    /// The same question, answered by looking at every entry of every list.
    fn naively(lists: &[(Pattern, Entry)], operation: Operation, name: &str) -> bool {
        let said = |permission, operations: &[Operation]| {
            lists.iter().any(|(pattern, entry)| {
                pattern.covers(ResourceKind::Topic, name)
                    && entry.permission == permission
                    && ["User:*", ALICE.principal].contains(&&*entry.principal)
                    && ["*", ALICE.host].contains(&&*entry.host)
                    && (operations.contains(&entry.operation) || entry.operation == Operation::All)
            })
        };
        !said(Permission::Deny, &[operation]) && said(Permission::Allow, operation.allowed_by())
    }

    fn a_pattern() -> impl Strategy<Value = Pattern> {
        let name = prop_oneof![Just("*".to_owned()), "[aäb]{0,4}"];
        (name, any::<bool>(), any::<bool>()).prop_map(|(name, prefixed, topic)| Pattern {
            resource: if topic { ResourceKind::Topic } else { ResourceKind::Group },
            kind: if prefixed { PatternKind::Prefixed } else { PatternKind::Literal },
            name: name.into(),
        })
    }

    fn an_entry() -> impl Strategy<Value = Entry> {
        let principal = prop::sample::select(vec!["User:alice", "User:bob", "User:*"]);
        let host = prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "*"]);
        let operation = prop::sample::select(Operation::EACH.to_vec());
        (principal, host, operation, 0..4).prop_map(|(principal, host, operation, deny)| {
            let permission = if deny == 0 { Permission::Deny } else { Permission::Allow };
            entry(principal, host, operation, permission)
        })
    }

    proptest! {
        #[test]
        fn lists_are_found_as_by_looking_at_all_of_them(
            lists in prop::collection::vec((a_pattern(), an_entry()), 0..12),
            name in "[aäb]{0,5}",
        ) {
            let rules = rules(&lists);
            for operation in Operation::EACH {
                let naive = naively(&lists, operation, &name);
                prop_assert_eq!(may(&rules, operation, &name), naive, "{:?} {}", operation, name);
            }
        }
    }
}
