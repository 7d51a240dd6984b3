"""Three brokers: what is replicated outlives a broker that is killed, and nothing pauses for long."""

import collections
import threading
import time

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness.wait import until
from librdkafka import code, consumer, producer, read, send, take

pytestmark = pytest.mark.timeout(180)

# From the kill of a leader to the next acknowledged record, in seconds.
FAILOVER = 2.0

REPLICATED = {
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
}


class Trio:
    """Three brokers and an admin client that knows them all."""

    def __init__(self, brokers):
        self.brokers = brokers
        self.bootstrap = ",".join(broker.address for broker in brokers.values())
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "socket.timeout.ms": 5000})

    def create(self, topic, factor, partitions=1, **config):
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        new = NewTopic(topic, partitions, factor, config=config)
        self.admin.create_topics([new])[topic].result(30)
        self.until_in_sync(topic, factor)

    def partition(self, topic, number=0):
        return self.admin.list_topics(topic, 10).topics[topic].partitions.get(number)

    def leader(self, topic, number=0):
        return self.partition(topic, number).leader

    def until_in_sync(self, topic, count, seconds=30):
        def all_there():
            partitions = self.admin.list_topics(topic, 10).topics[topic].partitions
            return partitions and all(
                len(p.isrs) == count and p.leader >= 0 for p in partitions.values())
        return until(all_there, seconds, f"{count} replicas in sync of {topic}")


@pytest.fixture
def trio(start_three):
    return Trio(start_three(REPLICATED))


