#!/usr/bin/env python3
"""A node alone becomes three: two more `polyport cluster join` it at the same time while clients write,
the first leader is killed, comes back, and a joined node is started once more by the command it joined
with. Nothing acknowledged may be missing anywhere, and no session ends. Nodes are on loopback."""

import pathlib
import sys
import tempfile
import time

from failover import await_acknowledged, gap_after
from faults import Writer, connect, differences, rest, tree
from nodes import Nodes


def members(client):
    """The servers that /zookeeper/config names."""
    text = client.get("/zookeeper/config")[0].decode()
    return sorted(int(line[7 : line.index("=")]) for line in text.splitlines() if line.startswith("server."))


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-join-"))
    nodes = Nodes(directory, founders=[1])
    everywhere, broken = nodes.addresses([1, 2, 3]), []
    try:
        nodes.start(1)
        setup = connect(nodes.address(1))
        for path in ("/w", "/held"):
            setup.create(path)
        assert members(setup) == [1]
        writers = [Writer(everywhere, number, broken) for number in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(1)
        began = time.monotonic()
        for node in (2, 3):
            nodes.join(node, 1)
        nodes.everyone = nodes.founders = [1, 2, 3]
        nodes.await_whole()
        print(f"1 -> 3 in {time.monotonic() - began:.2f} s")
        assert members(setup) == [1, 2, 3]
        setup.stop()
        assert await_acknowledged(writers, time.monotonic(), 10), "no writes after the join"
        first = nodes.await_leader()
        kill = time.monotonic()
        nodes.kill(first)
        assert await_acknowledged(writers, kill + 0.1, 20), "no writes after the kill"
        time.sleep(1)
        print(f"node {first} led and was killed: {gap_after(writers, kill):.2f} s without a write")
        nodes.start(1) if first == 1 else nodes.join(first, 1)
        nodes.await_whole()
        again = 2 if first != 2 else 3
        assert nodes.stop(again) == 0, "a clean stop"
        nodes.join(again, 1)
        nodes.await_whole()
        rest(writers)
        written = {path for writer in writers for path in writer.acknowledged}
        trees = {}
        for node in nodes.everyone:
            reader = connect(nodes.address(node))
            reader.sync("/")
            assert members(reader) == [1, 2, 3]
            trees[node] = tree(reader)
            lost = sorted(written - trees[node].keys())
            if lost:
                broken.append(f"node {node} lost {len(lost)} acknowledged writes: {lost[:5]}")
            gone = [writer.holds for writer in writers if writer.holds not in trees[node]]
            if gone:
                broken.append(f"node {node}: {gone} are gone while their sessions live")
        broken += differences(trees)
        print(f"{len(written)} writes acknowledged, all there" if not broken else "")
        assert len(written) > 100
    finally:
        nodes.close()
        print("logs in", directory)
    for what in broken:
        print("BROKEN:", what)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
