"""The fixtures every Python suite shares: the cluster under test and clients on it."""

import itertools
import re
import signal
import sys

import pytest
from kazoo.client import KazooClient

from harness.cluster import Cluster
from harness.raw import Raw
from harness.settings import Settings
from harness.wait import until

_names = itertools.count(1)
_clusters = []


def pytest_addoption(parser):
    parser.addoption("--server", choices=["polyport", "zookeeper"], default="polyport")
    parser.addoption("--nodes", type=int, choices=[1, 3], default=1)
    parser.addoption("--record", action="store_true", help="keep what the real server answers")


def pytest_configure(config):
    # So that a run that is told to end still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    config.addinivalue_line("markers", "ensemble: needs three nodes")
    config.addinivalue_line("markers", "single: only with one node")
    config.addinivalue_line("markers", "polyport_ensemble_only: stops a real ensemble")


def pytest_collection_modifyitems(config, items):
    nodes = config.getoption("--nodes")
    kept, dropped = [], []
    for item in items:
        wrong = (item.get_closest_marker("ensemble") and nodes == 1) or (
            item.get_closest_marker("single") and nodes != 1
        ) or (
            item.get_closest_marker("polyport_ensemble_only")
            and nodes != 1 and config.getoption("--server") == "zookeeper"
        )
        (dropped if wrong else kept).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_sessionfinish(session, exitstatus):
    for cluster in _clusters:
        cluster.stop(keep=exitstatus != 0)
        if exitstatus != 0:
            print(f"\nlogs kept in {cluster.folder}")


@pytest.fixture(scope="session")
def server_kind(request):
    return request.config.getoption("--server")


@pytest.fixture(scope="session")
def make_cluster(request):
    """Starts a cluster with other settings; it ends with the session at the latest."""
    def make(nodes=None, settings=None, name="extra"):
        cluster = Cluster(request.config.getoption("--server"),
                          nodes or request.config.getoption("--nodes"), settings, name)
        _clusters.append(cluster)
        return cluster.start()
    return make


@pytest.fixture(scope="session")
def cluster(make_cluster):
    return make_cluster(settings=Settings(metrics=True), name="main")


@pytest.fixture
def restartable(cluster):
    """The shared cluster, whole again after a test that stopped members of it."""
    yield cluster
    for node in cluster:
        node.start()
    for node in cluster:
        node.wait_ready()


@pytest.fixture
def base(request, cluster):
    """A path of the test's own, already created."""
    path = "/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    path += f"-{next(_names)}"
    with Raw(cluster[0].address) as raw:
        raw.create(path)
    return path


@pytest.fixture
def connect(cluster):
    """Makes started kazoo clients that are closed with the test."""
    made = []

    def make(hosts=None, start=True, **options):
        options.setdefault("timeout", 10)
        client = KazooClient(hosts or cluster.hosts, **options)
        made.append(client)
        if start:
            client.start(15)
        return client

    yield make
    for client in made:
        try:
            client.stop()
        finally:
            client.close()


@pytest.fixture
def client(connect):
    return connect()


@pytest.fixture
def rooted(connect, cluster, base):
    """A client that sees only the test's own path."""
    return connect(cluster.hosts + base)


@pytest.fixture
def raw(cluster):
    """Makes raw connections (to the first node unless told) that end with the test."""
    made = []

    def make(address=None, **options):
        connection = Raw(address or cluster[0].address, **options)
        made.append(connection)
        return connection

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def end_session(raw):
    """Closes a session under its client, as an administrator or a thief of its password can."""
    def end(client_id):
        session, password = client_id

        def is_over():
            thief = raw(session=session, password=password)
            thief.close()
            return not thief.session

        # The owner comes back at once; where it is quicker than the closing, the session goes on.
        until(is_over, 10, "the end of the session")
    return end
