use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_log::Compression;
use polyport_log::batch::Codec;

use super::*;
use crate::metadata::image::{Image, Overrides};

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn image(entities: &[(&str, &[(&str, &str)])]) -> Image {
    let mut image = Image::default();
    for (entity, pairs) in entities {
        let overrides = Overrides { values: values(pairs), version: 0 };
        image.overrides.insert((*entity).into(), Arc::new(overrides));
    }
    image
}

fn configs(fixed: &[(&str, &str)]) -> Configs {
    Configs::new(1, values(fixed)).unwrap()
}

fn entry(entries: Vec<Entry>, name: &str) -> Entry {
    entries.into_iter().find(|entry| entry.name == name).unwrap()
}

/// Synonyms as `kafka-configs` prints them.
fn shown(entry: &Entry) -> Vec<String> {
    let one = |synonym: &Synonym| {
        let value = synonym.value.as_deref().unwrap_or("null");
        format!("{:?}:{}={value}", synonym.source, synonym.name)
    };
    entry.synonyms.iter().map(one).collect()
}

#[test]
fn a_topics_value_is_its_own_then_the_brokers_then_the_default() {
    let of = |fixed: &[(&str, &str)], entities: &[(&str, &[(&str, &str)])]| {
        let log = configs(fixed).topic(&image(entities), "t").log;
        log.retention_ms
    };
    const HOUR: i64 = 3_600_000;
    assert_eq!(of(&[], &[]), Some(168 * HOUR));
    assert_eq!(of(&[("log.retention.hours", "2")], &[]), Some(2 * HOUR));
    let both = [("log.retention.hours", "2"), ("log.retention.minutes", "3")];
    assert_eq!(of(&both, &[]), Some(180_000));
    assert_eq!(of(&[("log.retention.hours", "-1")], &[]), None);
    let all: &[(&str, &str)] = &[("log.retention.ms", "4")];
    assert_eq!(of(&both, &[("brokers/<default>", all)]), Some(4));
    let mine: &[(&str, &str)] = &[("log.retention.ms", "5")];
    assert_eq!(of(&both, &[("brokers/<default>", all), ("brokers/1", mine)]), Some(5));
    assert_eq!(of(&both, &[("brokers/2", mine)]), Some(180_000));
    let own: &[(&str, &str)] = &[("retention.ms", "-1")];
    assert_eq!(of(&both, &[("brokers/1", mine), ("topics/t", own)]), None);
    // What cannot be changed at run time was not; what a tool wrote wrongly counts for nothing.
    assert_eq!(of(&[], &[("brokers/1", &[("log.retention.hours", "1")])]), Some(168 * HOUR));
    assert_eq!(of(&[], &[("topics/t", &[("retention.ms", "soon")])]), Some(168 * HOUR));
}

#[test]
fn a_log_is_configured_as_its_topic_says() {
    let own: &[(&str, &str)] = &[
        ("cleanup.policy", "compact,delete"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "-1"),
        ("segment.bytes", "1000"),
        ("segment.jitter.ms", "50"),
        ("min.insync.replicas", "2"),
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.difference.max.ms", "77"),
        ("message.timestamp.after.max.ms", "5"),
        ("retention.bytes", "123"),
        ("unclean.leader.election.enable", "true"),
    ];
    let (configs, image) = (configs(&[]), image(&[("topics/t", own)]));
    let topic = configs.topic(&image, "t");
    let log = &topic.log;
    assert!(log.compact && log.delete && log.log_append_time);
    assert_eq!(log.compression, Compression::Codec(Codec::Zstd));
    assert_eq!((log.compression_level, log.segment_bytes), (Some(-1), 1000));
    assert_eq!((log.timestamp_before_max_ms, log.timestamp_after_max_ms), (77, 5));
    assert_eq!((log.retention_bytes, topic.min_insync_replicas), (Some(123), 2));
    assert!(topic.unclean_leader_election && configs.unclean(&image, "t"));
    assert!(!configs.unclean(&image, "other"));
    let drawn = configs.partitions(&image, "t").log.segment_jitter_ms;
    assert!((0..50).contains(&drawn));
    assert_eq!(configs.partitions(&image, "t").log.segment_jitter_ms, drawn);

    // The defaults are those of a log by itself.
    let (plain, default) = (configs.topic(&image, "other").log, polyport_log::LogConfig::default());
    assert_eq!(format!("{plain:?}"), format!("{default:?}"));
}

