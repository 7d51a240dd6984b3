use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_base::clock::SystemClock;
use polyport_kafka::metadata::TopicId;
use polyport_kafka::metadata::broker::{RegisterError, Registration};
use polyport_kafka::metadata::config::Configs;
use polyport_kafka::metadata::controller::Requests;
use polyport_kafka::metadata::topics::{
    CONSUMER_OFFSETS, InternalFactor, InternalTopic, Layout, NewTopic, TRANSACTION_STATE,
    TopicError,
};
use polyport_tree::client::{self, Client, writes};
use polyport_tree::watch::WatchKind;

use crate::node::{Directory, Node, broker, free_ports, in_time, topic};

async fn node(name: &str) -> (Directory, Node) {
    let dir = Directory::new(&format!("kafka-{name}"));
    let node = Node::start(1, &free_ports(1), &dir.0, 1).await;
    (dir, node)
}

#[tokio::test]
async fn a_lone_broker_registers_and_is_the_controller() {
    let (_dir, node) = node("alone").await;
    let image = node.until("a controller", |image| image.controller == Some(1)).await;
    assert_eq!(*image.cluster_id, *node.cluster_id);
    assert_eq!(image.controller_epoch.0, 1);
    assert_eq!(image.brokers()[&1].endpoint("PLAINTEXT").unwrap().port, 9093);
    assert_eq!(node.text("/controller_epoch"), "1");
    let id = format!(r#"{{"version":"1","id":"{}"}}"#, node.cluster_id);
    assert_eq!(node.text("/cluster/id"), id);
    assert_eq!(node.cluster_id.len(), 22);
    assert_eq!(node.text("/feature"), r#"{"features":{},"version":2,"status":1}"#);
    let json = node.text("/brokers/ids/1");
    assert!(json.contains(r#""endpoints":["PLAINTEXT://127.0.0.1:9093"],"jmx_port":-1"#), "{json}");
    let controller = node.text("/controller");
    assert!(controller.starts_with(r#"{"version":2,"brokerid":1,"timestamp":""#), "{controller}");
}

#[tokio::test]
async fn topics_are_made_grown_and_deleted() {
    let (_dir, node) = node("topics").await;
    let mut new = topic("t", 3, 1);
    new.configs = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let dry = node.topics.create(&new, true).await.unwrap();
    assert_eq!((dry.id, dry.partitions, dry.replication_factor), (TopicId::ZERO, 3, 1));
    assert!(node.images.fresh().await.topic("t").is_none());

    let made = in_time(node.topics.create(&new, false)).await.unwrap();
    let image = node.images.at(made.zxid).await;
    let known = image.topic("t").unwrap();
    assert_eq!((known.id, known.partitions.len()), (made.id, 3));
    assert!(known.partitions.iter().all(|partition| partition.leader() == Some(1)));
    assert_eq!(image.topic_by_id(made.id).unwrap().name, known.name);
    let json = node.text("/brokers/topics/t");
    let id = made.id;
    let expected = format!(
        r#"{{"partitions":{{"0":[1],"1":[1],"2":[1]}},"topic_id":"{id}","adding_replicas":{{}},"removing_replicas":{{}},"version":3}}"#
    );
    assert_eq!(json, expected);
    let state = node.text("/brokers/topics/t/partitions/2/state");
    assert!(state.ends_with(r#""leader":1,"version":1,"leader_epoch":0,"isr":[1]}"#), "{state}");
    let config = r#"{"version":1,"config":{"retention.ms":"5"}}"#;
    assert_eq!(node.text("/config/topics/t"), config);

    let again = node.topics.create(&new, false).await.unwrap_err();
    assert_eq!(again, TopicError::Exists("Topic 't' already exists.".to_owned()));

    let zxid = in_time(node.topics.create_partitions("t", 5, None, false)).await.unwrap();
    let image = node.images.at(zxid).await;
    let known = image.topic("t").unwrap();
    assert_eq!((known.id, known.partitions.len()), (made.id, 5));
    assert_eq!(image.partition("t", 4).unwrap().leader(), Some(1));
    let fewer = node.topics.create_partitions("t", 4, None, false).await.unwrap_err();
    assert!(
        fewer.to_string().contains("has 5 partition(s); 4 would not be an increase."),
        "{fewer}"
    );

    in_time(node.topics.delete("t")).await.unwrap();
    in_time(node.topics.gone("t", made.id)).await;
    let image = node.until("the mark's end", |image| !image.is_deleting("t")).await;
    assert!(image.topic_by_id(made.id).is_none() && image.overrides("topics/t").is_none());
    for path in ["/brokers/topics/t", "/config/topics/t", "/admin/delete_topics/t"] {
        assert!(node.client.get(path).is_none(), "{path}");
    }
    let unknown = node.topics.delete("t").await.unwrap_err();
    assert_eq!(unknown.to_string(), "The topic 't' does not exist.");
    let anew = in_time(node.topics.create(&topic("t", 1, 1), false)).await.unwrap();
    assert_ne!(anew.id, made.id);
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_kafkas_words() {
    let (_dir, node) = node("refused").await;
    node.topics.create(&topic("a.b", 1, 1), false).await.unwrap();
    let refused = async |new: NewTopic| node.topics.create(&new, false).await.unwrap_err();
    let text = "Topic 'a_b' collides with existing topics: a.b";
    assert_eq!(refused(topic("a_b", 1, 1)).await, TopicError::InvalidName(text.to_owned()));
    assert!(matches!(refused(topic("a/b", 1, 1)).await, TopicError::InvalidName(_)));
    let text = "Replication factor: 3 larger than available brokers: 1.";
    let error = TopicError::InvalidReplicationFactor(text.to_owned());
    assert_eq!(refused(topic("b", 1, 3)).await, error);
    assert!(matches!(refused(topic("b", 0, 1)).await, TopicError::InvalidPartitions(_)));
    let assigned = |replicas: &[(i32, &[i32])]| {
        let replicas = replicas.iter().map(|(partition, ids)| (*partition, ids.to_vec()));
        let layout = Layout::Assigned(replicas.collect());
        NewTopic { name: "b".to_owned(), layout, configs: BTreeMap::new() }
    };
    let gap: [(i32, &[i32]); 2] = [(0, &[1]), (2, &[1])];
    for wrong in [&gap[..], &[(0, &[1, 1])], &[(0, &[7])], &[(0, &[])], &[], &[(0, &[1]), (1, &[])]]
    {
        let error = refused(assigned(wrong)).await;
        assert!(matches!(error, TopicError::InvalidReplicaAssignment(_)), "{wrong:?}: {error}");
    }
    node.topics.create(&assigned(&[(0, &[1])]), false).await.unwrap();
}

#[tokio::test]
async fn a_topic_too_large_for_one_transaction_is_finished_by_the_controller() {
    let (_dir, node) = node("large").await;
    node.until("a controller", |image| image.controller == Some(1)).await;
    let made = in_time(node.topics.create(&topic("large", 5000, 1), false)).await.unwrap();
    in_time(node.topics.led("large")).await;
    let image = node.images.at(made.zxid).await;
    assert_eq!(image.topic("large").unwrap().partitions.len(), 5000);
    in_time(node.topics.delete("large")).await.unwrap();
    in_time(node.topics.gone("large", made.id)).await;
    assert!(node.client.get("/brokers/topics/large").is_none());
}

#[tokio::test]
async fn internal_topics_get_what_a_lone_node_can_give() {
    let (_dir, node) = node("internal").await;
    for _ in 0..2 {
        node.topics.ensure(CONSUMER_OFFSETS, 1).await.unwrap();
        node.topics.ensure(TRANSACTION_STATE, 1).await.unwrap();
        node.topics.ensure("plain", 1).await.unwrap();
    }
    let image = node.images.current();
    let known = |topic: &str| {
        let topic = image.topic(topic).unwrap();
        (topic.partitions.len(), topic.partition(0).unwrap().replicas.len())
    };
    assert_eq!((known(CONSUMER_OFFSETS), known("plain")), ((50, 1), (1, 1)));
    let offsets = node.configs.topic(&image, CONSUMER_OFFSETS).log;
    assert!(offsets.compact && !offsets.delete && offsets.segment_bytes == 100 << 20);
    assert_eq!(node.configs.topic(&image, TRANSACTION_STATE).min_insync_replicas, 1);
    assert_eq!(InternalFactor::AtMost(3).resolve(2), 2);
    assert_eq!(InternalFactor::AtMost(3).resolve(5), 3);
    // What the operator has set is meant.
    let fixed = [("offsets.topic.replication.factor".to_owned(), "3".to_owned())].into();
    let configs = Configs::new(1, fixed).unwrap();
    let offsets = InternalTopic::named(CONSUMER_OFFSETS, &configs, &image, 1).unwrap();
    assert_eq!(offsets.replication_factor.resolve(1), 3);
    let refused = node.topics.create(&topic("three", 1, 3), false).await;
    assert!(matches!(refused, Err(TopicError::InvalidReplicationFactor(_))), "{refused:?}");
}

#[tokio::test]
async fn changes_are_told_to_subscribers() {
    let (_dir, node) = node("changes").await;
    let mut changes = node.images.subscribe();
    assert_eq!(changes.next().await.before.topic_count(), 0);
    let made = node.topics.create(&topic("t", 2, 1), false).await.unwrap();
    node.images.at(made.zxid).await;
    let mut seen = changes.next().await;
    while !seen.changes.topics.contains("t") {
        seen = changes.next().await;
    }
    assert!(seen.before.topic("t").is_none());
    for number in 0..2 {
        assert!(seen.changes.partitions.contains(&("t".into(), number)));
    }
    assert!(seen.changes.overrides.contains("topics/t"));
    // What a tool writes into the tree is seen too.
    let json = r#"{"version":1,"config":{"segment.bytes":"77"}}"#;
    let set = writes::set("/config/topics/t", json.as_bytes(), -1);
    let zxid = node.client.write(set).await.unwrap().zxid;
    let image = node.images.at(zxid).await;
    assert_eq!(image.overrides("topics/t").unwrap().values["segment.bytes"], "77");
}

#[tokio::test]
async fn requests_by_znode_are_carried_out_and_removed() {
    let (_dir, node) = node("requests").await;
    node.topics.create(&topic("t", 2, 1), false).await.unwrap();
    let (client, images) = (node.client.clone(), node.images.clone());
    // One was there before the controller.
    let election = br#"{"version":1,"partitions":[{"topic":"t","partition":0}]}"#;
    let path = "/admin/preferred_replica_election";
    client.write(writes::create(path, election)).await.unwrap();
    let mut watch = client.watch(WatchKind::PersistentRecursive, &["/admin"]);
    let _requests = Requests::start(client.clone(), images, node.topics.clone(), 1);
    while client.get(path).is_some() {
        in_time(watch.next()).await;
    }
    let path = "/admin/reassign_partitions";
    for json in [
        r#"{"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[1]},
            {"topic":"t","partition":1,"replicas":[7]},{"topic":"none","partition":0,"replicas":[1]}]}"#,
        "nonsense",
    ] {
        client.write(writes::create(path, json.as_bytes())).await.unwrap();
        while client.get(path).is_some() {
            in_time(watch.next()).await;
        }
    }
    let image = node.images.fresh().await;
    assert_eq!(image.partition("t", 1).unwrap().replicas[..], [1]);
}

#[tokio::test]
async fn the_id_of_a_living_broker_is_taken() {
    let (_dir, node) = node("taken").await;
    let replica = node.client.replica().clone();
    let other = Client::open(replica, client::Options::default()).await.unwrap();
    let taken = Registration::start(other, 1, broker(1), Arc::new(SystemClock)).await;
    let error = taken.err().unwrap();
    assert!(matches!(&error, RegisterError::Taken { id: 1, .. }));
    let text = error.to_string();
    assert!(text.contains("PLAINTEXT://127.0.0.1:9093") && text.contains("node.id"), "{text}");
}

#[tokio::test]
async fn a_restart_takes_over_at_once_in_another_leader_epoch() {
    let dir = Directory::new("kafka-restart");
    let first = Node::start(1, &free_ports(1), &dir.0, 1).await;
    first.until("a controller", |image| image.controller == Some(1)).await;
    let made = first.topics.create(&topic("t", 1, 1), false).await.unwrap();
    let epoch = first.images.at(made.zxid).await.brokers()[&1].epoch;
    first.cluster.shutdown().await;
    drop(first);
    let second = Node::start(1, &free_ports(1), &dir.0, 2).await;
    let image = second
        .until("another leader epoch", |image| {
            image.partition("t", 0).is_some_and(|p| p.leader_epoch() == 1)
        })
        .await;
    assert_eq!(image.partition("t", 0).unwrap().leader(), Some(1));
    assert_eq!(image.topic("t").unwrap().id, made.id);
    assert!(image.brokers()[&1].epoch > epoch);
    assert_eq!((image.controller, image.controller_epoch.0), (Some(1), 2));
}

#[tokio::test]
async fn a_broker_whose_session_was_lost_registers_anew() {
    let (_dir, node) = node("lost").await;
    node.until("a controller", |image| image.controller == Some(1)).await;
    node.topics.create(&topic("t", 1, 1), false).await.unwrap();
    let epoch = node.images.fresh().await.brokers()[&1].epoch;
    let session = *node.client.session().borrow();
    // A restore ends every session.
    let backup = node.cluster.backup().await.unwrap();
    let (frames, received) = tokio::sync::mpsc::channel(64);
    let restored = node.client.replica().restore(received);
    let send = async move {
        let mut sent = 0;
        while sent < backup.len {
            let piece = backup.piece(sent).unwrap();
            sent += piece.len() as u64;
            frames.send(piece).await.unwrap();
        }
        frames.send(bytes::Bytes::new()).await.unwrap();
    };
    let (restored, ()) = in_time(async { tokio::join!(restored, send) }).await;
    restored.unwrap();
    let image = node
        .until("a new registration and controller", |image| {
            let anew = image.brokers().get(&1).is_some_and(|broker| broker.epoch > epoch);
            anew && image.controller == Some(1) && image.controller_epoch.0 > 1
        })
        .await;
    assert_ne!(*node.client.session().borrow(), session);
    assert!(image.topic("t").is_some());
    node.until("another leader epoch", |image| {
        image.partition("t", 0).is_some_and(|p| p.leader_epoch() > 0 && p.leader() == Some(1))
    })
    .await;
}
