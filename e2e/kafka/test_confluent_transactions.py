"""librdkafka's transactions: all or nothing, fencing, offsets inside, read_committed."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from harness.wait import until
from librdkafka import code, consumer, producer, read, send, take

pytestmark = [pytest.mark.timeout(90), pytest.mark.transactions]


@pytest.fixture
def begin(bootstrap, name):
    """Makes producers whose transactions can begin."""
    def make(suffix="", **options):
        made = producer(bootstrap, transactional_id=name + suffix, **options)
        made.init_transactions(30)
        return made
    return make


def committed(bootstrap, topic, count, **options):
    return [m.value() for m in read(bootstrap, topic, count, isolation_level="read_committed",
                                    **options)]


def end_of(bootstrap, name, topic, isolation):
    """Where a reader without limits stops: its offset when it is told that there is no more."""
    made = consumer(bootstrap, name, isolation_level=isolation, enable_partition_eof=True)
    try:
        made.assign([TopicPartition(topic, 0, 0)])
        values = []
        while True:
            message = until(lambda: made.poll(1), 20, "the end")
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF
                return values, message.offset()
            values.append(message.value())
    finally:
        made.close()


def test_what_is_committed_is_seen_and_what_is_aborted_is_not(bootstrap, begin, topic, name):
    made = begin()
    for n, commit in enumerate([True, False, True, False, False, True]):
        made.begin_transaction()
        send(made, topic, [b"%d" % n])
        made.commit_transaction(30) if commit else made.abort_transaction(30)
    values, end = end_of(bootstrap, name, topic, "read_committed")
    # Six records and six markers.
    assert (values, end) == ([b"0", b"2", b"5"], 12)
    values, end = end_of(bootstrap, name, topic, "read_uncommitted")
    assert (values, end) == ([b"%d" % n for n in range(6)], 12)


def test_an_open_transaction_holds_readers_back(bootstrap, begin, topic, name):
    send(producer(bootstrap), topic, [b"before"])
    made = begin()
    made.begin_transaction()
    send(made, topic, [b"inside"])
    send(producer(bootstrap), topic, [b"after"])
    assert end_of(bootstrap, name, topic, "read_committed") == ([b"before"], 1)
    reader = consumer(bootstrap, name, isolation_level="read_committed")
    try:
        assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 1)
    finally:
        reader.close()
    assert end_of(bootstrap, name, topic, "read_uncommitted")[1] == 3
    made.commit_transaction(30)
    assert committed(bootstrap, topic, 3) == [b"before", b"inside", b"after"]


def test_a_transaction_spans_topics_and_partitions(bootstrap, begin, make_topic):
    one, other = make_topic(3, "-a"), make_topic(1, "-b")
    made = begin()
    made.begin_transaction()
    for partition in range(3):
        send(made, one, [b"%d" % partition], partition=partition)
    send(made, other, [b"other"])
    made.commit_transaction(30)
    for partition in range(3):
        assert committed(bootstrap, one, 1, partition=partition) == [b"%d" % partition]
    assert committed(bootstrap, other, 1) == [b"other"]


def test_an_aborted_spread_over_many_batches(bootstrap, begin, topic, name):
    made = begin(batch_num_messages=10, linger_ms=0)
    made.begin_transaction()
    send(made, topic, [b"no"] * 500)
    made.abort_transaction(30)
    made.begin_transaction()
    send(made, topic, [b"yes"] * 500)
    made.commit_transaction(30)
    assert end_of(bootstrap, name, topic, "read_committed") == ([b"yes"] * 500, 1002)


def test_two_open_transactions_interleave(bootstrap, begin, topic, name):
    one, other = begin("-1"), begin("-2")
    one.begin_transaction()
    other.begin_transaction()
    for n in range(5):
        send(one, topic, [b"1-%d" % n])
        send(other, topic, [b"2-%d" % n])
    one.abort_transaction(30)
    assert end_of(bootstrap, name, topic, "read_committed")[0] == []
    other.commit_transaction(30)
    assert committed(bootstrap, topic, 5) == [b"2-%d" % n for n in range(5)]


def test_a_second_producer_of_the_same_id_fences_the_first(bootstrap, begin, topic, name):
    first = begin()
    first.begin_transaction()
    send(first, topic, [b"first"])
    second = begin()
    with pytest.raises(KafkaException) as raised:
        send(first, topic, [b"late"])
        first.commit_transaction(30)
    assert raised.value.args[0].fatal() or code(raised) in (
        KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    second.begin_transaction()
    send(second, topic, [b"second"])
    second.commit_transaction(30)
    # The new one's start aborted what the old one left.
    assert committed(bootstrap, topic, 1) == [b"second"]


def test_a_transaction_that_takes_too_long_is_aborted(bootstrap, begin, topic, name):
    made = begin(transaction_timeout_ms=1000, message_timeout_ms=900)
    made.begin_transaction()
    send(made, topic, [b"forgotten"])
    send(producer(bootstrap), topic, [b"after"])
    until(lambda: end_of(bootstrap, name, topic, "read_committed")[0] == [b"after"], 30,
          "the abort")
    with pytest.raises(KafkaException):
        made.commit_transaction(30)


def test_a_timeout_above_the_brokers_is_refused(bootstrap, name):
    made = producer(bootstrap, transactional_id=name, transaction_timeout_ms=900_001)
    with pytest.raises(KafkaException) as raised:
        made.init_transactions(20)
    assert code(raised) == KafkaError.INVALID_TRANSACTION_TIMEOUT


def test_offsets_are_committed_with_the_transaction(bootstrap, begin, make_topic, name):
    source, target = make_topic(1, "-in"), make_topic(1, "-out")
    send(producer(bootstrap), source, [b"%d" % n for n in range(4)])
    made = begin()
    reader = consumer(bootstrap, name, isolation_level="read_committed")
    try:
        reader.subscribe([source])

        def step(commit):
            got = take(reader, 2)
            made.begin_transaction()
            send(made, target, [b"<" + m.value() + b">" for m in got])
            made.send_offsets_to_transaction(
                [TopicPartition(source, 0, got[-1].offset() + 1)], reader.consumer_group_metadata(),
                30)
            made.commit_transaction(30) if commit else made.abort_transaction(30)

        step(commit=True)
        step(commit=False)
        assert reader.committed([TopicPartition(source, 0)], 10)[0].offset == 2
        reader.seek(TopicPartition(source, 0, 2))
        step(commit=True)
        assert reader.committed([TopicPartition(source, 0)], 10)[0].offset == 4
    finally:
        reader.close()
    assert committed(bootstrap, target, 4) == [b"<0>", b"<1>", b"<2>", b"<3>"]


def test_an_empty_transaction(begin):
    made = begin()
    for finish in (made.commit_transaction, made.abort_transaction):
        made.begin_transaction()
        finish(30)


def test_a_compacted_topic_takes_transactions(bootstrap, begin, make_topic):
    topic = make_topic(cleanup_policy="compact")
    made = begin()
    made.begin_transaction()
    send(made, topic, [b"v"], key=b"k")
    made.commit_transaction(30)
    assert committed(bootstrap, topic, 1) == [b"v"]
