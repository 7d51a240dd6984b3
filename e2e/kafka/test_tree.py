"""What a ZooKeeper client sees beside Kafka: the znodes of Kafka's ZooKeeper mode, as 3.9 writes them.

Proven against Kafka 3.9.1 on a real ZooKeeper: KAFKA_PEER=zookeeper.
"""

import json
import re

import pytest
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic
from kazoo.client import KazooClient

from harness.kafka import PEER
from harness.wait import until
from librdkafka import since

pytestmark = [pytest.mark.timeout(60), pytest.mark.tree]


@pytest.fixture(scope="module")
def tree(broker):
    client = KazooClient(broker.zookeeper, timeout=10)
    client.start(15)
    yield client
    client.stop()
    client.close()


@pytest.fixture(scope="module")
def broker_id(admin):
    return next(iter(admin.list_topics(timeout=10).brokers))


def data(tree, path):
    return json.loads(tree.get(path)[0])


def millis(value):
    return isinstance(value, str) and re.fullmatch(r"1[0-9]{12}", value)


def test_a_broker_is_an_ephemeral_with_its_endpoints(tree, broker, broker_id):
    path = f"/brokers/ids/{broker_id}"
    said = data(tree, path)
    host, port = broker.address.split(":")
    assert millis(said.pop("timestamp"))
    assert said == {
        "features": {}, "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"},
        "endpoints": [f"PLAINTEXT://{broker.address}"], "jmx_port": -1, "port": int(port),
        "host": host, "version": 5,
    }
    assert tree.get_children("/brokers/ids") == [str(broker_id)]
    assert tree.exists(path).ephemeralOwner != 0


def test_the_controller_is_an_ephemeral_with_an_epoch(tree, broker_id):
    said = data(tree, "/controller")
    assert millis(said.pop("timestamp"))
    assert said == {"version": 2, "brokerid": broker_id, "kraftControllerEpoch": -1}
    assert tree.exists("/controller").ephemeralOwner != 0
    assert int(tree.get("/controller_epoch")[0]) >= 1


def test_the_cluster_has_the_id_that_clients_are_told(tree, admin):
    said = data(tree, "/cluster/id")
    assert said == {"version": "1", "id": admin.list_topics(timeout=10).cluster_id}


def test_a_topic_is_its_assignment_its_id_and_a_state_for_each_partition(
        tree, admin, broker_id, make_topic):
    topic = make_topic(2)
    said = data(tree, f"/brokers/topics/{topic}")
    assert len(said.pop("topic_id")) == 22
    assert said == {"partitions": {"0": [broker_id], "1": [broker_id]}, "adding_replicas": {},
                    "removing_replicas": {}, "version": 3}
    assert sorted(tree.get_children(f"/brokers/topics/{topic}/partitions")) == ["0", "1"]
    epoch = int(tree.get("/controller_epoch")[0])
    for partition in (0, 1):
        assert data(tree, f"/brokers/topics/{topic}/partitions/{partition}/state") == {
            "controller_epoch": epoch, "leader": broker_id, "version": 1, "leader_epoch": 0,
            "isr": [broker_id]}


@since("describe_topics")
def test_the_id_in_the_tree_is_the_one_clients_are_told(tree, admin, topic):
    from confluent_kafka import TopicCollection
    told = admin.describe_topics(TopicCollection([topic]))[topic].result(30).topic_id
    assert data(tree, f"/brokers/topics/{topic}")["topic_id"] == str(told).replace("/", "_").replace("+", "-")


def test_a_topics_configuration_is_a_znode_of_its_own(tree, admin, make_topic):
    plain = make_topic(suffix="-plain")
    topic = make_topic(retention_ms=1234567)
    assert data(tree, f"/config/topics/{topic}") == {
        "version": 1, "config": {"retention.ms": "1234567"}}
    assert data(tree, f"/config/topics/{plain}") == {"version": 1, "config": {}}
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"segment.bytes": "2000000"})
    admin.alter_configs([resource])[resource].result(30)
    until(lambda: data(tree, f"/config/topics/{topic}") == {
        "version": 1, "config": {"segment.bytes": "2000000"}}, what="the new configuration")


@since("incremental_alter_configs")
def test_a_brokers_configuration_is_a_znode_too(tree, admin, broker_id):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

    def alter(how, value=None):
        entry = ConfigEntry("log.cleaner.threads", value, incremental_operation=how)
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker_id),
                                  incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(30)

    alter(AlterConfigOpType.SET, "2")
    path = f"/config/brokers/{broker_id}"
    until(lambda: tree.exists(path) and data(tree, path) == {
        "version": 1, "config": {"log.cleaner.threads": "2"}}, what="the znode")
    alter(AlterConfigOpType.DELETE)
    until(lambda: data(tree, path)["config"] == {}, what="the empty znode")


def test_new_partitions_appear(tree, admin, broker_id, topic):
    admin.create_partitions([NewPartitions(topic, 3)])[topic].result(30)
    until(lambda: tree.exists(f"/brokers/topics/{topic}/partitions/2/state"), what="their states")
    assert data(tree, f"/brokers/topics/{topic}")["partitions"] == {
        "0": [broker_id], "1": [broker_id], "2": [broker_id]}


def test_a_deleted_topic_leaves_nothing(tree, admin, name):
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    until(lambda: tree.exists(f"/brokers/topics/{name}/partitions/0/state"), what="the topic")
    admin.delete_topics([name])[name].result(30)
    for path in (f"/brokers/topics/{name}", f"/config/topics/{name}", f"/admin/delete_topics/{name}"):
        until(lambda path=path: not tree.exists(path), 20, f"the end of {path}")


def test_a_watch_tells_of_a_new_topic(tree, admin, make_topic):
    told = []
    tree.get_children("/brokers/topics", watch=told.append)
    topic = make_topic()
    until(lambda: told, what="the watch")
    assert topic in tree.get_children("/brokers/topics")


def test_the_paths_of_kafka_are_there(tree):
    for path in ("/brokers/ids", "/brokers/topics", "/config/topics", "/config/brokers",
                 "/config/users", "/config/clients", "/admin/delete_topics", "/controller_epoch"):
        assert tree.exists(path), path


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_brokers_znodes_come_back_with_it(start_broker, end):
    if end == "kill" and PEER == "zookeeper":
        pytest.skip("the real one refuses to start until its old session has expired")
    broker = start_broker(name=end)
    client = KazooClient(broker.zookeeper, timeout=10)
    client.start(15)
    try:
        ids = client.get_children("/brokers/ids")
        before = client.exists(f"/brokers/ids/{ids[0]}").czxid
        getattr(broker, end)()
        broker.start().wait_ready()

        def anew():
            try:
                seen = client.exists(f"/brokers/ids/{ids[0]}")
                return seen and seen.czxid > before and client.exists("/controller")
            except Exception as gone:
                return "Connection" not in type(gone).__name__ and None
        until(anew, 40, "the broker's znode")
        assert int(client.get("/controller_epoch")[0]) >= 2
    finally:
        client.stop()
        client.close()
