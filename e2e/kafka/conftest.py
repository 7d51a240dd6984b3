"""The brokers and names that every Kafka suite shares."""

import itertools
import os
import re
import shutil

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from harness.kafka import NOT_YET, PEER, make_broker, make_three
from harness.wait import until

_numbers = itertools.count(1)
_brokers = []


def pytest_configure(config):
    for name, what in {
        "transactions": "needs the transaction coordinator",
        "consumer_protocol": "needs KIP-848",
        "old_versions": "needs what Kafka 4 dropped: versions and record formats of before 0.11",
        "checkpoint_files": "needs checkpoint files that say nothing yet",
        "reassignment": "needs elections and reassignments by hand",
        "tree": "looks at the znodes",
    }.items():
        config.addinivalue_line("markers", f"{name}: {what}")


def pytest_collection_modifyitems(items):
    for item in items:
        for name in NOT_YET:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(f"not yet: {name}"))
        if item.get_closest_marker("tree") and PEER == "real":
            item.add_marker(pytest.mark.skip("KRaft has no tree; KAFKA_PEER=zookeeper has"))
        if item.get_closest_marker("consumer_protocol") and PEER == "zookeeper":
            item.add_marker(pytest.mark.skip("a Kafka on ZooKeeper does not speak KIP-848"))


def pytest_sessionfinish(session, exitstatus):
    for broker in _brokers:
        broker.end()
        if exitstatus == 0:
            shutil.rmtree(broker.folder, ignore_errors=True)
        else:
            print(f"\nlogs kept in {broker.folder}")


@pytest.fixture(scope="session")
def start_broker():
    """Starts a broker with properties of its own; it ends with the session at the latest."""
    def start(properties=None, name="broker", doors=()):
        broker = make_broker(properties, f"{next(_numbers)}-{name}", doors)
        _brokers.append(broker)
        return broker.start().wait_ready()
    return start


@pytest.fixture
def start_three():
    """Starts three brokers that are a cluster; they end with the test."""
    if PEER != "polyport":
        pytest.skip("three real brokers are not started")
    running = []

    def start(properties=None, name="three"):
        brokers = make_three(properties, f"{next(_numbers)}-{name}")
        running.extend(brokers.values())
        for broker in brokers.values():
            broker.start()
        for broker in brokers.values():
            broker.wait_ready()
        addresses = ",".join(broker.address for broker in brokers.values())
        admin = AdminClient({"bootstrap.servers": addresses})
        until(lambda: len(admin.list_topics(timeout=10).brokers) == 3, 30, "three brokers")
        return brokers

    yield start
    _brokers.extend(running)
    for broker in running:
        broker.end()


class Running:
    """A broker that somebody else started, at KAFKA_ADDRESS: for one test again and again."""

    def __init__(self, address, zookeeper=None):
        self.address, self.zookeeper = address, zookeeper


@pytest.fixture(scope="session")
def broker(start_broker):
    """The broker of most tests: topics are made, not found."""
    if os.environ.get("KAFKA_ADDRESS"):
        return Running(*os.environ["KAFKA_ADDRESS"].split())
    return start_broker({"auto.create.topics.enable": "false"}, "main")


@pytest.fixture
def own_broker(start_broker):
    """A broker that the test may stop, kill and start again."""
    broker = start_broker(name="own")
    yield broker
    broker.end()


@pytest.fixture(scope="session")
def bootstrap(broker):
    return broker.address


@pytest.fixture(scope="session")
def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


@pytest.fixture
def name(request):
    """A name of the test's own, for groups and transactions."""
    text = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:60]
    return f"{text}-{os.getpid()}-{next(_numbers)}"


def has_leaders(seen, partitions):
    """Whether all partitions of a topic can be written and read."""
    return len(seen.partitions) == partitions and all(
        partition.leader >= 0 and partition.error is None for partition in seen.partitions.values())


@pytest.fixture
def make_topic(admin, name):
    """Makes topics with names of the test's own; they go with the test."""
    made = []

    def make(partitions=1, suffix="", **config):
        topic = f"{name}{suffix}"
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config)
        admin.create_topics([new])[topic].result(30)
        made.append(topic)
        # A broker hears of what its controller has made a moment later.
        until(lambda: has_leaders(admin.list_topics(topic, 10).topics[topic], partitions),
              20, f"the topic {topic}")
        return topic

    yield make
    if made:
        # Not awaited: a topic that is gone already, or not yet, is no failure of the test.
        admin.delete_topics(made)


@pytest.fixture
def topic(make_topic):
    return make_topic()