#[test]
fn what_a_topic_may_not_set_is_refused_in_kafkas_words() {
    let refused = |pairs: &[(&str, &str)]| {
        let result = configs(&[]).validate_topic(&Image::default(), &values(pairs));
        result.unwrap_err().to_string()
    };
    assert_eq!(refused(&[("retention", "1")]), "Unknown topic config name: retention");
    let text = "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1";
    assert_eq!(refused(&[("min.insync.replicas", "0")]), text);
    let text =
        "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)";
    assert_eq!(refused(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]), text);
    let broker = configs(&[("log.cleaner.max.compaction.lag.ms", "8")]);
    let lag = values(&[("min.compaction.lag.ms", "9")]);
    assert!(broker.validate_topic(&Image::default(), &lag).is_err());
    assert!(refused(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage"));
    let good = values(&[("cleanup.policy", "compact"), ("flush.ms", "0")]);
    configs(&[]).validate_topic(&Image::default(), &good).unwrap();
    assert!(Configs::new(1, values(&[("num.partitions", "0")])).is_err());
    let listener = ("listener.name.x.ssl.client.auth", "perhaps");
    assert!(Configs::new(1, values(&[listener])).is_err());
}

#[test]
fn topics_are_described_as_kafka_describes_them() {
    let configs = configs(&[("log.retention.hours", "168"), ("log.segment.bytes", "1073741824")]);
    let own: &[(&str, &str)] = &[("segment.bytes", "1000")];
    let entries = configs.describe_topic(&image(&[("topics/t", own)]), "t");
    assert_eq!(entries.len(), 36);
    let segment = entry(entries.clone(), "segment.bytes");
    assert_eq!((segment.value.as_deref(), segment.source), (Some("1000"), Source::Topic));
    assert_eq!(
        shown(&segment),
        [
            "Topic:segment.bytes=1000",
            "StaticBroker:log.segment.bytes=1073741824",
            "Default:log.segment.bytes=1073741824"
        ]
    );
    assert_eq!((segment.kind, segment.read_only), (Some(Kind::Int), false));
    // Kafka shows no synonym of another name before the one of milliseconds.
    let retention = entry(entries.clone(), "retention.ms");
    assert_eq!(
        (retention.value.as_deref(), retention.source),
        (Some("604800000"), Source::Default)
    );
    assert!(retention.synonyms.is_empty());
    let remote = entry(entries.clone(), "remote.storage.enable");
    assert_eq!((remote.value.as_deref(), remote.source), (Some("false"), Source::Default));
    assert_eq!(entry(entries, "cleanup.policy").kind, Some(Kind::List));
}

#[test]
fn brokers_are_described_as_kafka_describes_them() {
    let configs = configs(&[
        ("log.dirs", "/a"),
        ("ssl.keystore.password", "secret"),
        ("my.plugin.key", "secret"),
        ("log.retention.hours", "2"),
    ]);
    let all: &[(&str, &str)] = &[("log.cleaner.threads", "2")];
    let mine: &[(&str, &str)] = &[("log.cleaner.threads", "3")];
    let image = image(&[("brokers/<default>", all), ("brokers/1", mine)]);
    let entries = configs.describe_broker(&image);
    assert!(entries.is_sorted_by_key(|entry| entry.name.clone()));
    let of = |name: &str| entry(entries.clone(), name);
    let threads = of("log.cleaner.threads");
    assert_eq!((threads.value.as_deref(), threads.source), (Some("3"), Source::DynamicBroker));
    assert_eq!(
        shown(&threads),
        [
            "DynamicBroker:log.cleaner.threads=3",
            "DynamicDefaultBroker:log.cleaner.threads=2",
            "Default:log.cleaner.threads=1"
        ]
    );
    assert!(!threads.read_only && of("log.dirs").read_only);
    let password = of("ssl.keystore.password");
    assert_eq!((password.sensitive, password.value), (true, None));
    let plugin = of("my.plugin.key");
    assert_eq!((plugin.sensitive, plugin.value, plugin.kind), (true, None, None));
    assert_eq!(shown(&of("log.retention.hours"))[0], "StaticBroker:log.retention.hours=2");
    assert_eq!(of("log.retention.ms").value, None);
    assert_eq!(configs.broker_number(&image, "log.retention.ms"), 7_200_000);
    assert_eq!(configs.broker(&image, "log.dirs"), Some(Value::Text("/a".to_owned())));
    assert!(configs.broker_flag(&image, "auto.create.topics.enable"));
    assert_eq!(configs.broker(&image, "broker.rack"), None);
    let shared = configs.describe_all_brokers(&image);
    assert_eq!(shared.len(), 1);
    assert_eq!(shown(&shared[0]), ["DynamicDefaultBroker:log.cleaner.threads=2"]);
}

/// An entry as `kafka-configs --describe --all` prints it.
fn line(entry: &Entry) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let one = |synonym: &Synonym| {
        let source = match synonym.source {
            Source::Topic => "DYNAMIC_TOPIC_CONFIG",
            Source::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Source::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Source::StaticBroker => "STATIC_BROKER_CONFIG",
            Source::Default => "DEFAULT_CONFIG",
        };
        format!("{source}:{}={}", synonym.name, text(&synonym.value))
    };
    let synonyms: Vec<_> = entry.synonyms.iter().map(one).collect();
    let (name, value, sensitive) = (&entry.name, text(&entry.value), entry.sensitive);
    format!("{name}={value} sensitive={sensitive} synonyms={{{}}}", synonyms.join(", "))
}

