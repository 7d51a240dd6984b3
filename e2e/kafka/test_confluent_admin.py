"""librdkafka's admin client: topics, partitions, configurations, the cluster."""

import time

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient, ConfigResource, NewPartitions, NewTopic,
)

from harness.wait import until
from librdkafka import code, consumer, producer, send, since

pytestmark = pytest.mark.timeout(60)


def create(admin, topic, partitions=1, **options):
    new = NewTopic(topic, num_partitions=partitions, **({"replication_factor": 1} | options))
    return admin.create_topics([new])[topic].result(30)


def topic_config(admin, topic):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(30)


def test_a_topic_is_created_seen_and_deleted(admin, name):
    create(admin, name, 3)
    seen = until(lambda: admin.list_topics(name, 10).topics[name], what="the topic")
    assert seen.error is None
    assert sorted(seen.partitions) == [0, 1, 2]
    broker = seen.partitions[0].leader
    for partition in seen.partitions.values():
        assert partition.replicas == [broker] and partition.isrs == [broker]
    assert name in admin.list_topics(timeout=10).topics
    admin.delete_topics([name])[name].result(30)
    until(lambda: name not in admin.list_topics(timeout=10).topics, what="the end of the topic")


def test_a_topic_that_exists_is_not_created_again(admin, topic):
    with pytest.raises(KafkaException) as raised:
        create(admin, topic)
    assert code(raised) == KafkaError.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize("bad, error", [
    ("no spaces", KafkaError.TOPIC_EXCEPTION),
    ("a" * 250, KafkaError.TOPIC_EXCEPTION),
    (".", KafkaError.TOPIC_EXCEPTION),
    ("..", KafkaError.TOPIC_EXCEPTION),
    ("ünicode", KafkaError.TOPIC_EXCEPTION),
], ids=["space", "long", "dot", "dots", "unicode"])
def test_a_bad_name_is_refused(admin, bad, error):
    with pytest.raises(KafkaException) as raised:
        create(admin, bad)
    assert code(raised) == error


def test_names_that_differ_only_by_dot_and_underscore_collide(admin, make_topic):
    first = make_topic(suffix="_x")
    with pytest.raises(KafkaException) as raised:
        create(admin, first.replace("_x", ".x"))
    assert code(raised) == KafkaError.TOPIC_EXCEPTION


@pytest.mark.parametrize("options, error", [
    ({"num_partitions": 0}, KafkaError.INVALID_PARTITIONS),
    ({"num_partitions": 1, "replication_factor": 0}, KafkaError.INVALID_REPLICATION_FACTOR),
    ({"num_partitions": 1, "replication_factor": 2}, KafkaError.INVALID_REPLICATION_FACTOR),
], ids=["partitions", "replicas", "more-replicas-than-brokers"])
def test_bad_numbers_are_refused(admin, name, options, error):
    with pytest.raises(KafkaException) as raised:
        new = NewTopic(name, **({"replication_factor": 1} | options))
        admin.create_topics([new])[name].result(30)
    assert code(raised) == error


@pytest.mark.parametrize("config", [
    {"retention.ms": "soon"}, {"cleanup.policy": "burn"}, {"no.such.config": "1"},
    {"min.insync.replicas": "0"}, {"compression.type": "rar"},
], ids=lambda config: next(iter(config)))
def test_a_bad_configuration_is_refused(admin, name, config):
    with pytest.raises(KafkaException) as raised:
        create(admin, name, config=config)
    assert code(raised) == KafkaError.INVALID_CONFIG


def test_replicas_may_be_assigned_by_hand(admin, name):
    broker = next(iter(admin.list_topics(timeout=10).brokers))
    admin.create_topics([NewTopic(name, num_partitions=2, replica_assignment=[[broker], [broker]])]
                        )[name].result(30)
    seen = until(lambda: admin.list_topics(name, 10).topics[name].partitions, what="the topic")
    assert len(seen) == 2
    admin.delete_topics([name])[name].result(30)


def test_replicas_on_a_broker_that_is_not_there_are_refused(admin, name):
    with pytest.raises(KafkaException) as raised:
        admin.create_topics([NewTopic(name, num_partitions=1, replica_assignment=[[4711]])]
                            )[name].result(30)
    assert code(raised) == KafkaError.INVALID_REPLICA_ASSIGNMENT


def test_validation_only_creates_nothing(admin, name):
    new = NewTopic(name, num_partitions=1, replication_factor=1)
    admin.create_topics([new], validate_only=True)[name].result(30)
    assert name not in admin.list_topics(timeout=10).topics


def test_several_topics_of_one_request_succeed_or_fail_alone(admin, name):
    new = [NewTopic(f"{name}-a", 1, 1), NewTopic("bad name", 1, 1), NewTopic(f"{name}-b", 1, 1)]
    results = admin.create_topics(new)
    results[f"{name}-a"].result(30)
    results[f"{name}-b"].result(30)
    with pytest.raises(KafkaException):
        results["bad name"].result(30)
    for result in admin.delete_topics([f"{name}-a", f"{name}-b"]).values():
        result.result(30)


