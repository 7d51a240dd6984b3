"""librdkafka produces: compressions, keys, headers, timestamps, acks, sizes, refusals."""

import hashlib
import time

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from kafka.partitioner.default import murmur2

from librdkafka import code, consumer, producer, read, send

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_comes_back_as_it_went(bootstrap, topic, codec):
    values = [b"%d " % n * 50 for n in range(500)]
    made = producer(bootstrap, compression_type=codec, linger_ms=50)
    delivered = send(made, topic, values, key=b"k")
    assert sorted(m.offset() for m in delivered) == list(range(500))
    assert [m.value() for m in read(bootstrap, topic, 500)] == values


@pytest.mark.parametrize("kept", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_a_topic_may_compress_in_its_own_way(bootstrap, make_topic, kept):
    topic = make_topic(compression_type=kept)
    values = [b"%d " % n * 50 for n in range(200)]
    send(producer(bootstrap, compression_type="lz4", linger_ms=50), topic, values)
    assert [m.value() for m in read(bootstrap, topic, 200)] == values


def test_keys_values_and_headers_are_kept_also_when_there_are_none(bootstrap, topic):
    headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("none", None), ("ümlaut", b"\xff")]
    made = producer(bootstrap)
    send(made, topic, [b"value"], key=b"key", headers=headers)
    send(made, topic, [None], key=b"tombstone")
    send(made, topic, [b""], key=b"")
    send(made, topic, [b"keyless"])
    got = read(bootstrap, topic, 4)
    assert [(m.key(), m.value()) for m in got] == [
        (b"key", b"value"), (b"tombstone", None), (b"", b""), (None, b"keyless")]
    assert got[0].headers() == headers
    assert got[1].headers() is None


def test_keys_choose_the_partition_by_murmur2(bootstrap, make_topic):
    topic = make_topic(7)
    made = producer(bootstrap, partitioner="murmur2")
    for key in (b"a", b"b", b"kafka", b"polyport"):
        wanted = (murmur2(key) & 0x7fffffff) % 7
        assert [m.partition() for m in send(made, topic, [b"1", b"2"], key=key)] == [wanted] * 2


def test_a_producers_timestamp_is_kept(bootstrap, topic):
    then = int(time.time() * 1000) - 3600_000
    made = producer(bootstrap)
    send(made, topic, [b"x"], timestamp=then)
    before = int(time.time() * 1000)
    send(made, topic, [b"y"])
    first, second = read(bootstrap, topic, 2)
    assert first.timestamp() == (1, then)
    assert second.timestamp()[0] == 1
    assert before - 1000 <= second.timestamp()[1] <= int(time.time() * 1000) + 1000


