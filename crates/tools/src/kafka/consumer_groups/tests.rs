use std::collections::BTreeMap;

use super::output::{Progress, csv, list, members, offsets, reset, state};
use crate::kafka::client::admin::{GroupDescription, GroupListing, GroupMember};
use crate::kafka::client::{Node, TopicPartition};

fn member() -> GroupMember {
    GroupMember {
        id: "console-consumer-5e5a664d-1ba9-4f09-b725-8a75ca1d6a0e".to_owned(),
        instance: None,
        client_id: "console-consumer".to_owned(),
        host: "/127.0.0.1".to_owned(),
        assignment: vec![TopicPartition::new("t", 1), TopicPartition::new("t", 0)],
    }
}

#[test]
fn offsets_are_a_table() {
    let row = |partition, offset, reader| Progress {
        partition: Some(TopicPartition::new("mystical", partition)),
        offset,
        end: Some(3),
        reader,
    };
    let rows = [row(0, Some(1), None), row(1, None, Some(("c".into(), "/h".into(), "i".into())))];
    assert_eq!(
        offsets("g", &rows),
        "\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID\
         \ng               mystical        0          1               3               2               -               -               -\
         \ng               mystical        1          -               3               -               c               /h              i"
    );
}

#[test]
fn members_and_their_partitions() {
    assert_eq!(
        members("g", &[member()], true),
        "\nGROUP           CONSUMER-ID                                           HOST            CLIENT-ID        #PARTITIONS     ASSIGNMENT\
         \ng               console-consumer-5e5a664d-1ba9-4f09-b725-8a75ca1d6a0e /127.0.0.1      console-consumer 2               (0,1)\n"
    );
    assert_eq!(
        members("g", &[], false),
        "\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     \n"
    );
}

#[test]
fn a_state_names_the_coordinator() {
    let group = GroupDescription {
        id: "g".to_owned(),
        state: "Stable".to_owned(),
        assignor: "range".to_owned(),
        coordinator: Node { id: 1, host: "127.0.0.1".to_owned(), port: 21492, rack: None },
        members: vec![member()],
    };
    assert_eq!(
        state(&group),
        "\nGROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS\
         \ng                         127.0.0.1:21492  (1)      range                Stable          1\n"
    );
}

#[test]
fn groups_with_types_and_states() {
    let group = GroupListing { id: "g".into(), state: "Empty".into(), kind: "classic".into() };
    assert_eq!(list(std::slice::from_ref(&group), false, false), "g\n");
    assert_eq!(
        list(&[group], true, true),
        "GROUP                     TYPE                 STATE               \n\
         g                         Classic              Empty               \n"
    );
}

#[test]
fn a_reset_is_a_table_or_csv() {
    let offsets = BTreeMap::from([(TopicPartition::new("t", 0), 7)]);
    let plan = BTreeMap::from([("g".to_owned(), offsets)]);
    assert_eq!(
        reset(&plan),
        "\nGROUP                          TOPIC                          PARTITION  NEW-OFFSET     \
         \ng                              t                              0          7              "
    );
    assert_eq!((csv(&plan, true), csv(&plan, false)), ("t,0,7\n".into(), "g,t,0,7\n".into()));
}
