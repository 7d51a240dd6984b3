"""What a broker keeps over a stop and a kill, and what its properties change."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from harness.wait import until
from librdkafka import code, consumer, producer, read, send, take

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def own(start_broker):
    return start_broker({"auto.create.topics.enable": "false"}, "restarted")


def created(bootstrap, topic, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = NewTopic(topic, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()})
    admin.create_topics([new])[topic].result(30)
    until(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == partitions,
          20, "the topic")
    return admin


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_everything_outlives_a_restart(own, name, end):
    bootstrap = own.address
    admin = created(bootstrap, name, 3, retention_ms="86400000")
    for partition in range(3):
        send(producer(bootstrap, compression_type="lz4"), name,
             [b"%d-%d" % (partition, n) for n in range(100)], partition=partition, key=b"k")
    reader = consumer(bootstrap, name)
    reader.subscribe([name])
    take(reader, 300)
    reader.commit(offsets=[TopicPartition(name, p, 10 * (p + 1), f"at {p}") for p in range(3)],
                  asynchronous=False)
    reader.close()
    cluster = admin.list_topics(timeout=10).cluster_id
    code_of_exit = own.stop() if end == "stop" else own.kill()
    if end == "stop":
        # The JVM says 143 of a SIGTERM it obeyed.
        assert code_of_exit in (0, 143)
    own.start().wait_ready()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    seen = until(lambda: (m := admin.list_topics(name, 10)).topics[name].error is None and m, 20,
                 "the topic")
    assert len(seen.topics[name].partitions) == 3 and seen.cluster_id == cluster
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    config = admin.describe_configs([resource])[resource].result(30)
    assert config["retention.ms"].value == "86400000"
    for partition in range(3):
        got = [m.value() for m in read(bootstrap, name, 100, partition)]
        assert got == [b"%d-%d" % (partition, n) for n in range(100)]
    again = consumer(bootstrap, name)
    try:
        kept = again.committed([TopicPartition(name, p) for p in range(3)], 20)
        assert [(p.offset, p.metadata) for p in kept] == [(10, "at 0"), (20, "at 1"), (30, "at 2")]
        assert send(producer(bootstrap), name, [b"next"], partition=1)[0].offset() == 100
        again.subscribe([name])
        assert len(take(again, 301 - 60)) == 241
    finally:
        again.close()


def test_an_idempotent_producer_goes_on_over_a_kill(own, name):
    created(own.address, name)
    made = producer(own.address, enable_idempotence=True, message_timeout_ms=60000, linger_ms=0)
    send(made, name, [b"%d" % n for n in range(50)])
    own.kill()
    waiting = []
    for n in range(50, 100):
        made.produce(name, b"%d" % n, on_delivery=lambda error, _: waiting.append(error))
    own.start().wait_ready()
    assert made.flush(60) == 0 and waiting == [None] * 50
    assert [m.value() for m in read(own.address, name, 100)] == [b"%d" % n for n in range(100)]


@pytest.mark.transactions
def test_transactions_go_on_over_a_kill(own, name):
    created(own.address, name)
    made = producer(own.address, transactional_id=name, message_timeout_ms=50000)
    made.init_transactions(30)
    made.begin_transaction()
    send(made, name, [b"before"])
    own.kill()
    own.start().wait_ready()
    send(made, name, [b"after"], seconds=60)
    made.commit_transaction(60)
    got = read(own.address, name, 2, isolation_level="read_committed")
    assert [m.value() for m in got] == [b"before", b"after"]


def test_the_files_are_those_of_the_notes(own, name):
    """Notes 002 and 003: a folder for each partition, the checkpoints, meta.properties."""
    created(own.address, name, 2)
    send(producer(own.address), name, [b"x"], partition=0)
    folder = own.log_folder()
    partition = folder / f"{name}-0"
    names = {file.name for file in until(lambda: partition.is_dir() and list(partition.iterdir()))}
    assert {"00000000000000000000.log", "00000000000000000000.index",
            "00000000000000000000.timeindex", "leader-epoch-checkpoint"} <= names
    assert (partition / "00000000000000000000.log").read_bytes()[16] == 2
    assert (folder / f"{name}-1").is_dir()
    assert (folder / "meta.properties").is_file()


@pytest.mark.checkpoint_files
def test_the_checkpoints_are_there_from_the_start(start_broker):
    """Notes 002: also those that say nothing yet."""
    folder = start_broker(name="fresh").log_folder()
    assert {"recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
            "replication-offset-checkpoint"} <= {file.name for file in folder.iterdir()}


# properties

@pytest.fixture(scope="module")
def configured(start_broker):
    return start_broker({"num.partitions": 3, "message.max.bytes": 2000,
                         "delete.topic.enable": "false", "log.retention.hours": 5,
                         "offsets.retention.minutes": 1000}, "configured").address


def test_a_producer_makes_its_topic(configured, name):
    made = producer(configured, allow_auto_create_topics=True)
    assert send(made, name, [b"x"], partition=2)[0].offset() == 0
    admin = AdminClient({"bootstrap.servers": configured})
    assert len(admin.list_topics(name, 10).topics[name].partitions) == 3
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    config = admin.describe_configs([resource])[resource].result(30)
    assert config["retention.ms"].value == str(5 * 3600 * 1000)
    assert config["max.message.bytes"].value == "2000"
    # A broker's property, not the topic's own.
    assert config["max.message.bytes"].source == 4


def test_a_consumer_makes_a_topic_only_if_it_says_so(configured, name):
    admin = AdminClient({"bootstrap.servers": configured})
    shy = consumer(configured, name)
    shy.assign([TopicPartition(f"{name}-shy", 0)])
    bold = consumer(configured, name, allow_auto_create_topics=True)
    bold.assign([TopicPartition(f"{name}-bold", 0)])
    try:
        def made():
            shy.poll(0.05)
            bold.poll(0.05)
            return f"{name}-bold" in admin.list_topics(timeout=10).topics
        until(made, 20, "the topic")
        assert f"{name}-shy" not in admin.list_topics(timeout=10).topics
    finally:
        shy.close()
        bold.close()


def test_a_name_that_is_no_topics_is_not_made(configured):
    with pytest.raises(KafkaException) as raised:
        send(producer(configured, message_timeout_ms=3000), "no topic", [b"x"])
    assert code(raised) in (KafkaError.TOPIC_EXCEPTION, KafkaError._UNKNOWN_TOPIC,
                            KafkaError._MSG_TIMED_OUT)


def test_the_brokers_limit_is_every_topics(configured, name):
    made = producer(configured)
    send(made, name, [b"x" * 1800])
    with pytest.raises(KafkaException) as raised:
        send(made, name, [b"x" * 2100])
    assert code(raised) == KafkaError.MSG_SIZE_TOO_LARGE


def test_deletion_may_be_off(configured, name):
    admin = created(configured, name)
    with pytest.raises(KafkaException) as raised:
        admin.delete_topics([name])[name].result(30)
    assert code(raised) == KafkaError.TOPIC_DELETION_DISABLED


# what happens by itself

def test_old_records_go(bootstrap, make_topic):
    topic = make_topic(retention_ms=1000, segment_ms=500)
    partition = TopicPartition(topic, 0)
    reader = consumer(bootstrap, topic)
    try:
        send(producer(bootstrap), topic, [b"%d" % n for n in range(10)], timestamp=1_600_000_000_000)
        until(lambda: reader.get_watermark_offsets(partition, timeout=10) == (10, 10), 30,
              "the end of the old records")
        assert send(producer(bootstrap), topic, [b"next"])[0].offset() == 10
    finally:
        reader.close()


def test_compaction_keeps_the_last_of_each_key(bootstrap, make_topic):
    topic = make_topic(cleanup_policy="compact", segment_ms=200, min_cleanable_dirty_ratio=0.01,
                       delete_retention_ms=100, max_compaction_lag_ms=200)
    made = producer(bootstrap)
    for n in range(10):
        for key in (b"a", b"b", b"c"):
            send(made, topic, [b"%d" % n], key=key)
    send(made, topic, [None], key=b"c")

    def kept():
        # Something new must come, so that the segment before it is no longer the active one.
        send(made, topic, [b"now"], key=b"active")
        end = 31
        reader = consumer(bootstrap, topic, enable_partition_eof=True)
        try:
            reader.assign([TopicPartition(topic, 0, 0)])
            found = []
            while True:
                message = reader.poll(10)
                if message is None or message.error():
                    return found
                if message.offset() < end:
                    found.append((message.key(), message.value(), message.offset()))
        finally:
            reader.close()

    until(lambda: kept() == [(b"a", b"9", 27), (b"b", b"9", 28)], 40, "a compacted log")