def test_a_topic_may_stamp_the_time_of_the_append(bootstrap, make_topic):
    topic = make_topic(message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    delivered = send(producer(bootstrap), topic, [b"x"], timestamp=1000)
    got = read(bootstrap, topic, 1)[0]
    kind, stamp = got.timestamp()
    assert kind == 2 and before - 1000 <= stamp <= int(time.time() * 1000) + 1000
    assert delivered[0].offset() == 0


def test_a_time_too_far_away_is_refused(bootstrap, make_topic):
    topic = make_topic(message_timestamp_before_max_ms=10000, message_timestamp_after_max_ms=10000)
    now = int(time.time() * 1000)
    made = producer(bootstrap)
    send(made, topic, [b"now"], timestamp=now)
    for wrong in (now - 100_000, now + 100_000):
        with pytest.raises(KafkaException) as raised:
            send(made, topic, [b"then"], timestamp=wrong)
        assert code(raised) == KafkaError.INVALID_TIMESTAMP


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(bootstrap, topic, acks):
    made = producer(bootstrap, acks=acks)
    delivered = send(made, topic, [b"%d" % n for n in range(100)])
    assert [m.value() for m in read(bootstrap, topic, 100)] == [b"%d" % n for n in range(100)]
    if acks != "0":
        assert [m.offset() for m in delivered] == list(range(100))


def test_no_more_replicas_need_be_in_sync_than_there_are(bootstrap, make_topic):
    topic = make_topic(min_insync_replicas=2)
    assert send(producer(bootstrap, acks="all"), topic, [b"x"])[0].offset() == 0


def test_an_idempotent_producer_keeps_the_order(bootstrap, make_topic):
    topic = make_topic(3)
    made = producer(bootstrap, enable_idempotence=True, linger_ms=0, batch_num_messages=10)
    for partition in range(3):
        values = [b"%d" % n for n in range(500)]
        send(made, topic, values, partition=partition)
        assert [m.value() for m in read(bootstrap, topic, 500, partition)] == values


def test_large_messages_up_to_the_limit_and_no_further(bootstrap, make_topic):
    topic = make_topic(max_message_bytes=200_000)
    made = producer(bootstrap, message_max_bytes=4_000_000)
    # The limit is that of a batch with its header, 61 bytes, and the record's own few.
    value = hashlib.sha256(b"x").digest() * 6246
    assert len(value) == 199_872
    send(made, topic, [value])
    assert read(bootstrap, topic, 1)[0].value() == value
    for size in (200_000, 3_000_000):
        with pytest.raises(KafkaException) as raised:
            send(made, topic, [b"x" * size])
        assert code(raised) == KafkaError.MSG_SIZE_TOO_LARGE


def test_the_brokers_own_limit_is_kafkas(bootstrap, topic):
    made = producer(bootstrap, message_max_bytes=4_000_000)
    # 61 of the batch, 3 of the record's length, 6 of attributes, deltas and an absent key, 3 of
    # the value's length, 1 of no headers: the rest of 1048588 is the value.
    fits = 1048588 - 61 - 3 - 1 - 1 - 1 - 1 - 3 - 1
    send(made, topic, [b"x" * fits])
    with pytest.raises(KafkaException) as raised:
        send(made, topic, [b"x" * (fits + 1)])
    assert code(raised) == KafkaError.MSG_SIZE_TOO_LARGE


def test_a_message_of_8_mib_where_the_topic_allows_it(bootstrap, make_topic):
    topic = make_topic(max_message_bytes=10_000_000)
    value = bytes(range(256)) * 32768
    send(producer(bootstrap, message_max_bytes=10_000_000), topic, [value])
    assert read(bootstrap, topic, 1, fetch_message_max_bytes=1000)[0].value() == value


def test_what_is_compressed_counts_compressed(bootstrap, make_topic):
    topic = make_topic(max_message_bytes=20_000)
    made = producer(bootstrap, compression_type="zstd", message_max_bytes=4_000_000)
    send(made, topic, [b"x" * 1_000_000])
    assert read(bootstrap, topic, 1)[0].value() == b"x" * 1_000_000


def test_a_compacted_topic_wants_keys(bootstrap, make_topic):
    topic = make_topic(cleanup_policy="compact")
    made = producer(bootstrap)
    send(made, topic, [b"v"], key=b"k")
    with pytest.raises(KafkaException) as raised:
        send(made, topic, [b"v"])
    assert code(raised) in (KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG)


def test_an_unknown_topic_is_an_error(bootstrap, name):
    with pytest.raises(KafkaException) as raised:
        send(producer(bootstrap, topic_metadata_propagation_max_ms=500), name, [b"x"])
    assert code(raised) in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)


def test_an_unknown_partition_is_an_error(bootstrap, topic):
    with pytest.raises(KafkaException) as raised:
        send(producer(bootstrap, message_timeout_ms=3000), topic, [b"x"], partition=5)
    assert code(raised) in (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)


def test_a_hundred_thousand_messages(bootstrap, make_topic):
    topic = make_topic(4)
    made = producer(bootstrap, linger_ms=20, acks="1", queue_buffering_max_messages=200000)
    for n in range(100_000):
        made.produce(topic, b"%d" % n)
        if n % 1000 == 0:
            made.poll(0)
    assert made.flush(30) == 0
    reader = consumer(bootstrap, topic, fetch_min_bytes=1)
    try:
        reader.assign([TopicPartition(topic, p, 0) for p in range(4)])
        seen, end = set(), time.monotonic() + 30
        while len(seen) < 100_000:
            assert time.monotonic() < end, f"{len(seen)} in 30 s"
            seen.update(int(m.value()) for m in reader.consume(5000, 0.5) if not m.error())
        assert seen == set(range(100_000))
    finally:
        reader.close()
