"""librdkafka's consumer groups: members come and go, offsets are kept, groups are administered."""

import threading
import time

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition, libversion,
)

from harness.kafka import PEER
from harness.wait import until
from librdkafka import code, consumer, producer, send, since, take

pytestmark = pytest.mark.timeout(90)


class Member:
    """A consumer that is polled on a thread of its own and remembers what it was given."""

    def __init__(self, bootstrap, group, topics, **options):
        self.assigned = None
        self.given, self.taken, self.lost = [], [], []
        self.messages = []
        self.wanted = True
        self.error = None
        self.made = consumer(bootstrap, group, **options)
        self.made.subscribe(topics, on_assign=self.on_assign, on_revoke=self.on_revoke,
                            on_lost=self.on_lost)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_assign(self, made, partitions):
        self.given.append({p.partition for p in partitions})

    def on_revoke(self, made, partitions):
        self.taken.append({p.partition for p in partitions})

    def on_lost(self, made, partitions):
        self.lost.append({p.partition for p in partitions})

    def run(self):
        while self.wanted:
            message = self.made.poll(0.05)
            if message is not None and message.error():
                self.error = message.error()
            elif message is not None:
                self.messages.append(message)
            self.assigned = {(p.topic, p.partition) for p in self.made.assignment()}

    def stop(self):
        """Leaves the group and says so."""
        if self.wanted:
            self.wanted = False
            self.thread.join(30)
            self.made.close()
            self.assigned = set()


@pytest.fixture
def join(bootstrap, name):
    members = []

    def make(topics, group=None, **options):
        member = Member(bootstrap, group or name, topics, **options)
        members.append(member)
        return member

    yield make
    for member in members:
        member.stop()


def share(members, all_partitions, sizes=None):
    """Waits until the members have all partitions, each exactly once."""
    def whole():
        parts = [m.assigned or set() for m in members]
        return (set().union(*parts) == all_partitions and sum(map(len, parts)) == len(all_partitions)
                and (sizes is None or sorted(map(len, parts)) == sorted(sizes)))
    until(whole, 40, f"a whole assignment, now {[m.assigned for m in members]}")


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "cooperative-sticky"])
def test_three_members_come_and_go(join, make_topic, assignor):
    topic = make_topic(6)
    everything = {(topic, p) for p in range(6)}
    options = {"partition.assignment.strategy": assignor}
    first = join([topic], **options)
    share([first], everything)
    second = join([topic], **options)
    share([first, second], everything, [3, 3])
    third = join([topic], **options)
    share([first, second, third], everything, [2, 2, 2])
    second.stop()
    share([first, third], everything, [3, 3])
    first.stop()
    share([third], everything)
    assert not any(m.error for m in (first, second, third))
    if assignor == "cooperative-sticky":
        # What a member keeps it is never asked to give up.
        assert all(len(taken) < 6 for taken in first.taken[:1])


def test_a_group_reads_everything_once(join, bootstrap, make_topic):
    topic = make_topic(6)
    members = [join([topic]) for _ in range(3)]
    share(members, {(topic, p) for p in range(6)}, [2, 2, 2])
    made = producer(bootstrap)
    for n in range(600):
        made.produce(topic, b"%d" % n, partition=n % 6)
    assert made.flush(30) == 0
    until(lambda: sum(len(m.messages) for m in members) >= 600, 30, "all messages")
    seen = [int(m.value()) for member in members for m in member.messages]
    assert sorted(seen) == list(range(600))


def test_two_groups_read_the_same(join, bootstrap, topic, name):
    send(producer(bootstrap), topic, [b"%d" % n for n in range(20)])
    one, other = join([topic], f"{name}-a"), join([topic], f"{name}-b")
    until(lambda: len(one.messages) == 20 and len(other.messages) == 20, 30, "both groups")


def test_a_member_that_dies_is_missed(join, bootstrap, make_topic, name):
    """A member that stops heartbeating without a word loses its partitions after its session."""
    topic = make_topic(4)
    everything = {(topic, p) for p in range(4)}
    survivor = join([topic], **{"session.timeout.ms": 6000})
    share([survivor], everything)
    silent = join([topic], **{"session.timeout.ms": 1500, "max.poll.interval.ms": 1500})
    share([survivor, silent], everything, [2, 2])
    # It no longer polls: its client leaves for it after max.poll.interval.ms.
    silent.wanted = False
    silent.thread.join(10)
    silent.assigned = set()
    share([survivor], everything)
    silent.made.close()


