"""librdkafka consumes: where to start, how to seek, what watermarks and times say."""

import time

import pytest
from confluent_kafka import (
    KafkaError, KafkaException, OFFSET_BEGINNING, OFFSET_END, TopicPartition,
)

from harness.wait import until
from librdkafka import code, consumer, nothing_more, producer, send, take

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def reader(bootstrap, name):
    made = consumer(bootstrap, name, enable_partition_eof=True)
    yield made
    made.close()


@pytest.fixture
def ten(bootstrap, topic):
    """A topic with ten messages, a second apart."""
    made = producer(bootstrap)
    start = int(time.time() * 1000) - 60_000
    for n in range(10):
        send(made, topic, [b"%d" % n], timestamp=start + n * 1000)
    return topic, start


def first_event(reader, seconds=20):
    """The next message, or the error that came in its place."""
    message = until(lambda: reader.poll(1), seconds, "a message or an error")
    return message


@pytest.mark.parametrize("start, offset", [(OFFSET_BEGINNING, 0), (7, 7), (0, 0), (-2003, 7)],
                         ids=["beginning", "offset", "zero", "three-from-the-end"])
def test_reading_starts_where_it_is_told(reader, ten, start, offset):
    topic, _ = ten
    reader.assign([TopicPartition(topic, 0, start)])
    got = take(reader, 10 - offset)
    assert [m.offset() for m in got] == list(range(offset, 10))
    assert [m.value() for m in got] == [b"%d" % n for n in range(offset, 10)]
    assert first_event(reader).error().code() == KafkaError._PARTITION_EOF


def test_from_the_end_only_what_comes_later(reader, ten, bootstrap):
    topic, _ = ten
    reader.assign([TopicPartition(topic, 0, OFFSET_END)])
    assert first_event(reader).error().code() == KafkaError._PARTITION_EOF
    send(producer(bootstrap), topic, [b"later"])
    assert first_event(reader).value() == b"later"


def test_offsets_for_times(reader, ten):
    topic, start = ten
    ask = lambda stamp: reader.offsets_for_times([TopicPartition(topic, 0, stamp)], 10)[0].offset
    assert ask(start - 1) == 0
    assert ask(start) == 0
    assert ask(start + 3500) == 4
    assert ask(start + 9000) == 9
    assert ask(start + 9001) == OFFSET_END
    reader.assign([TopicPartition(topic, 0, ask(start + 3500))])
    assert take(reader, 1)[0].value() == b"4"


@pytest.mark.parametrize("policy, first", [("earliest", 0), ("latest", 10)])
def test_an_offset_out_of_range_is_reset(bootstrap, name, ten, policy, first):
    topic, _ = ten
    made = consumer(bootstrap, name, auto_offset_reset=policy, enable_partition_eof=True)
    try:
        made.assign([TopicPartition(topic, 0, 1000)])
        event = first_event(made)
        assert event.offset() == first
    finally:
        made.close()


def test_without_a_reset_policy_it_is_an_error(bootstrap, name, ten):
    topic, _ = ten
    made = consumer(bootstrap, name, auto_offset_reset="error")
    try:
        made.assign([TopicPartition(topic, 0, 1000)])
        error = first_event(made).error()
        assert error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
    finally:
        made.close()


def test_watermarks_move_with_what_is_produced(reader, bootstrap, topic):
    partition = TopicPartition(topic, 0)
    assert reader.get_watermark_offsets(partition, timeout=10) == (0, 0)
    send(producer(bootstrap), topic, [b"a", b"b"])
    assert reader.get_watermark_offsets(partition, timeout=10) == (0, 2)


def test_seek_back_and_forth(reader, ten):
    topic, _ = ten
    reader.assign([TopicPartition(topic, 0, 0)])
    take(reader, 5)
    reader.seek(TopicPartition(topic, 0, 2))
    assert take(reader, 1)[0].offset() == 2
    reader.seek(TopicPartition(topic, 0, 8))
    assert [m.offset() for m in take(reader, 2)] == [8, 9]


def test_pause_and_resume(reader, make_topic, bootstrap):
    topic = make_topic(2)
    send(producer(bootstrap), topic, [b"0"], partition=0)
    send(producer(bootstrap), topic, [b"1"], partition=1)
    both = [TopicPartition(topic, p, 0) for p in (0, 1)]
    reader.assign(both)
    reader.pause([both[0]])
    assert first_message(reader).partition() == 1
    reader.resume([both[0]])
    assert first_message(reader).partition() == 0


def first_message(reader):
    return until(lambda: (m := reader.poll(1)) and not m.error() and m, 20, "a message")


def test_many_partitions_at_once(reader, make_topic, bootstrap):
    topic = make_topic(30)
    made = producer(bootstrap)
    for n in range(3000):
        made.produce(topic, b"%d" % n, partition=n % 30)
    assert made.flush(30) == 0
    partitions = [TopicPartition(topic, p, 0) for p in range(30)]
    reader.assign(partitions)
    seen = {p: [] for p in range(30)}
    for _ in range(3000):
        message = first_message(reader)
        seen[message.partition()].append(int(message.value()))
    for partition, values in seen.items():
        assert values == list(range(partition, 3000, 30))
    nothing_more(reader, partitions)


def test_an_unknown_topic_is_told(bootstrap, name):
    made = consumer(bootstrap, name, topic_metadata_propagation_max_ms=0)
    try:
        made.subscribe([f"{name}-not-there"])
        error = first_event(made).error()
        assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    finally:
        made.close()


def test_watermarks_of_an_unknown_partition(reader, topic):
    with pytest.raises(KafkaException) as raised:
        reader.get_watermark_offsets(TopicPartition(topic, 9), timeout=5)
    assert code(raised) in (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART,
                            KafkaError.LEADER_NOT_AVAILABLE)


def test_small_fetches_still_progress(bootstrap, name, topic):
    """A record greater than what a fetch asks for is sent all the same (KIP-74)."""
    values = [bytes([n]) * 50_000 for n in range(20)]
    send(producer(bootstrap, linger_ms=0, batch_size=60_000), topic, values)
    made = consumer(bootstrap, name, fetch_message_max_bytes=1000, fetch_max_bytes=1000,
                    message_max_bytes=1000, receive_message_max_bytes=2_000_000)
    try:
        made.assign([TopicPartition(topic, 0, 0)])
        assert [m.value() for m in take(made, 20)] == values
    finally:
        made.close()


def test_a_fetch_waits_for_enough_bytes(bootstrap, name, topic):
    """fetch.min.bytes holds an answer back, but not beyond fetch.wait.max.ms."""
    made = consumer(bootstrap, name, fetch_min_bytes=100_000, fetch_wait_max_ms=1500)
    try:
        made.assign([TopicPartition(topic, 0, 0)])
        made.poll(0.2)
        send(producer(bootstrap), topic, [b"little"])
        assert take(made, 1, 10)[0].value() == b"little"
    finally:
        made.close()


def test_a_waiting_fetch_is_woken_by_a_message(bootstrap, name, topic):
    made = consumer(bootstrap, name, fetch_wait_max_ms=8000)
    try:
        made.assign([TopicPartition(topic, 0, 0)])
        assert made.poll(1) is None
        start = time.monotonic()
        send(producer(bootstrap), topic, [b"now"])
        assert take(made, 1, 15)[0].value() == b"now"
        assert time.monotonic() - start < 5
    finally:
        made.close()