class Stream:
    """A producer that sends numbers, one after the other, and notes when each was acknowledged."""

    def __init__(self, bootstrap, topic, **options):
        options = {"acks": "all", "request_timeout_ms": 3000, "message_timeout_ms": 60000,
                   "retry_backoff_ms": 50} | options
        self.made = producer(bootstrap, **options)
        self.topic = topic
        self.sent, self.acknowledged, self.failed = 0, [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _told(self, error, message):
        if error:
            self.failed.append((int(message.value()), error))
        else:
            self.acknowledged.append((int(message.value()), time.monotonic()))

    def _run(self):
        while not self.stopping.is_set():
            if self.sent - len(self.acknowledged) - len(self.failed) < 200:
                self.made.produce(self.topic, b"%d" % self.sent, partition=0, on_delivery=self._told)
                self.sent += 1
            self.made.poll(0.002)
        self.made.flush(60)

    def until_acknowledged_after(self, moment, seconds=30):
        return until(lambda: next((at for _, at in self.acknowledged if at > moment), None), seconds,
                     "an acknowledgement")

    def stop(self):
        self.stopping.set()
        self.thread.join(90)
        assert not self.thread.is_alive()
        return [number for number, _ in self.acknowledged]


def kept(trio, topic, count):
    """The numbers in a partition, from its start to its end."""
    reader = consumer(trio.bootstrap, "reads-without-a-group")
    try:
        _, high = until(lambda: reader.get_watermark_offsets(TopicPartition(topic, 0), 5), 20, "watermarks")
        assert high >= count
        return [int(m.value()) for m in read(trio.bootstrap, topic, high)]
    finally:
        reader.close()


@pytest.mark.parametrize("idempotent", [False, True])
def test_nothing_acknowledged_is_lost_with_its_leader(trio, name, idempotent):
    trio.create(name, 3, min_insync_replicas=2)
    stream = Stream(trio.bootstrap, name, enable_idempotence=idempotent)
    stream.until_acknowledged_after(0)
    time.sleep(1)
    gaps = []
    for _ in range(2):
        dead = trio.leader(name)
        killed = time.monotonic()
        trio.brokers[dead].kill()
        # Answers that were on their way do not count.
        gaps.append(stream.until_acknowledged_after(killed + 0.1) - killed)
        trio.brokers[dead].start().wait_ready()
        trio.until_in_sync(name, 3)
    acknowledged = stream.stop()
    print(f"from a kill to the next acknowledgement: {[f'{gap:.2f} s' for gap in gaps]}")
    assert not stream.failed
    numbers = kept(trio, name, len(acknowledged))
    missing = set(acknowledged) - set(numbers)
    assert not missing, f"acknowledged and lost: {sorted(missing)[:10]}"
    if idempotent:
        assert numbers == list(range(stream.sent))
    assert max(gaps) < FAILOVER


def test_two_replicas_outlive_the_loss_of_either(trio, name):
    trio.create(name, 2)
    before = 0
    for _ in range(2):
        values = [b"%d" % n for n in range(before, before + 50)]
        send(producer(trio.bootstrap, acks="all"), name, values, partition=0)
        before += 50
        dead = trio.leader(name)
        trio.brokers[dead].kill()
        until(lambda: trio.leader(name) not in (-1, dead), 20, "another leader")
        assert kept(trio, name, before) == list(range(before))
        # The one that is left leads alone.
        send(producer(trio.bootstrap, acks="all"), name, [b"%d" % before], partition=0)
        before += 1
        trio.brokers[dead].start().wait_ready()
        trio.until_in_sync(name, 2)
    assert kept(trio, name, before) == list(range(before))


def test_what_a_follower_missed_it_gets_when_it_is_back(trio, name):
    trio.create(name, 3)
    leader = trio.leader(name)
    away = next(n for n in trio.brokers if n != leader)
    trio.brokers[away].kill()
    trio.until_in_sync(name, 2)
    send(producer(trio.bootstrap, acks="all"), name, [b"%d" % n for n in range(2000)], partition=0)
    trio.brokers[away].start().wait_ready()
    trio.until_in_sync(name, 3)
    segment = f"{name}-0/00000000000000000000.log"
    size = (trio.brokers[leader].log_folder() / segment).stat().st_size
    until(lambda: (trio.brokers[away].log_folder() / segment).stat().st_size == size, 10, "the same bytes")
    first, second = ((trio.brokers[n].log_folder() / segment).read_bytes() for n in (leader, away))
    assert first == second


def test_too_few_replicas_are_told(trio, name):
    trio.create(name, 3, min_insync_replicas=3)
    leader = trio.leader(name)
    send(producer(trio.bootstrap, acks="all"), name, [b"a"], partition=0)
    away = next(n for n in trio.brokers if n != leader)
    trio.brokers[away].kill()
    trio.until_in_sync(name, 2)
    with pytest.raises(KafkaException) as raised:
        send(producer(trio.bootstrap, acks="all", retries=0), name, [b"b"], partition=0)
    assert code(raised) == KafkaError.NOT_ENOUGH_REPLICAS
    send(producer(trio.bootstrap, acks=1), name, [b"c"], partition=0)
    trio.brokers[away].start().wait_ready()
    trio.until_in_sync(name, 3)
    send(producer(trio.bootstrap, acks="all"), name, [b"d"], partition=0)
    assert [m.value() for m in read(trio.bootstrap, name, 3)] == [b"a", b"c", b"d"]


def test_a_group_goes_on_when_its_coordinator_is_killed(trio, name):
    trio.create(name, 3, partitions=2)
    values = [b"%d" % n for n in range(100)]
    send(producer(trio.bootstrap, acks="all"), name, values)
    reader = consumer(trio.bootstrap, name)
    reader.subscribe([name])
    first = take(reader, 60)
    reader.commit(asynchronous=False)
    coordinator = trio.admin.describe_consumer_groups([name])[name].result(20).coordinator.id
    offsets = trio.admin.list_topics("__consumer_offsets", 10).topics["__consumer_offsets"]
    assert all(len(p.replicas) == 3 for p in offsets.partitions.values())
    trio.brokers[coordinator].kill()
    send(producer(trio.bootstrap, acks="all"), name, [b"%d" % n for n in range(100, 150)])
    rest = take(reader, 90)

    def committed():
        try:
            return reader.commit(asynchronous=False)
        except KafkaException:
            return None

    until(committed, 30, "a commit")
    reader.close()
    got = collections.Counter(int(m.value()) for m in first + rest)
    assert sorted(got) == list(range(150))
    # What was committed is known to the coordinator that took over, and nothing is read again.
    again = consumer(trio.bootstrap, name)
    try:
        parts = again.committed([TopicPartition(name, p) for p in range(2)], 20)
        # A partition that got no message has no offset.
        assert sum(max(part.offset, 0) for part in parts) == 150
    finally:
        again.close()


def test_default_factors_make_replicas(start_three, name):
    trio = Trio(start_three({
        "default.replication.factor": 3, "offsets.topic.replication.factor": 3,
        "min.insync.replicas": 2, "num.partitions": 2}, "defaults"))
    send(producer(trio.bootstrap, acks="all"), name, [b"a", b"b"])
    trio.until_in_sync(name, 3)
    partitions = trio.admin.list_topics(name, 10).topics[name].partitions
    assert [len(p.replicas) for p in partitions.values()] == [3, 3]
