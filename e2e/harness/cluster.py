"""Several nodes as one: what every suite is given."""

import itertools
import os
import shutil
import time

from . import ports as port_pool
from .ours import PolyportNode
from .paths import RUNS
from .real import RealNode
from .settings import Settings
from .wait import until

KINDS = {"zookeeper": RealNode, "polyport": PolyportNode}
_counter = itertools.count(1)


class Cluster:
    def __init__(self, kind, size, settings=None, name="cluster"):
        self.kind = kind
        self.settings = settings or Settings()
        node_class = KINDS[kind]
        stamp = time.strftime("%H%M%S")
        self.folder = RUNS / f"{stamp}-{os.getpid()}-{next(_counter)}-{kind}{size}-{name}"
        numbers = range(1, size + 1)
        peers = {
            n: {name: port_pool.free_port() for name in node_class.port_names} for n in numbers
        }
        self.nodes = [
            node_class(n, self.folder / f"node{n}", peers[n], self.settings, peers)
            for n in numbers
        ]

    def __getitem__(self, index):
        return self.nodes[index]

    def __iter__(self):
        return iter(self.nodes)

    def __len__(self):
        return len(self.nodes)

    @property
    def hosts(self):
        return ",".join(node.address for node in self.nodes)

    @property
    def secure_hosts(self):
        return ",".join(node.secure_address for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        return self

    def leader(self):
        """The node that leads (the only one of a cluster of one)."""
        def look():
            for node in self.nodes:
                if node.running and node.mode() in ("leader", "standalone"):
                    return node
            return None
        return until(look, 30, "a leader")

    def followers(self):
        return [node for node in self.nodes if node.running and node.mode() == "follower"]

    def stop(self, keep=False):
        for node in self.nodes:
            node.kill()
            port_pool.give_back(node.ports.values())
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
