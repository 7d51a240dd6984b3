//! The range assignor: of each topic, the members in their order get partitions side by side, the
//! first ones one more where they do not come out even.

use std::collections::BTreeMap;

use crate::kafka::client::TopicPartition;

/// A member of the group and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What the group knows a static member by.
    pub instance: Option<String>,
    /// The topics that it wants.
    pub topics: Vec<String>,
}

/// Who gets what, every member's partitions in order; topics that are not there are nobody's.
pub fn range(
    members: &[Member],
    partitions: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assigned: BTreeMap<_, Vec<_>> =
        members.iter().map(|member| (member.id.clone(), Vec::new())).collect();
    // Static members go first, in the order of their names.
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by_key(|member| (member.instance.is_none(), &member.instance, &member.id));
    for (topic, count) in partitions {
        let wanting: Vec<_> =
            ordered.iter().filter(|member| member.topics.contains(topic)).collect();
        let Ok(members) = i32::try_from(wanting.len()) else { continue };
        if members == 0 {
            continue;
        }
        let (each, more) = (count / members, count % members);
        let mut next = 0;
        for (at, member) in (0..).zip(wanting) {
            let share = each + i32::from(at < more);
            let own = assigned.entry(member.id.clone()).or_default();
            own.extend((next..next + share).map(|it| TopicPartition::new(topic.clone(), it)));
            next += share;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance: Option<&str>, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Member { id: id.to_owned(), instance: instance.map(str::to_owned), topics }
    }

    fn shown(assigned: &BTreeMap<String, Vec<TopicPartition>>) -> Vec<String> {
        let list = |all: &Vec<TopicPartition>| {
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assigned.iter().map(|(id, all)| format!("{id}: {}", list(all))).collect()
    }

    #[test]
    fn partitions_side_by_side_and_the_first_gets_more() {
        let partitions = BTreeMap::from([("t".to_owned(), 3), ("u".to_owned(), 1)]);
        let members = [member("b", None, &["t", "u"]), member("a", None, &["t"])];
        assert_eq!(shown(&range(&members, &partitions)), ["a: t-0 t-1", "b: t-2 u-0"]);
    }

    #[test]
    fn static_members_keep_their_place() {
        let partitions = BTreeMap::from([("t".to_owned(), 2)]);
        let members = [member("a", None, &["t"]), member("z", Some("i"), &["t"])];
        assert_eq!(shown(&range(&members, &partitions)), ["a: t-1", "z: t-0"]);
    }

    #[test]
    fn nobody_gets_what_nobody_wants() {
        let partitions = BTreeMap::from([("t".to_owned(), 2)]);
        let members = [member("a", None, &["x"])];
        assert_eq!(shown(&range(&members, &partitions)), ["a: "]);
    }
}
