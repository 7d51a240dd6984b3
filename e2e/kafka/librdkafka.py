"""confluent-kafka, in the short words that its suites share."""

import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient


def since(name):
    """Skips a test on an older client, whose admin API has no such call."""
    return pytest.mark.skipif(not hasattr(AdminClient, name), reason=f"the client has no {name}")


def producer(bootstrap, **options):
    options = {key.replace("_", "."): value for key, value in options.items()}
    return Producer({"bootstrap.servers": bootstrap, "linger.ms": 1,
                     "message.timeout.ms": 20000} | options)


def send(made, topic, values, seconds=30, **options):
    """Produces the values and waits for all; the delivered messages, in the order of delivery.

    Raises the first error that a delivery reports.
    """
    delivered, errors = [], []

    def told(error, message):
        (errors if error else delivered).append(error or message)

    count = 0
    for value in values:
        while True:
            try:
                made.produce(topic, value, on_delivery=told, **options)
                break
            except BufferError:
                made.poll(0.1)
        count += 1
        made.poll(0)
    left = made.flush(seconds)
    if errors:
        raise KafkaException(errors[0])
    assert left == 0 and len(delivered) == count, f"{left} of {count} not delivered"
    return delivered


def consumer(bootstrap, group, **options):
    options = {key.replace("_", "."): value for key, value in options.items()}
    told = {} if options.get("group.protocol") == "consumer" else {
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
    told |= {"on_commit": options.pop("on.commit")} if "on.commit" in options else {}
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group,
                     "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "fetch.wait.max.ms": 100, "topic.metadata.refresh.interval.ms": 500,
                     "fetch.error.backoff.ms": 50} | told | options)


def take(made, count, seconds=30):
    """The next messages, as many as are asked for; raises what a poll reports."""
    got, end = [], time.monotonic() + seconds
    while len(got) < count:
        left = end - time.monotonic()
        assert left > 0, f"{len(got)} of {count} messages in {seconds} s"
        message = made.poll(min(left, 1))
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        got.append(message)
    return got


def nothing_more(made, partitions):
    """Whether a consumer has read all its partitions up to their ends."""
    for partition, read in zip(partitions, made.position(partitions)):
        low, high = made.get_watermark_offsets(partition, timeout=10)
        assert read.offset == high, f"{partition}: at {read.offset} of {low}..{high}"


def read(bootstrap, topic, count, partition=0, offset=0, **options):
    """Messages of one partition from an offset, without a group."""
    reader = consumer(bootstrap, "reads-without-a-group", **options)
    try:
        reader.assign([TopicPartition(topic, partition, offset)])
        return take(reader, count)
    finally:
        reader.close()


def code(raised):
    """The error code of a KafkaException that pytest caught."""
    return raised.value.args[0].code()