def test_a_topic_that_is_not_there_cannot_be_deleted(admin, name):
    with pytest.raises(KafkaException) as raised:
        admin.delete_topics([name])[name].result(30)
    assert code(raised) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_deleted_topic_comes_back_empty(admin, bootstrap, name):
    create(admin, name)
    send(producer(bootstrap), name, [b"old"])
    admin.delete_topics([name])[name].result(30)
    until(lambda: name not in admin.list_topics(timeout=10).topics, what="the end of the topic")
    create(admin, name)
    reader = consumer(bootstrap, name)
    try:
        low_high = until(lambda: watermarks(reader, name), what="the new topic")
        assert low_high == (0, 0)
        send(producer(bootstrap), name, [b"new"])
        assert watermarks(reader, name) == (0, 1)
    finally:
        reader.close()
        admin.delete_topics([name])


def watermarks(reader, topic):
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    except KafkaException:
        return None


def test_partitions_grow_and_never_shrink(admin, bootstrap, topic):
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    until(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == 4,
          what="four partitions")
    delivered = send(producer(bootstrap), topic, [b"last"], partition=3)
    assert delivered[0].offset() == 0
    for wrong in (4, 2):
        with pytest.raises(KafkaException) as raised:
            admin.create_partitions([NewPartitions(topic, wrong)])[topic].result(30)
        assert code(raised) == KafkaError.INVALID_PARTITIONS


def test_partitions_of_no_topic(admin, name):
    with pytest.raises(KafkaException) as raised:
        admin.create_partitions([NewPartitions(name, 2)])[name].result(30)
    assert code(raised) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_topics_configuration_says_where_each_value_comes_from(admin, make_topic):
    topic = make_topic(retention_ms=3600000, cleanup_policy="compact")
    config = topic_config(admin, topic)
    assert config["retention.ms"].value == "3600000"
    assert config["retention.ms"].source == 1 and not config["retention.ms"].is_default
    assert config["cleanup.policy"].value == "compact"
    assert config["segment.bytes"].value == "1073741824"
    assert config["segment.bytes"].source == 5 and config["segment.bytes"].is_default
    assert config["max.message.bytes"].value == "1048588"
    assert config["compression.type"].value == "producer"
    assert config["message.timestamp.type"].value == "CreateTime"
    assert not config["retention.ms"].is_read_only and not config["retention.ms"].is_sensitive


# The keys of kafka-configs.sh --describe --all in 3.9.
TOPIC_KEYS = set("""cleanup.policy compression.gzip.level compression.lz4.level compression.type
compression.zstd.level delete.retention.ms file.delete.delay.ms flush.messages flush.ms
follower.replication.throttled.replicas index.interval.bytes leader.replication.throttled.replicas
local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes
message.downconversion.enable message.format.version message.timestamp.after.max.ms
message.timestamp.before.max.ms message.timestamp.difference.max.ms message.timestamp.type
min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate
remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable retention.bytes
retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms
unclean.leader.election.enable""".split())


def test_a_topic_has_the_configurations_of_kafka(admin, topic):
    assert set(topic_config(admin, topic)) == TOPIC_KEYS


def test_configurations_of_no_topic(admin, name):
    with pytest.raises(KafkaException) as raised:
        topic_config(admin, name)
    assert code(raised) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_configuration_is_replaced_as_a_whole(admin, make_topic):
    topic = make_topic(retention_ms=3600000)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"segment.bytes": "2000000"})
    admin.alter_configs([resource])[resource].result(30)
    config = until(lambda: (c := topic_config(admin, topic))["segment.bytes"].value == "2000000"
                   and c, what="the new configuration")
    assert config["retention.ms"].value == "604800000"


