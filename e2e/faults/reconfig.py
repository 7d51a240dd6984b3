#!/usr/bin/env python3
"""Grows a node to three and five, shrinks, demotes, replaces, and removes the leader, all under
writers; then looks for every write that was acknowledged."""

import logging
import pathlib
import sys
import tempfile
import threading
import time

from kazoo import exceptions as errors
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

from nodes import Nodes

logging.disable(logging.CRITICAL)


class Writer(threading.Thread):
    def __init__(self, hosts, number):
        super().__init__(daemon=True)
        self.number, self.acknowledged, self.stopping, self.failed = number, [], False, 0
        self.client = KazooClient(hosts, timeout=10, connection_retry={"max_tries": -1, "delay": 0.02, "max_delay": 0.2})
        self.client.start(20)

    def run(self):
        count = 0
        while not self.stopping:
            path = f"/w/{self.number}-{count:06}"
            count += 1
            try:
                self.client.create(path, str(count).encode())
                self.acknowledged.append(path)
            except (KazooException, KazooTimeoutError):
                self.failed += 1
                time.sleep(0.02)


def ids(text):
    lines = text.decode().splitlines()
    return {int(line[7 : line.index("=")]): line for line in lines if line.startswith("server.")}


def refused(error, work, *args, **named):
    try:
        work(*args, **named)
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected of {named}")


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-reconfig-"))
    nodes = Nodes(directory, founders=[1])
    everywhere = nodes.addresses(range(1, 7))
    writers = []
    try:
        nodes.start(1)
        admin = KazooClient(everywhere, timeout=10, auth_data=[("digest", "super:admin")])
        admin.start(20)
        plain = KazooClient(nodes.address(1), timeout=10)
        plain.start(20)
        admin.create("/w")
        writers = [Writer(everywhere, number) for number in range(4)]
        for writer in writers:
            writer.start()

        def change(what, **named):
            began = time.monotonic()
            joining, leaving, members = (named.get(key) for key in ("joining", "leaving", "members"))
            version = named.get("version", -1)
            data, stat = admin.reconfig(joining, leaving, members, version)
            took = time.monotonic() - began
            print(f"{what}: {sorted(ids(data))} in {took:.2f} s, version {data.decode().rsplit('=')[-1]}")
            return ids(data), int(data.decode().rsplit("=")[-1], 16)

        refused(errors.NoAuthError, plain.reconfig, nodes.server(2), None, None)
        refused(errors.BadArgumentsError, admin.reconfig, "server.2=nonsense", None, None)
        refused(errors.BadVersionError, admin.reconfig, nodes.server(2), None, None, 12345)
        # Nobody answers there: two of the three voters would be missing.
        refused(errors.NewConfigNoQuorumError, admin.reconfig, f"{nodes.server(2)},{nodes.server(3)}", None, None)
        # A reconfigured ensemble's nodes know those before them, as ZooKeeper's do.
        for node in (2, 3):
            nodes.start(node, listed=[1, 2, 3])
            nodes.await_port(node)
        found, version = change("1 -> 3", joining=f"{nodes.server(2)},{nodes.server(3)}")
        assert sorted(found) == [1, 2, 3]
        assert found[2] == nodes.server(2), found
        for node in (4, 5):
            nodes.start(node, listed=[1, 2, 3, 4, 5])
            nodes.await_port(node)
        found, version = change("3 -> 5", joining=f"{nodes.server(4)},{nodes.server(5)}", version=version)
        found, _ = change("demote 5", joining=nodes.server(5, "observer"))
        assert found[5] == nodes.server(5, "observer"), found
        found, _ = change("promote 5", joining=nodes.server(5))
        found, _ = change("remove 4", leaving="4")
        assert sorted(found) == [1, 2, 3, 5]
        nodes.kill(4)
        nodes.start(6, listed=[1, 2, 3, 5, 6])
        nodes.await_port(6)
        found, _ = change("replace 5 by 6", joining=nodes.server(6), leaving="5")
        assert sorted(found) == [1, 2, 3, 6]
        nodes.kill(5)
        leader = nodes.await_leader()
        found, _ = change(f"remove the leader {leader}", leaving=str(leader))
        assert leader not in found
        nodes.kill(leader)
        remaining = sorted(found)
        leader = nodes.await_leader()
        found, _ = change(f"demote the leader {leader}", joining=nodes.server(leader, "observer"))
        assert found[leader].split(";")[0].endswith("observer"), found
        found, _ = change(f"promote {leader}", joining=nodes.server(leader))
        whole = ",".join(nodes.server(node) for node in remaining[:2])
        found, _ = change(f"shrink to {remaining[:2]}", members=whole)
        assert sorted(found) == remaining[:2]
        nodes.kill(remaining[2])
        # From the command line.
        told = nodes.run("cluster", "status", node=remaining[0])
        print(told.stdout)
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join(20)
        acknowledged = {path for writer in writers for path in writer.acknowledged}
        lost = []
        for node in remaining[:2]:
            reader = KazooClient(nodes.address(node), timeout=10)
            reader.start(20)
            reader.sync("/w")
            present = {f"/w/{name}" for name in reader.get_children("/w")}
            lost += sorted(acknowledged - present)
            reader.stop()
        failed = sum(writer.failed for writer in writers)
        print(f"{len(acknowledged)} writes acknowledged, {failed} failed, {len(lost)} lost {lost[:5]}")
        assert not lost and len(acknowledged) > 100
        gone = nodes.run("cluster", "remove", str(remaining[1]), node=remaining[0])
        print(gone.stdout.strip())
        print("ok")
    finally:
        nodes.close()
        print("logs in", directory)


if __name__ == "__main__":
    sys.exit(main())
