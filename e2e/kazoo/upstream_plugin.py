"""Points kazoo's own test-suite (it ships inside the package) at our cluster.

Run as: pytest -p upstream_plugin --server=… $(site-packages)/kazoo/tests
"""

import os
import sys
import types

# kazoo.testing imports these two to make certificates; ours are made elsewhere.
for absent in ("OpenSSL", "jks"):
    sys.modules.setdefault(absent, types.ModuleType(absent))

import pytest
from kazoo.testing import harness as kazoo_harness

from harness.certs import certificates
from harness.cluster import Cluster
from harness.settings import Settings

HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """What the suite expects of a managed server, on top of one of our nodes."""

    def __init__(self, node):
        self.node = node
        self.address = node.address
        self.secure_address = node.secure_address
        self.client_port = node.ports["client"]
        self.host = node.host

    @property
    def running(self):
        return self.node.running

    def run(self):
        self.node.start()

    def stop(self):
        self.node.stop()

    def destroy(self):
        self.node.kill()

    def get_logs(self, num_lines=100):
        return self.node.tail(num_lines).splitlines()


class Servers:
    """What the suite expects of a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.servers = [Server(node) for node in cluster]

    def __iter__(self):
        return iter(self.servers)

    def __getitem__(self, index):
        return self.servers[index]

    def start(self):
        self.cluster.start()

    def stop(self):
        for node in self.cluster:
            node.stop()

    def terminate(self):
        # Each test class ends its cluster; starting ours anew each time would only cost time.
        pass

    def get_logs(self):
        return [line for server in self for line in server.get_logs()]

    def get_ssl_client_configuration(self):
        folder = certificates()
        return {
            "client_key": (folder / "client.key").read_bytes(),
            "client_cert": (folder / "client.pem").read_bytes(),
            "ca_cert": (folder / "ca.pem").read_bytes(),
        }


_made = {}


def _cluster():
    local_sessions = os.environ.get("ZOOKEEPER_LOCAL_SESSION_RO") == "true"
    if local_sessions not in _made:
        for others in _made.values():
            others.cluster.stop()
        _made.clear()
        cluster = Cluster(
            _options["server"], 3,
            Settings(tls=True, local_sessions=local_sessions),
            "kazoo-upstream",
        )
        _made[local_sessions] = Servers(cluster)
    return _made[local_sessions]


_options = {}
kazoo_harness.get_global_cluster = _cluster


def pytest_addoption(parser):
    parser.addoption("--server", choices=["polyport", "zookeeper"], default="polyport")


def pytest_configure(config):
    _options["server"] = config.getoption("--server")


def known(server):
    """The tests that may fail, from upstream-known.txt: `[server] test-id  # reason`."""
    with open(os.path.join(HERE, "upstream-known.txt")) as lines:
        for line in lines:
            line = line.split("#")[0].split()
            if len(line) == 2 and line[0] in (server, "both"):
                yield line[1]


def pytest_collection_modifyitems(config, items):
    allowed = set(known(_options["server"]))
    for item in items:
        name = item.nodeid.split("tests/")[-1]
        if name in allowed:
            item.add_marker(pytest.mark.xfail(reason="upstream-known.txt", strict=False))


def pytest_sessionfinish(session, exitstatus):
    for servers in _made.values():
        servers.cluster.stop(keep=exitstatus != 0)
