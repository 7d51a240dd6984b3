//! The words of access control, with their numbers on the wire and their names in the tree.

use std::sync::Arc;

/// Name of the one cluster resource.
pub const CLUSTER: &str = "kafka-cluster";
/// Any name of a resource, and any host.
pub const WILDCARD: &str = "*";
/// Any user.
pub const ANYBODY: &str = "User:*";

/// What is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A consumer group.
    Group = 3,
    /// The cluster: there is one, [`CLUSTER`].
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
    /// A delegation token.
    DelegationToken = 6,
    /// A user, by its principal.
    User = 7,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
#[allow(missing_docs)] // Kafka's operations: their names say all.
pub enum Operation {
    All = 2,
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
    CreateTokens = 13,
    DescribeTokens = 14,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Permission {
    /// No, whatever others say.
    Deny = 2,
    /// Yes, unless another says no.
    Allow = 3,
}

/// How a pattern's name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum PatternKind {
    /// This name, or all if it is [`WILDCARD`].
    Literal = 3,
    /// All names that begin so.
    Prefixed = 4,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Topic,
        Self::Group,
        Self::Cluster,
        Self::TransactionalId,
        Self::DelegationToken,
        Self::User,
    ];

    /// Its name in the tree.
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "Topic",
            Self::Group => "Group",
            Self::Cluster => "Cluster",
            Self::TransactionalId => "TransactionalId",
            Self::DelegationToken => "DelegationToken",
            Self::User => "User",
        }
    }

    /// By its name in the tree.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// By its number.
    pub fn numbered(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i8 == number)
    }

    /// What can be done to it.
    pub fn operations(self) -> &'static [Operation] {
        use Operation as O;
        match self {
            Self::Topic => &[
                O::Read,
                O::Write,
                O::Create,
                O::Describe,
                O::Delete,
                O::Alter,
                O::DescribeConfigs,
                O::AlterConfigs,
            ],
            Self::Group => &[O::Read, O::Describe, O::Delete, O::DescribeConfigs, O::AlterConfigs],
            Self::Cluster => &[
                O::Create,
                O::ClusterAction,
                O::DescribeConfigs,
                O::AlterConfigs,
                O::IdempotentWrite,
                O::Alter,
                O::Describe,
            ],
            Self::TransactionalId => &[O::Describe, O::Write],
            Self::DelegationToken => &[O::Describe],
            Self::User => &[O::CreateTokens, O::DescribeTokens],
        }
    }
}

impl Operation {
    /// All of them.
    pub const EACH: [Self; 13] = [
        Self::All,
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
        Self::CreateTokens,
        Self::DescribeTokens,
    ];

    /// Its name in the tree.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::ClusterAction => "ClusterAction",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
            Self::CreateTokens => "CreateTokens",
            Self::DescribeTokens => "DescribeTokens",
        }
    }

    /// By its name in the tree.
    pub fn named(name: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|operation| operation.name() == name)
    }

    /// By its number.
    pub fn numbered(number: i8) -> Option<Self> {
        Self::EACH.into_iter().find(|operation| *operation as i8 == number)
    }

    /// What allows it when it is allowed: itself, and what cannot be done without it.
    pub fn allowed_by(self) -> &'static [Operation] {
        match self {
            Self::Describe => &[Self::Describe, Self::Read, Self::Write, Self::Delete, Self::Alter],
            Self::DescribeConfigs => &[Self::DescribeConfigs, Self::AlterConfigs],
            Self::All => &[Self::All],
            Self::Read => &[Self::Read],
            Self::Write => &[Self::Write],
            Self::Create => &[Self::Create],
            Self::Delete => &[Self::Delete],
            Self::Alter => &[Self::Alter],
            Self::ClusterAction => &[Self::ClusterAction],
            Self::AlterConfigs => &[Self::AlterConfigs],
            Self::IdempotentWrite => &[Self::IdempotentWrite],
            Self::CreateTokens => &[Self::CreateTokens],
            Self::DescribeTokens => &[Self::DescribeTokens],
        }
    }
}

impl Permission {
    /// Its name in the tree.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Allow => "Allow",
        }
    }

    /// By its name in the tree.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Deny, Self::Allow].into_iter().find(|permission| permission.name() == name)
    }

    /// By its number.
    pub fn numbered(number: i8) -> Option<Self> {
        [Self::Deny, Self::Allow].into_iter().find(|permission| *permission as i8 == number)
    }
}

