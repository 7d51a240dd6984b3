use super::*;
use crate::kafka::client::admin::{ConfigChange, ConfigOperation};

fn place(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn message(line: &str) -> String {
    let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
    match options::read(&args) {
        Err(Stop::Usage(text)) => text,
        Err(Stop::Failure(failure)) => failure.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn command_lines_are_refused_in_kafkas_words() {
    let actions = "Command must include exactly one action: --generate, --execute, --verify, \
                   --cancel, --list";
    assert_eq!(message("--bootstrap-server h:1"), actions);
    assert_eq!(message("--list --verify"), actions);
    assert_eq!(message("--list"), "Please specify --bootstrap-server");
    let both = message("--list --bootstrap-server h:1 --zookeeper h:2");
    assert_eq!(both, "Only one of --bootstrap-server or --zookeeper must be specified");
    assert_eq!(
        message("--bootstrap-server h:1 --execute"),
        "Missing required argument \"[reassignment-json-file]\""
    );
    assert_eq!(
        message("--bootstrap-server h:1 --list --throttle 5"),
        "Option \"[throttle]\" can't be used with action \"[list]\""
    );
    let args = ["--execute", "--zookeeper", "h:1", "--reassignment-json-file", "f"];
    let (action, _) = options::read(&args.map(str::to_owned)).unwrap();
    let moves = "f".to_owned();
    let expected = Action::Execute { moves, additional: false, throttle: -1, log_dir_throttle: -1 };
    assert_eq!(action, expected);
}

#[test]
fn files_are_read_and_refused_in_kafkas_words() {
    let file = |entries: &str| format!("{{\"version\":1,\"partitions\":[{entries}]}}");
    let entry = |number: i32, ids: &str| {
        format!("{{\"topic\":\"t\",\"partition\":{number},\"replicas\":[{ids}]}}")
    };
    let good = file::moves_to_make(&file(&entry(0, "1,2"))).unwrap();
    assert_eq!(good, [(place(0), vec![1, 2])].into());
    assert_eq!(
        file::as_json(&good),
        r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]}]}"#
    );
    assert_eq!(file::moves_to_make(&file::as_json(&good)).unwrap(), good);
    let refused = |text: &str| file::moves_to_make(text).unwrap_err().message;
    assert_eq!(refused("{}"), "Partition reassignment list cannot be empty");
    assert_eq!(refused(&file(&entry(0, ""))), "Partition replica list cannot be empty");
    assert_eq!(refused("{\"version\":2}"), "Not supported version field value 2");
    let twice = format!("{},{}", entry(0, "1"), entry(0, "2"));
    assert_eq!(
        refused(&file(&twice)),
        "Partition reassignment contains duplicate topic partitions: t-0"
    );
    assert_eq!(
        refused(&file(&entry(0, "1,1"))),
        "Partition replica lists may not contain duplicate entries: t-0 contains multiple entries \
         for 1"
    );
    let dirs = |dirs: &str| {
        let entry = entry(0, "1,2").replace('}', &format!(",\"log_dirs\":[{dirs}]}}"));
        refused(&file(&entry))
    };
    assert_eq!(
        dirs("\"any\""),
        "Size of replicas list [1, 2] is different from size of log dirs list [any] for partition \
         t-0"
    );
    assert!(dirs("\"/d\",\"any\"").contains("moves nothing between directories"));
    assert_eq!(
        file::topics(r#"{"topics":[{"topic":"a"},{"topic":"a"}]}"#).unwrap_err().message,
        "List of topics to reassign contains duplicate entries: [a]"
    );
    assert_eq!(
        file::brokers("1,2,1").unwrap_err().message,
        "Broker list contains duplicate entries: [1]"
    );
    assert_eq!(file::brokers("1,x").unwrap_err().message, "For input string: \"x\"");
}

#[test]
fn moves_are_told_of_as_kafka_tells_of_them() {
    let moving = Reassignment { replicas: vec![3, 1], adding: vec![3], removing: vec![1] };
    let under_way = BTreeMap::from([(place(2), moving)]);
    assert_eq!(
        listed(&under_way),
        "Current partition reassignments:\nt-2: replicas: 3,1. adding: 3. removing: 1."
    );
    assert_eq!(listed(&BTreeMap::new()), "No partition reassignments found.");
    let moves = vec![(place(2), vec![3]), (place(1), vec![2]), (place(0), vec![1])];
    let found = [(place(0), vec![1]), (place(1), vec![1, 2]), (place(2), vec![3, 1])].into();
    assert_eq!(
        states(&moves, &under_way, &found, false),
        "Status of partition reassignment:\nReassignment of partition t-0 is completed.\nThere is \
         no active reassignment of partition t-1, but replica set is 1,2 rather than \
         2.\nReassignment of partition t-2 is still in progress."
    );
    assert!(states(&moves, &under_way, &found, true).contains("t-0 completed successfully\n"));
}

#[test]
fn sources_and_destinations_are_throttled() {
    let moving = Reassignment { replicas: vec![3, 1], adding: vec![3], removing: vec![1] };
    let under_way = BTreeMap::from([(place(2), moving)]);
    let proposed = [(place(2), vec![4]), (place(10), vec![2, 5])].into();
    let current = [(place(2), vec![3, 1]), (place(10), vec![1, 2])].into();
    let map = throttle::move_map(&under_way, &proposed, &current);
    let set = |name: &str, value: &str| ConfigChange {
        name: name.to_owned(),
        operation: ConfigOperation::Set,
        value: Some(value.to_owned()),
    };
    assert_eq!(
        throttle::of_topic(&map["t"]),
        [
            set("leader.replication.throttled.replicas", "10:1,10:2,2:1"),
            set("follower.replication.throttled.replicas", "10:5,2:4"),
        ]
    );
    assert_eq!(throttle::brokers(&map), [1, 2, 4, 5].into());
}

#[test]
fn proposals_keep_the_number_of_replicas_and_use_the_brokers_asked_for() {
    let current: Assignment = (0..6).map(|number| (place(number), vec![1, 2])).collect();
    let brokers: Vec<Candidate<'_>> = vec![(7, Some("a")), (8, Some("b")), (9, Some("b"))];
    let proposed = propose(&current, &brokers).unwrap();
    assert!(proposed.keys().eq(current.keys()));
    for replicas in proposed.values() {
        assert_eq!(replicas.len(), 2);
        // One in each rack.
        assert_eq!(replicas.iter().filter(|id| **id == 7).count(), 1, "{replicas:?}");
    }
    let error = propose(&current, &brokers[..1]).unwrap_err();
    assert_eq!(error.message, "Replication factor: 2 larger than available brokers: 1.");
}
