#!/usr/bin/env python3
"""Ways in and out, and read-only mode: a real ZooKeeper's data folder is imported and answers as
that ZooKeeper did; a backup of it fills a cluster of three; a node without a quorum serves reads to
those who asked for it, and sends them away when there is more to be had."""

import logging
import pathlib
import sys
import tempfile
import time

from kazoo import exceptions as errors
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KeeperState

from nodes import Nodes

logging.disable(logging.CRITICAL)
FIXTURES = pathlib.Path(__file__).parents[2] / "crates/zookeeper/tests/data"


def connect(hosts, **named):
    client = KazooClient(hosts, timeout=10, auth_data=[("digest", "super:admin")], **named)
    client.start(20)
    return client


def expected(name):
    """What the real server had answered, without the node that every ensemble fills by itself."""
    lines = (FIXTURES / name / "expected.tsv").read_text().splitlines()
    found = {}
    for line in lines:
        if not line.startswith(("session\t", "/zookeeper/config\t")):
            path, data, acl, *stat = line.split("\t")
            found[path] = (data, acl, [int(number) for number in stat])
    return found


def served(client):
    found = {}

    def walk(path):
        data, stat = client.get(path)
        acls, _ = client.get_acls(path)
        acl = "".join(f"{acl.perms} {acl.id.scheme} {acl.id.id};" for acl in acls)
        fields = [
            stat.czxid, stat.mzxid, stat.ctime, stat.mtime, stat.version, stat.cversion,
            stat.aversion, stat.ephemeralOwner, stat.dataLength, stat.numChildren, stat.pzxid,
        ]
        if path != "/zookeeper/config":
            found[path] = ("-" if data is None else data.hex(), acl, fields)
        for name in client.get_children(path):
            walk(path.rstrip("/") + "/" + name)

    walk("/")
    return found


def same(what, found, wanted):
    def plain(entry):
        # kazoo gives no data as empty.
        data, acl, stat = entry
        return ("" if data in ("-", "") else data, acl, stat)

    different = [
        (path, found.get(path), wanted.get(path))
        for path in sorted(found.keys() | wanted.keys())
        if path not in found or path not in wanted or plain(found[path]) != plain(wanted[path])
    ]
    assert not different, f"{what}: {len(different)} differ: {different[:3]}"
    print(f"{what}: {len(found)} znodes are the same")


def imported(directory):
    for name in ("full-3.8", "full-3.9"):
        nodes = Nodes(directory / name, founders=[1])
        try:
            nodes.configuration(1, [1])
            fixture = FIXTURES / name
            arguments = ("import-zookeeper", str(fixture / "data"), "--log-dir", str(fixture / "log"))
            print(nodes.run(*arguments).stdout)
            again = nodes.run(*arguments, check=False)
            assert again.returncode == 1 and "not empty" in again.stderr, again
            nodes.start(1)
            client = connect(nodes.address(1))
            same(name, served(client), expected(name))
            before = client.last_zxid
            client.create("/after-import")
            assert client.exists("/after-import").czxid > before
            if name == "full-3.9":
                backup = directory / "backup"
                print(nodes.run("backup", str(backup)).stdout)
                tree = served(client)
                restored(directory, backup, tree)
        finally:
            nodes.close()


def restored(directory, backup, tree):
    nodes = Nodes(directory / "restored", founders=[4, 5, 6])
    try:
        for node in nodes.founders:
            nodes.configuration(node, nodes.founders)
        # The third is filled by the cluster.
        for node in (4, 5):
            print(nodes.run("restore", str(backup), node=node).stdout)
        nodes.start_all()
        for node in nodes.founders:
            client = connect(nodes.address(node))
            client.sync("/")
            same(f"restored node {node}", served(client), tree)
            client.stop()
        damaged = bytearray(backup.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        bad = directory / "damaged"
        bad.write_bytes(damaged)
        nodes.configuration(7, [7])
        refused = nodes.run("restore", str(bad), node=7, check=False)
        assert refused.returncode == 1 and "damaged" in refused.stderr, refused
    finally:
        nodes.close()


def wait(what, holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def read_only(directory):
    nodes = Nodes(directory / "read-only", zookeeper="read_only_mode = true")
    try:
        nodes.start_all()
        plain = connect(nodes.address(1))
        plain.create("/here", b"data")
        reader = connect(nodes.address(1), read_only=True)
        assert reader.client_state == KeeperState.CONNECTED
        began = time.monotonic()
        for node in (2, 3):
            nodes.kill(node)
        wait("the plain client is cut off", lambda: not plain.connected)
        print(f"disconnected {time.monotonic() - began:.1f} s after the quorum was lost")
        wait("read-only", lambda: reader.client_state == KeeperState.CONNECTED_RO)
        assert reader.get("/here")[0] == b"data"
        for write in (
            lambda: reader.create("/x"),
            lambda: reader.set("/here", b""),
            lambda: reader.delete("/here"),
        ):
            try:
                write()
            except errors.NotReadOnlyCallError:
                continue
            raise AssertionError("a write was taken")
        fresh = connect(nodes.address(1), read_only=True)
        assert fresh.client_state == KeeperState.CONNECTED_RO and fresh.get("/here")
        # Pings are answered: it is still connected after its timeout.
        refused = KazooClient(nodes.address(1), timeout=10)
        try:
            refused.start(2)
            raise AssertionError("served without asking for read-only")
        except KazooTimeoutError:
            refused.stop()
        for node in (2, 3):
            nodes.start(node)
        wait("moved on", lambda: reader.client_state == KeeperState.CONNECTED)
        reader.create("/x")
        wait("the plain client is back", lambda: plain.connected)
        plain.create("/y")
        print("read-only mode: ok")
    finally:
        nodes.close()


def main():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-ways-"))
    imported(directory)
    read_only(directory)
    print("ok; logs in", directory)


if __name__ == "__main__":
    sys.exit(main())