/// What the files were printed for.
fn described() -> (Configs, Image) {
    let file = [
        ("broker.rack", "r1"),
        ("listeners", "PLAINTEXT://127.0.0.1:21201"),
        ("log.dirs", "/logs"),
        ("num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("zookeeper.connect", "127.0.0.1:21200"),
    ];
    let configs = Configs::new(0, values(&file)).unwrap();
    (configs, image(&[("topics/abc", &[("retention.ms", "1000")])]))
}

#[test]
fn a_topic_is_described_word_for_word_as_by_kafka() {
    let (configs, image) = described();
    let ours: Vec<_> = configs.describe_topic(&image, "abc").iter().map(line).collect();
    let theirs: Vec<_> = include_str!("kafka-configs-topic.txt").lines().collect();
    assert_eq!(ours, theirs);
}

#[test]
fn a_broker_is_described_word_for_word_as_by_kafka() {
    let (configs, image) = described();
    let theirs: Vec<_> = include_str!("kafka-configs-broker.txt").lines().collect();
    let entries = configs.describe_broker(&image);
    assert!(entries.len() > 190);
    let ours: Vec<_> = entries.iter().map(line).collect();
    let other: Vec<_> = ours.iter().filter(|line| !theirs.contains(&line.as_str())).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn what_kafka_does_not_show_has_its_value_all_the_same() {
    const NAME: &str = "producer.id.expiration.check.interval.ms";
    let of = |pairs: &[(&str, &str)]| configs(pairs).broker_number(&Image::default(), NAME);
    assert_eq!(of(&[]), 600_000);
    assert_eq!(of(&[(NAME, "5")]), 5);
    let shown = configs(&[]).describe_broker(&Image::default());
    assert!(shown.iter().all(|entry| entry.name != NAME));
}

#[test]
fn throttled_rates_are_set_at_run_time_and_shown_where_they_are() {
    const NAME: &str = "leader.replication.throttled.rate";
    let shown = |image: &Image| {
        let entries = configs(&[]).describe_broker(image).into_iter();
        entries.filter(|entry| entry.name == NAME).collect::<Vec<_>>()
    };
    assert!(shown(&Image::default()).is_empty());
    let own: &[(&str, &str)] = &[(NAME, "1000")];
    let [entry] = &shown(&image(&[("brokers/1", own)]))[..] else { panic!("it is not shown") };
    assert_eq!(self::shown(entry), ["DynamicBroker:leader.replication.throttled.rate=1000"]);
    assert!(!entry.read_only);
    let all: &[(&str, &str)] = &[(NAME, "7")];
    assert_eq!(configs(&[]).broker_number(&image(&[("brokers/<default>", all)]), NAME), 7);
}