def test_a_static_member_comes_back_to_its_partitions(join, make_topic):
    topic = make_topic(4)
    everything = {(topic, p) for p in range(4)}
    options = {"session.timeout.ms": 20000}
    one = join([topic], **options, **{"group.instance.id": "one"})
    share([one], everything)
    two = join([topic], **options, **{"group.instance.id": "two"})
    share([one, two], everything, [2, 2])
    before, rebalances = set(two.assigned), len(one.given)
    two.stop()
    again = join([topic], **options, **{"group.instance.id": "two"})
    until(lambda: again.assigned == before, 30, "the same partitions")
    assert len(one.given) == rebalances


def test_a_static_members_name_is_taken_over(join, topic):
    options = {"session.timeout.ms": 20000, "group.instance.id": "the-one"}
    first = join([topic], **options)
    share([first], {(topic, 0)})
    second = join([topic], **options)
    share([second], {(topic, 0)}, None)
    until(lambda: first.error, 30, "the fencing of the first")
    assert first.error.code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID)


def test_a_pattern_finds_topics_that_come_later(join, make_topic, name):
    first = make_topic(2, suffix="-a")
    member = join([f"^{name}-[ab]$"])
    share([member], {(first, 0), (first, 1)})
    second = make_topic(1, suffix="-b")
    make_topic(1, suffix="-c")
    share([member], {(first, 0), (first, 1), (second, 0)})


def test_new_partitions_reach_the_group(join, admin, make_topic):
    from confluent_kafka.admin import NewPartitions
    topic = make_topic(1)
    member = join([topic])
    share([member], {(topic, 0)})
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    share([member], {(topic, p) for p in range(3)})