impl PatternKind {
    /// By its number.
    pub fn numbered(number: i8) -> Option<Self> {
        [Self::Literal, Self::Prefixed].into_iter().find(|kind| *kind as i8 == number)
    }
}

/// Resources that a list is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// Of this kind.
    pub resource: ResourceKind,
    /// How the name is meant.
    pub kind: PatternKind,
    /// The name.
    pub name: Arc<str>,
}

impl Pattern {
    /// One resource by its name.
    pub fn literal(resource: ResourceKind, name: &str) -> Self {
        Self { resource, kind: PatternKind::Literal, name: name.into() }
    }

    /// Whether a resource of that kind is among these.
    pub fn covers(&self, resource: ResourceKind, name: &str) -> bool {
        self.resource == resource
            && match self.kind {
                PatternKind::Literal => *self.name == *WILDCARD || *self.name == *name,
                PatternKind::Prefixed => name.starts_with(&*self.name),
            }
    }
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Of whom, such as `User:alice`, or [`ANYBODY`].
    pub principal: Arc<str>,
    /// From where: an address, or [`WILDCARD`].
    pub host: Arc<str>,
    /// What.
    pub operation: Operation,
    /// Yes or no.
    pub permission: Permission,
}

/// Which lists are meant; what is nothing is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternFilter {
    /// Of this kind of resource.
    pub resource: Option<ResourceKind>,
    /// With this name.
    pub name: Option<String>,
    /// How the name is meant.
    pub kind: NameFilter,
}

/// How a filter's name is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameFilter {
    /// Patterns of any kind that have this very name.
    #[default]
    Any,
    /// Patterns that cover a resource of this name.
    Match,
    /// Patterns of this kind with this name.
    Kind(PatternKind),
}

impl PatternFilter {
    /// Whether a pattern is meant.
    pub fn takes(&self, pattern: &Pattern) -> bool {
        let same = |name: &String| *pattern.name == **name;
        self.resource.is_none_or(|resource| resource == pattern.resource)
            && match self.kind {
                NameFilter::Any => self.name.as_ref().is_none_or(same),
                NameFilter::Kind(kind) => {
                    kind == pattern.kind && self.name.as_ref().is_none_or(same)
                }
                NameFilter::Match => {
                    let covers = |name: &String| pattern.covers(pattern.resource, name);
                    self.name.as_ref().is_none_or(covers)
                }
            }
    }
}

/// Which entries are meant; what is nothing is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Of this principal.
    pub principal: Option<String>,
    /// From this host.
    pub host: Option<String>,
    /// For this operation.
    pub operation: Option<Operation>,
    /// That say this.
    pub permission: Option<Permission>,
}

impl EntryFilter {
    /// Whether an entry is meant.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.principal.as_ref().is_none_or(|principal| **principal == *entry.principal)
            && self.host.as_ref().is_none_or(|host| **host == *entry.host)
            && self.operation.is_none_or(|operation| operation == entry.operation)
            && self.permission.is_none_or(|permission| permission == entry.permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_name_and_number() {
        for kind in ResourceKind::ALL {
            assert_eq!(ResourceKind::named(kind.name()), Some(kind));
            assert_eq!(ResourceKind::numbered(kind as i8), Some(kind));
        }
        for operation in Operation::EACH {
            assert_eq!(Operation::named(operation.name()), Some(operation));
            assert_eq!(Operation::numbered(operation as i8), Some(operation));
            assert!(operation.allowed_by().contains(&operation));
        }
        for any in [0, 1, 15] {
            assert_eq!((ResourceKind::numbered(any), Operation::numbered(any)), (None, None));
        }
    }

    #[test]
    fn a_filter_takes_what_has_its_name_or_what_covers_it() {
        let prefixed =
            Pattern { kind: PatternKind::Prefixed, ..Pattern::literal(ResourceKind::Topic, "a") };
        let literal = Pattern::literal(ResourceKind::Topic, "ab");
        let all = Pattern::literal(ResourceKind::Topic, "*");
        let taken = |kind, name: &str| {
            let filter = PatternFilter { resource: None, name: Some(name.to_owned()), kind };
            [&prefixed, &literal, &all].map(|pattern| filter.takes(pattern))
        };
        assert_eq!(taken(NameFilter::Any, "ab"), [false, true, false]);
        assert_eq!(taken(NameFilter::Match, "ab"), [true, true, true]);
        assert_eq!(taken(NameFilter::Kind(PatternKind::Prefixed), "a"), [true, false, false]);
        assert_eq!(taken(NameFilter::Kind(PatternKind::Literal), "a"), [false, false, false]);
    }
}
