"""kafka-python: a client of its own in pure Python."""

import time

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import (
    MessageSizeTooLargeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from harness.wait import until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def opened(bootstrap):
    """Makes clients that are closed with the test."""
    made = []

    def make(kind, *topics, **options):
        client = kind(*topics, bootstrap_servers=bootstrap, **options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def python_admin(opened):
    return opened(KafkaAdminClient)


@pytest.fixture
def consumer(opened, name):
    def make(*topics, **options):
        options = {"group_id": name, "auto_offset_reset": "earliest", "enable_auto_commit": False,
                   "fetch_max_wait_ms": 100, "session_timeout_ms": 6000,
                   "heartbeat_interval_ms": 200, "metadata_max_age_ms": 500} | options
        reader = opened(KafkaConsumer, **options)
        # A member that leads its group before it has seen the topics hands out nothing.
        for topic in topics:
            until(lambda: reader.partitions_for_topic(topic), 20, f"the topic {topic}")
        if topics:
            reader.subscribe(topics)
        return reader
    return make


@pytest.fixture
def from_the_start(consumer):
    """Makes consumers of a topic's only partition, without a group."""
    def make(topic, **options):
        reader = consumer(group_id=None, **options)
        reader.assign([TopicPartition(topic, 0)])
        return reader
    return make


def take(consumer, count, seconds=30):
    got, end = [], time.monotonic() + seconds
    while len(got) < count:
        assert time.monotonic() < end, f"{len(got)} of {count} messages in {seconds} s"
        for records in consumer.poll(timeout_ms=200).values():
            got += records
    return got


def test_topics_partitions_and_configurations(python_admin, name):
    python_admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "1000000"})])
    with pytest.raises(TopicAlreadyExistsError):
        python_admin.create_topics([NewTopic(name, 2, 1)])
    until(lambda: name in python_admin.list_topics(), 20, "the topic")
    python_admin.create_partitions({name: NewPartitions(3)})
    until(lambda: len(python_admin.describe_topics([name])[0]["partitions"]) == 3, 20,
          "three partitions")
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    assert "1000000" in str(python_admin.describe_configs([resource]))
    python_admin.delete_topics([name])
    until(lambda: name not in python_admin.list_topics(), 20, "the end of the topic")
    with pytest.raises(UnknownTopicOrPartitionError):
        python_admin.delete_topics([name])


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(opened, from_the_start, topic, codec):
    producer = opened(KafkaProducer, compression_type=codec, linger_ms=20)
    values = [b"%d " % n * 30 for n in range(200)]
    sent = [producer.send(topic, value, key=b"k", headers=[("h", b"1")]) for value in values]
    producer.flush(30)
    assert [future.get(30).offset for future in sent] == list(range(200))
    got = take(from_the_start(topic), 200)
    assert [record.value for record in got] == values
    assert got[0].key == b"k" and got[0].headers == [("h", b"1")]


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_acks(opened, from_the_start, topic, acks):
    producer = opened(KafkaProducer, acks=acks, enable_idempotence=False)
    producer.send(topic, b"x").get(30)
    producer.flush(30)
    assert take(from_the_start(topic), 1)[0].value == b"x"


def test_an_idempotent_producer(opened, from_the_start, topic):
    producer = opened(KafkaProducer, enable_idempotence=True)
    for n in range(100):
        producer.send(topic, b"%d" % n)
    producer.flush(30)
    assert [r.value for r in take(from_the_start(topic), 100)] == [b"%d" % n for n in range(100)]


def test_a_message_that_is_too_large(opened, make_topic):
    topic = make_topic(max_message_bytes=1000)
    producer = opened(KafkaProducer)
    with pytest.raises(MessageSizeTooLargeError):
        producer.send(topic, b"x" * 2000).get(30)


def test_offsets_times_and_seeks(opened, consumer, topic):
    producer = opened(KafkaProducer)
    start = int(time.time() * 1000) - 60_000
    for n in range(10):
        producer.send(topic, b"%d" % n, timestamp_ms=start + n * 1000).get(30)
    partition = TopicPartition(topic, 0)
    reader = consumer()
    reader.assign([partition])
    assert reader.beginning_offsets([partition]) == {partition: 0}
    assert reader.end_offsets([partition]) == {partition: 10}
    found = reader.offsets_for_times({partition: start + 4500})[partition]
    assert (found.offset, found.timestamp) == (5, start + 5000)
    reader.seek(partition, 8)
    assert [r.offset for r in take(reader, 2)] == [8, 9]
    reader.seek_to_beginning(partition)
    assert take(reader, 1)[0].offset == 0


def test_two_members_share_a_topic_and_one_takes_over(consumer, make_topic):
    topic = make_topic(4)
    one, other = consumer(topic), consumer(topic)

    def shares():
        for member in (one, other):
            member.poll(timeout_ms=50)
        return sorted(len(member.assignment()) for member in (one, other))

    until(lambda: shares() == [2, 2], 30, "two shares")
    assert one.assignment() | other.assignment() == {TopicPartition(topic, p) for p in range(4)}
    other.close()
    until(lambda: one.poll(timeout_ms=50) is not None and len(one.assignment()) == 4, 30,
          "all to the one that is left")


def test_commits_and_the_groups_administration(opened, consumer, python_admin, topic, name):
    producer = opened(KafkaProducer)
    for n in range(5):
        producer.send(topic, b"%d" % n).get(30)
    partition = TopicPartition(topic, 0)
    reader = consumer(topic)
    take(reader, 3)
    reader.commit({partition: OffsetAndMetadata(3, "three", -1)})
    assert reader.committed(partition) == 3
    assert name in str(python_admin.list_groups())
    reader.close()
    again = consumer(topic)
    assert [r.offset for r in take(again, 2)] == [3, 4]
    again.close()
    offsets = python_admin.list_group_offsets([name])
    assert "offset=3" in str(offsets) or offsets[name][partition].offset == 3


@pytest.mark.transactions
def test_a_transaction(opened, from_the_start, topic, name):
    producer = opened(KafkaProducer, transactional_id=name)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"no").get(30)
    producer.abort_transaction()
    producer.begin_transaction()
    producer.send(topic, b"yes").get(30)
    producer.commit_transaction()
    reader = from_the_start(topic, isolation_level="read_committed")
    assert [r.value for r in take(reader, 1)] == [b"yes"]
