#!/usr/bin/env python3
"""An ensemble as its operators have it: a zoo.cfg with `server.N` lines and a myid for each of three
participants and an observer, started by `polyport serve --import`. The roles are as written, every
server takes writes, the leader and then everything is killed, and the observer's vote never counts.
Nodes are on loopback."""

import pathlib
import socket
import sys
import tempfile
import time

from failover import await_acknowledged, gap_after
from faults import Writer, connect, differences, rest, tree
from nodes import Nodes

ALL = (1, 2, 3, 4)


class Ensemble(Nodes):
    """Nodes whose configuration is a ZooKeeper's."""

    def configuration(self, node, _listed):
        data = self.data(node)
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(f"{node}\n")
        lines = [
            "tickTime=2000",
            "initLimit=10",
            "syncLimit=5",
            f"dataDir={data}",
            f"clientPort={self.net.client_port(node)}",
            "clientPortAddress=127.0.0.1",
            "4lw.commands.whitelist=*",
            "admin.enableServer=false",
        ]
        for other in ALL:
            port = self.net.node_port(other)
            role = ":observer" if other in self.observers else ""
            lines.append(f"server.{other}=127.0.0.1:{port}:{port + 40}{role}")
        (self.directory / f"{node}.cfg").write_text("\n".join(lines) + "\n")

    def source(self, node):
        return ["--import", f"{self.directory}/{node}.cfg", "--set", "metrics.enabled=false"]

    def start(self, node, listed=None):
        self.configuration(node, listed)
        self.spawn(node, "serve")

    def mode(self, node):
        """What `srvr` says the server is; none if it does not answer or does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.net.client_port(node)), 2) as stream:
                stream.sendall(b"srvr")
                answer = b"".join(iter(lambda: stream.recv(65536), b"")).decode()
        except OSError:
            return None
        found = [line[6:] for line in answer.splitlines() if line.startswith("Mode: ")]
        return found[0] if found else None


def await_modes(nodes, wanted, seconds=20):
    deadline = time.monotonic() + seconds
    while sorted(str(nodes.mode(node)) for node in ALL) != sorted(wanted):
        assert time.monotonic() < deadline, f"modes are {[nodes.mode(node) for node in ALL]}, not {wanted}"
        time.sleep(0.05)


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-ensemble-"))
    nodes = Ensemble(directory, founders=[1, 2, 3], observers=[4])
    modes, broken = ["leader", "follower", "follower", "observer"], []
    try:
        began = time.monotonic()
        nodes.start_all()
        await_modes(nodes, modes)
        assert nodes.mode(4) == "observer"
        print(f"all serve after {time.monotonic() - began:.2f} s")
        setup = connect(nodes.address(4))
        for path in ("/w", "/held"):
            setup.create(path)
        lines = setup.get("/zookeeper/config")[0].decode().splitlines()
        roles = {line.split("=")[0]: line.split(":")[3].split(";")[0] for line in lines if line.startswith("server.")}
        assert roles == {f"server.{n}": "observer" if n == 4 else "participant" for n in ALL}, lines
        setup.stop()
        # One client a server, so that each takes writes; they move on when theirs goes.
        writers = [Writer(nodes.addresses(), number, broken) for number in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(2)
        leader = next(node for node in ALL if nodes.mode(node) == "leader")
        kill = time.monotonic()
        nodes.kill(leader)
        assert await_acknowledged(writers, kill + 0.1, 20), "no writes after the kill of the leader"
        time.sleep(1)
        print(f"leader {leader} killed: {gap_after(writers, kill):.2f} s without a write")
        nodes.start(leader)
        await_modes(nodes, modes)
        # Two of three participants and the observer are three of four, but no majority.
        left = [node for node in nodes.founders if nodes.mode(node) != "leader"]
        for node in left:
            nodes.kill(node)
        time.sleep(3)
        without = time.monotonic()
        if await_acknowledged(writers, without, 2):
            broken.append("a write was acknowledged by one participant of three and an observer")
        for node in left:
            nodes.start(node)
        assert await_acknowledged(writers, without, 20), "no writes with all participants back"
        await_modes(nodes, modes)
        # All at once, as when the power goes.
        for node in ALL:
            nodes.kill(node)
        for node in ALL:
            nodes.start(node)
        restart = time.monotonic()
        assert await_acknowledged(writers, restart, 20), "no writes after the restart of all"
        print(f"all killed: writes again {time.monotonic() - restart:.2f} s after the restart")
        await_modes(nodes, modes)
        rest(writers)
        written = {path for writer in writers for path in writer.acknowledged}
        trees = {}
        for node in ALL:
            reader = connect(nodes.address(node))
            reader.sync("/")
            trees[node] = tree(reader)
            lost = sorted(written - trees[node].keys())
            if lost:
                broken.append(f"node {node} lost {len(lost)} acknowledged writes: {lost[:5]}")
        broken += differences(trees)
        print(f"{len(written)} writes acknowledged; every node holds the same {len(trees[1])} znodes")
        assert len(written) > 100
    finally:
        nodes.close()
        print("logs in", directory)
    for what in broken:
        print("BROKEN:", what)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
