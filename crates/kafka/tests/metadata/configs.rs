use std::collections::BTreeMap;

use polyport_kafka::metadata::config::Op;
use polyport_kafka::metadata::topics::TopicError;

use crate::node::{Directory, Node, free_ports, in_time, topic};

fn set(name: &str, value: &str) -> (String, Op) {
    (name.to_owned(), Op::Set(value.to_owned()))
}

fn invalid(error: TopicError) -> String {
    match error {
        TopicError::InvalidConfig(text) | TopicError::InvalidRequest(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn topics_configurations_are_changed_as_a_whole_and_piece_by_piece() {
    let dir = Directory::new("kafka-configs");
    let node = Node::start(1, &free_ports(1), &dir.0, 1).await;
    node.topics.create(&topic("t", 1, 1), false).await.unwrap();
    let alter = &node.alterations;
    let own = || {
        let (json, _) = node.client.get("/config/topics/t").unwrap();
        String::from_utf8(json).unwrap()
    };
    let ops = [set("retention.ms", "5"), set("flush.ms", "6")];
    alter.topic_incrementally("t", &ops, true).await.unwrap();
    assert_eq!(own(), r#"{"version":1,"config":{}}"#);
    let zxid = alter.topic_incrementally("t", &ops, false).await.unwrap();
    let image = node.images.at(zxid).await;
    assert_eq!(node.configs.topic(&image, "t").log.retention_ms, Some(5));

    let append = ("cleanup.policy".to_owned(), Op::Append("compact,delete".to_owned()));
    let delete = ("flush.ms".to_owned(), Op::Delete);
    alter.topic_incrementally("t", &[append, delete], false).await.unwrap();
    let json = r#"{"version":1,"config":{"cleanup.policy":"delete,compact","retention.ms":"5"}}"#;
    assert_eq!(own(), json);
    let subtract = ("cleanup.policy".to_owned(), Op::Subtract("delete".to_owned()));
    alter.topic_incrementally("t", &[subtract], false).await.unwrap();
    let whole = BTreeMap::from([("segment.ms".to_owned(), "7".to_owned())]);
    assert!(own().contains(r#""cleanup.policy":"compact""#));
    alter.topic("t", &whole, false).await.unwrap();
    assert_eq!(own(), r#"{"version":1,"config":{"segment.ms":"7"}}"#);

    let error = alter.topic_incrementally("t", &[set("retention.ms", "x")], false).await;
    let text = "Invalid config value for resource ConfigResource(type=TOPIC, name='t'): Invalid \
                value x for configuration retention.ms: Not a number of type LONG";
    assert_eq!(invalid(error.unwrap_err()), text);
    let append = ("retention.ms".to_owned(), Op::Append("1".to_owned()));
    let error = alter.topic_incrementally("t", &[append], false).await.unwrap_err();
    let text = "Config value append is not allowed for config key: retention.ms";
    assert_eq!(invalid(error), text);
    let unknown = alter.topic("none", &whole, false).await.unwrap_err();
    assert!(matches!(unknown, TopicError::Unknown(_)));
    assert!(node.client.get("/config/topics/none").is_none());
    let mut wrong = topic("wrong", 1, 1);
    wrong.configs = BTreeMap::from([("no.such".to_owned(), "1".to_owned())]);
    let error = node.topics.create(&wrong, true).await.unwrap_err();
    assert_eq!(invalid(error), "Unknown topic config name: no.such");

    // Many at once: none is lost.
    let mut all = tokio::task::JoinSet::new();
    for name in ["retention.bytes", "flush.messages", "index.interval.bytes", "segment.bytes"] {
        let alter = alter.clone();
        all.spawn(async move {
            alter.topic_incrementally("t", &[set(name, "1000")], false).await.unwrap();
        });
    }
    in_time(all.join_all()).await;
    assert_eq!(own().matches("1000").count(), 4);
}

#[tokio::test]
async fn brokers_configurations_are_changed_while_they_run() {
    let dir = Directory::new("kafka-broker-configs");
    let node = Node::start(1, &free_ports(1), &dir.0, 1).await;
    let alter = &node.alterations;
    let error = alter.broker_incrementally(Some(1), &[set("log.dirs", "/x")], false).await;
    let text = "Cannot update these configs dynamically: Set(log.dirs)";
    assert_eq!(invalid(error.unwrap_err()), text);
    let protocols = [set("ssl.client.auth", "required")];
    let error = alter.broker_incrementally(None, &protocols, false).await.unwrap_err();
    assert!(invalid(error).ends_with("broker id must be specified: Set(ssl.client.auth)"));
    let key = [set("ssl.key.password", "x")];
    let error = alter.broker_incrementally(Some(1), &key, false).await.unwrap_err();
    assert!(invalid(error).contains("listener prefix"));
    let key = [set("listener.name.a.ssl.key.password", "x")];
    let error = alter.broker_incrementally(Some(1), &key, false).await.unwrap_err();
    assert!(invalid(error).contains("secret"));

    alter.broker_incrementally(None, &[set("log.retention.ms", "9")], false).await.unwrap();
    let values = BTreeMap::from([("log.retention.ms".to_owned(), "8".to_owned())]);
    let zxid = alter.broker(Some(1), &values, false).await.unwrap();
    let image = node.images.at(zxid).await;
    assert_eq!(node.configs.topic(&image, "t").log.retention_ms, Some(8));
    assert_eq!(node.configs.broker_number(&image, "log.retention.hours"), 0);
    let json = r#"{"version":1,"config":{"log.retention.ms":"9"}}"#;
    assert_eq!(node.text("/config/brokers/<default>"), json);

    let quota = |value: Option<&str>| {
        BTreeMap::from([("consumer_byte_rate".to_owned(), value.map(str::to_owned))])
    };
    let entity = "users/alice/clients/app";
    alter.entity(entity, &quota(Some("10")), false).await.unwrap();
    let zxid = alter.entity(entity, &quota(Some("20")), false).await.unwrap();
    let image = node.images.at(zxid).await;
    assert_eq!(image.overrides(entity).unwrap().values["consumer_byte_rate"], "20");
    let zxid = alter.entity(entity, &quota(None), false).await.unwrap();
    assert!(node.images.at(zxid).await.overrides(entity).unwrap().values.is_empty());
}