@pytest.fixture
def solo(bootstrap, name):
    """Makes consumers of the test's group that are closed with it."""
    made = []

    def make(**options):
        one = consumer(bootstrap, name, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("how", ["sync", "async"])
def test_committed_offsets_are_where_the_next_one_starts(solo, bootstrap, topic, how):
    send(producer(bootstrap), topic, [b"%d" % n for n in range(10)])
    told = []
    reader = solo(on_commit=lambda error, partitions: told.append((error, partitions)))
    reader.subscribe([topic])
    last = take(reader, 10)[3]
    if how == "sync":
        done = reader.commit(message=last, asynchronous=False)
        assert [(p.partition, p.offset) for p in done] == [(0, 4)]
    else:
        reader.commit(message=last, asynchronous=True)
        until(lambda: reader.poll(0.05) is None and told, 20, "the answer")
        assert told[0][0] is None and told[0][1][0].offset == 4
    reader.close()
    again = solo()
    again.subscribe([topic])
    assert [m.offset() for m in take(again, 6)] == [4, 5, 6, 7, 8, 9]


def test_offsets_are_committed_by_themselves(solo, bootstrap, topic):
    send(producer(bootstrap), topic, [b"%d" % n for n in range(5)])
    reader = solo(enable_auto_commit=True, auto_commit_interval_ms=100)
    reader.subscribe([topic])
    take(reader, 5)
    other = solo()
    partition = TopicPartition(topic, 0)
    # A poll is a client's word that what it was given is done with.
    until(lambda: reader.poll(0.05) or other.committed([partition], 10)[0].offset == 5, 20,
          "the commit")


def test_metadata_travels_with_an_offset(solo, topic):
    one = solo()
    one.commit(offsets=[TopicPartition(topic, 0, 3, "where I was")], asynchronous=False)
    kept = solo().committed([TopicPartition(topic, 0)], 10)[0]
    assert (kept.offset, kept.metadata) == (3, "where I was")


def test_without_a_commit_there_is_no_offset(solo, topic):
    assert solo().committed([TopicPartition(topic, 0)], 10)[0].offset == -1001


def test_metadata_that_is_too_long_is_refused(solo, topic):
    with pytest.raises(KafkaException) as raised:
        solo().commit(offsets=[TopicPartition(topic, 0, 3, "x" * 5000)], asynchronous=False)
    assert code(raised) == KafkaError.OFFSET_METADATA_TOO_LARGE


def test_an_offset_of_an_unknown_topic_is_refused(solo, name):
    with pytest.raises(KafkaException) as raised:
        solo().commit(offsets=[TopicPartition(f"{name}-none", 0, 3)], asynchronous=False)
    assert code(raised) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_session_timeout_out_of_bounds_is_refused(join, topic):
    member = join([topic], **{"session.timeout.ms": 100, "heartbeat.interval.ms": 50})
    until(lambda: member.error, 20, "the refusal")
    assert member.error.code() in (KafkaError.INVALID_SESSION_TIMEOUT, KafkaError._FATAL)


def test_members_without_a_common_assignor_cannot_meet(join, topic):
    first = join([topic], **{"partition.assignment.strategy": "range"})
    share([first], {(topic, 0)})
    other = join([topic], **{"partition.assignment.strategy": "roundrobin"})
    until(lambda: other.error, 20, "the refusal")
    assert other.error.code() == KafkaError.INCONSISTENT_GROUP_PROTOCOL


# administration

def state_of(admin, group):
    return str(admin.describe_consumer_groups([group])[group].result(30).state).split(".")[-1]


@since("describe_consumer_groups")
def test_a_group_is_described_with_its_members(join, admin, make_topic, name):
    topic = make_topic(4)
    members = [join([topic], **{"client.id": f"client-{n}"}) for n in range(2)]
    share(members, {(topic, p) for p in range(4)}, [2, 2])
    until(lambda: state_of(admin, name) == "STABLE", 20, "a stable group")
    group = admin.describe_consumer_groups([name])[name].result(30)
    assert group.group_id == name and not group.is_simple_consumer_group
    assert group.partition_assignor == "range"
    assert sorted(m.client_id for m in group.members) == ["client-0", "client-1"]
    assert all(m.host == "/127.0.0.1" for m in group.members)
    assert all(m.member_id.startswith(f"{m.client_id}-") for m in group.members)
    told = {(p.topic, p.partition) for m in group.members for p in m.assignment.topic_partitions}
    assert told == {(topic, p) for p in range(4)}


@since("list_consumer_groups")
def test_groups_are_listed_by_state(join, admin, topic, name):
    from confluent_kafka import ConsumerGroupState
    member = join([topic])
    share([member], {(topic, 0)})

    def listed(*states):
        result = admin.list_consumer_groups(states=set(states)).result(30)
        assert not result.errors
        return name in [group.group_id for group in result.valid]

    until(lambda: listed(ConsumerGroupState.STABLE), 20, "a stable group")
    assert listed() and not listed(ConsumerGroupState.EMPTY)
    member.stop()
    # Without an offset nothing of an empty group need be kept, but it is until it expires.
    until(lambda: not listed(ConsumerGroupState.STABLE), 20, "the end of the member")


@since("delete_consumer_groups")
def test_a_group_is_deleted_when_it_is_empty(join, admin, solo, topic, name):
    solo().commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    member = join([topic])
    share([member], {(topic, 0)})
    with pytest.raises(KafkaException) as raised:
        admin.delete_consumer_groups([name])[name].result(30)
    assert code(raised) == KafkaError.NON_EMPTY_GROUP
    member.stop()
    until(lambda: state_of(admin, name) == "EMPTY", 20, "an empty group")
    admin.delete_consumer_groups([name])[name].result(30)
    assert solo().committed([TopicPartition(topic, 0)], 10)[0].offset == -1001
    with pytest.raises(KafkaException) as raised:
        admin.delete_consumer_groups([name])[name].result(30)
    assert code(raised) == KafkaError.GROUP_ID_NOT_FOUND


@since("alter_consumer_group_offsets")
def test_offsets_of_an_empty_group_are_listed_and_altered(admin, solo, make_topic, name):
    topic = make_topic(2)
    solo().commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    asked = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, p) for p in (0, 1)])
    listed = admin.list_consumer_group_offsets([asked])[name].result(30)
    assert [(p.partition, p.offset) for p in listed.topic_partitions] == [(0, 5), (1, -1001)]
    wanted = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 1, 7)])
    admin.alter_consumer_group_offsets([wanted])[name].result(30)
    everything = ConsumerGroupTopicPartitions(name)
    listed = admin.list_consumer_group_offsets([everything])[name].result(30)
    assert sorted((p.partition, p.offset) for p in listed.topic_partitions) == [(0, 5), (1, 7)]


@since("alter_consumer_group_offsets")
def test_offsets_of_a_group_with_members_are_not_altered(admin, join, topic, name):
    share([join([topic])], {(topic, 0)})
    wanted = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 7)])
    altered = admin.alter_consumer_group_offsets([wanted])[name].result(30)
    assert [p.error.code() for p in altered.topic_partitions] == [KafkaError.UNKNOWN_MEMBER_ID]


def test_an_unknown_group_is_dead(admin, name):
    if not hasattr(admin, "describe_consumer_groups"):
        pytest.skip("the client cannot describe groups")
    group = admin.describe_consumer_groups([name])[name].result(30)
    assert str(group.state).endswith("DEAD") and group.members == []


@pytest.mark.consumer_protocol
@pytest.mark.skipif(libversion()[1] < 0x020c0000, reason="the client does not speak KIP-848")
@pytest.mark.skipif(PEER == "real", reason="it wants version 1, which came with Kafka 4.0")
def test_the_new_protocol_shares_partitions_too(join, make_topic):
    topic = make_topic(6)
    everything = {(topic, p) for p in range(6)}
    options = {"group.protocol": "consumer"}
    first = join([topic], **options)
    share([first], everything)
    second = join([topic], **options)
    share([first, second], everything, [3, 3])
    second.stop()
    share([first], everything)