@since("incremental_alter_configs")
def test_single_configurations_are_set_deleted_appended_and_subtracted(admin, make_topic):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry
    topic = make_topic(retention_ms=3600000)

    def alter(key, value, how):
        entry = ConfigEntry(key, value, incremental_operation=how)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(30)

    def becomes(key, value):
        until(lambda: topic_config(admin, topic)[key].value == value, what=f"{key}={value}")

    alter("max.message.bytes", "2000", AlterConfigOpType.SET)
    becomes("max.message.bytes", "2000")
    becomes("retention.ms", "3600000")
    alter("retention.ms", None, AlterConfigOpType.DELETE)
    becomes("retention.ms", "604800000")
    alter("cleanup.policy", "compact", AlterConfigOpType.APPEND)
    becomes("cleanup.policy", "delete,compact")
    alter("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT)
    becomes("cleanup.policy", "compact")
    with pytest.raises(KafkaException) as raised:
        alter("max.message.bytes", "many", AlterConfigOpType.SET)
    assert code(raised) == KafkaError.INVALID_CONFIG
    with pytest.raises(KafkaException) as raised:
        alter("max.message.bytes", "1", AlterConfigOpType.APPEND)
    assert code(raised) == KafkaError.INVALID_CONFIG


@since("incremental_alter_configs")
def test_a_brokers_configuration_changes_while_it_runs(admin):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry
    broker = str(next(iter(admin.list_topics(timeout=10).brokers)))

    def value():
        resource = ConfigResource(ConfigResource.Type.BROKER, broker)
        return admin.describe_configs([resource])[resource].result(30)

    def alter(how, text=None):
        entry = ConfigEntry("log.cleaner.threads", text, incremental_operation=how)
        resource = ConfigResource(ConfigResource.Type.BROKER, broker, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(30)

    before = value()
    assert before["log.cleaner.threads"].value == "1"
    assert before["group.initial.rebalance.delay.ms"].source == 4
    assert before["num.io.threads"].value == "8"
    alter(AlterConfigOpType.SET, "2")
    until(lambda: value()["log.cleaner.threads"].value == "2", what="the changed configuration")
    assert value()["log.cleaner.threads"].source == 2
    alter(AlterConfigOpType.DELETE)
    until(lambda: value()["log.cleaner.threads"].value == "1", what="the default")


def test_metadata_of_no_topic(admin, name):
    seen = admin.list_topics(name, 10).topics[name]
    assert seen.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_the_cluster_names_itself_its_controller_and_its_brokers(admin, bootstrap):
    seen = admin.list_topics(timeout=10)
    assert len(seen.cluster_id) == 22
    assert seen.controller_id in seen.brokers
    only = seen.brokers[seen.controller_id]
    assert f"{only.host}:{only.port}" == bootstrap


@since("describe_cluster")
def test_without_an_authorizer_everything_is_authorized(admin):
    cluster = admin.describe_cluster(include_authorized_operations=True).result(30)
    assert cluster.authorized_operations


@since("describe_cluster")
def test_the_cluster_is_described(admin, bootstrap):
    cluster = admin.describe_cluster().result(30)
    assert cluster.cluster_id == admin.list_topics(timeout=10).cluster_id
    assert [f"{node.host}:{node.port}" for node in cluster.nodes] == [bootstrap]
    assert cluster.controller.id == cluster.nodes[0].id


@since("describe_topics")
def test_topics_are_described(admin, make_topic, name):
    from confluent_kafka import TopicCollection
    topic = make_topic(2)
    unknown = f"{name}-not-there"
    asked = admin.describe_topics(TopicCollection([topic, unknown]))
    seen = asked[topic].result(30)
    assert [p.id for p in seen.partitions] == [0, 1]
    assert all(p.leader.id == p.replicas[0].id == p.isr[0].id for p in seen.partitions)
    assert not seen.is_internal and str(seen.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA"
    with pytest.raises(KafkaException) as raised:
        asked[unknown].result(30)
    assert code(raised) == KafkaError.UNKNOWN_TOPIC_OR_PART


@since("delete_records")
def test_records_before_an_offset_are_deleted(admin, bootstrap, topic):
    send(producer(bootstrap), topic, [b"%d" % n for n in range(10)])
    deleted = admin.delete_records([TopicPartition(topic, 0, 4)])
    assert list(deleted.values())[0].result(30).low_watermark == 4
    reader = consumer(bootstrap, topic)
    try:
        assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (4, 10)
        reader.assign([TopicPartition(topic, 0, 0)])
        got = next(m for m in iter(lambda: reader.poll(10), None) if not m.error())
        assert (got.offset(), got.value()) == (4, b"4")
    finally:
        reader.close()
    # -1 is the high watermark.
    deleted = admin.delete_records([TopicPartition(topic, 0, -1)])
    assert list(deleted.values())[0].result(30).low_watermark == 10
    with pytest.raises(KafkaException) as raised:
        list(admin.delete_records([TopicPartition(topic, 0, 11)]).values())[0].result(30)
    assert code(raised) == KafkaError.OFFSET_OUT_OF_RANGE


@since("list_offsets")
def test_offsets_are_listed_by_kind_and_by_time(admin, bootstrap, topic):
    from confluent_kafka.admin import OffsetSpec
    made = producer(bootstrap)
    start = int(time.time() * 1000) - 100000
    for n in range(5):
        send(made, topic, [b"x"], timestamp=start + n * 1000)

    def listed(spec):
        partition = TopicPartition(topic, 0)
        return admin.list_offsets({partition: spec})[partition].result(30)

    assert listed(OffsetSpec.earliest()).offset == 0
    assert listed(OffsetSpec.latest()).offset == 5
    highest = listed(OffsetSpec.max_timestamp())
    assert (highest.offset, highest.timestamp) == (4, start + 4000)
    assert listed(OffsetSpec.for_timestamp(start + 1500)).offset == 2
    assert listed(OffsetSpec.for_timestamp(start + 2000)).offset == 2
    assert listed(OffsetSpec.for_timestamp(start + 4001)).offset == -1


def test_many_partitions(admin, bootstrap, make_topic):
    topic = make_topic(100)
    made = producer(bootstrap)
    for partition in range(100):
        made.produce(topic, b"%d" % partition, partition=partition)
    assert made.flush(30) == 0
    reader = consumer(bootstrap, topic)
    try:
        for partition in range(100):
            assert reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10) == (0, 1)
    finally:
        reader.close()


def test_no_broker_is_a_clean_error():
    nobody = AdminClient({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with pytest.raises(KafkaException) as raised:
        nobody.list_topics(timeout=0.5)
    assert code(raised) in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
