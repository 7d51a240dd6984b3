"""Without a majority: reading goes on for clients that asked for it, writing does not.

Local sessions are on: without them the real server refuses new sessions in read-only mode.
"""

import pytest
from kazoo.client import KazooState
from kazoo.exceptions import NotReadOnlyCallError
from kazoo.protocol.states import KeeperState

from harness.raw import Failed, NOT_READ_ONLY, Raw
from harness.settings import Settings
from harness.wait import until

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def survivor(make_cluster):
    """The last of three nodes, the others gone; /kept was written before."""
    cluster = make_cluster(nodes=3, settings=Settings(local_sessions=True), name="read-only")
    with Raw(cluster[0].address) as raw:
        raw.create("/kept", b"readable")
    for node in cluster[1], cluster[2]:
        node.kill()
    until(lambda: cluster[0].mode() == "read-only", 30, "read-only mode")
    yield cluster[0]
    for node in cluster:
        node.kill()


@pytest.fixture
def reader(connect, survivor):
    client = connect(survivor.address, read_only=True, start=False)
    client.start(20)
    return client


def test_isro_says_so(survivor):
    assert survivor.words("isro") == "ro"


def test_the_client_knows(reader):
    assert reader.client_state == KeeperState.CONNECTED_RO


def test_reads_are_answered(reader):
    assert reader.get("/kept")[0] == b"readable"
    assert "kept" in reader.get_children("/")
    assert reader.exists("/none") is None


@pytest.mark.parametrize("write", [
    lambda c: c.create("/new"), lambda c: c.set("/kept", b""), lambda c: c.delete("/kept"),
    lambda c: c.set_acls("/kept", []),
])
def test_writes_are_refused(reader, write):
    with pytest.raises(NotReadOnlyCallError):
        write(reader)


def test_transactions_are_refused(survivor):
    with Raw(survivor.address, read_only=True) as raw:
        assert raw.read_only is True
        with pytest.raises(Failed) as refused:
            raw.call(14, b"\xff\xff\xff\xff\1\xff\xff\xff\xff")
        assert refused.value.error == NOT_READ_ONLY


def test_ordinary_clients_are_not_served(connect, survivor):
    full = connect(survivor.address, start=False)
    states = []
    full.add_listener(states.append)
    full.start_async().wait(1.5)
    assert KazooState.CONNECTED not in states
