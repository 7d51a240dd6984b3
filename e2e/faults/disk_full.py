#!/usr/bin/env python3
"""A node's disk fills up under load: of a node alone, of a follower of three, of the leader of three.

The data directory is an ext4 of its own on a loop device (a tmpfs where there is none). What must
happen:

- the node stops, by itself and soon, and its log says that the disk is full and what to do;
- started while the disk is still full, it does not serve lies: it stops again, or serves what it has;
- the others of three go on, after a failover if it led;
- once space was freed and it was started, everything acknowledged is there with its data, on every
  node, and writes succeed.

Needs root (mount). Exit status 1 if something else happens.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

from failover import gap_after
from faults import connect
from nodes import Nodes

SIZE_MIB = 320
# Removed to free space.
BALLAST_MIB = 160
VALUE_BYTES = 50_000


class Disk:
    """A small file system."""

    def __init__(self, directory):
        self.image = directory / "disk.img"
        self.at = directory / "disk"
        self.at.mkdir()
        made = subprocess.run(
            f"truncate -s {SIZE_MIB}M {self.image} && mkfs.ext4 -q -m 0 {self.image} && mount -o loop {self.image} {self.at}",
            shell=True, capture_output=True, text=True,
        )
        self.kind = "ext4"
        if made.returncode:
            print("no ext4 on a loop device here:", made.stderr.strip())
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "none", self.at], check=True)
            self.kind = "tmpfs"
        self.ballast = self.at / "ballast"
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, BALLAST_MIB << 20)

    def free_mib(self):
        found = os.statvfs(self.at)
        return found.f_bavail * found.f_frsize / (1 << 20)

    def free(self):
        self.ballast.unlink()

    def close(self):
        subprocess.run(["umount", self.at], check=False)


class OneSmall(Nodes):
    """Nodes of which the last has its data on the small disk."""

    def __init__(self, *args, disk, **named):
        super().__init__(*args, **named)
        self.disk, self.small = disk, self.founders[-1]

    def data(self, node):
        return self.disk.at / "data" if node == self.small else super().data(node)

    def lead_by_small(self):
        """Leadership is handed on by clean stops until the small disk's node has it."""
        for _ in range(20):
            self.await_whole()
            leader = self.await_leader()
            if leader == self.small:
                return
            assert self.stop(leader) == 0
            self.start(leader)
        raise AssertionError("the node with the small disk never led")


def value(path):
    """Data that can be told apart."""
    return (path.encode() * (VALUE_BYTES // len(path) + 1))[:VALUE_BYTES]


class Filler(threading.Thread):
    """Writes large znodes until it is told to stop."""

    def __init__(self, hosts, number):
        super().__init__(daemon=True)
        self.number, self.acknowledged, self.failed, self.stopping = number, {}, 0, False
        # Patient: a node alone comes back late.
        self.client = connect(hosts, 10)

    def run(self):
        count = 0
        while not self.stopping:
            path = f"/w/{self.number}-{count:06}"
            count += 1
            try:
                self.client.create(path, value(path))
                self.acknowledged[path] = time.monotonic()
            except (KazooException, KazooTimeoutError):
                self.failed += 1
                time.sleep(0.02)

    def end(self):
        self.stopping = True
        self.join(20)
        self.client.stop()
        self.client.close()


def await_stopped(nodes, node, seconds):
    deadline = time.monotonic() + seconds
    while nodes.is_running(node):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def check_present(nodes, acknowledged, broken):
    """Every acknowledged write is on every node, with its data."""
    for node in nodes.founders:
        reader = connect(nodes.address(node))
        reader.sync("/w")
        pending = [(path, reader.get_async(path)) for path in sorted(acknowledged)]
        lost = []
        for path, answer in pending:
            try:
                if answer.get(30)[0] != value(path):
                    lost.append(path)
            except KazooException:
                lost.append(path)
        if lost:
            broken.append(f"node {node}: {len(lost)} of {len(acknowledged)} acknowledged writes lost: {lost[:5]}")
        reader.create("/after-", sequence=True)
        reader.stop()


def run(case, seconds):
    broken = []
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"polyport-full-{case}-"))
    founders = [1] if case == "alone" else [1, 2, 3]
    nodes = OneSmall(directory / "nodes", founders=founders, zookeeper="snap_count = 800", disk=None)
    nodes.disk = disk = Disk(directory)
    small = nodes.small
    fillers = []

    def log():
        return nodes.log(small).read_text(errors="replace")

    try:
        nodes.start_all()
        if case == "follower":
            nodes.await_whole()
            if nodes.await_leader() == small:
                assert nodes.stop(small) == 0
                nodes.start(small)
                nodes.await_whole()
        elif case == "leader":
            nodes.lead_by_small()
        setup = connect(nodes.addresses())
        setup.create("/w")
        setup.stop()
        setup.close()
        fillers = [Filler(nodes.addresses(), number) for number in range(3)]
        began = time.monotonic()
        for filler in fillers:
            filler.start()
        stopped = await_stopped(nodes, small, seconds)
        at = time.monotonic()
        if not stopped:
            raise AssertionError(f"node {small} still runs after {seconds} s, {disk.free_mib():.0f} MiB free")
        status = nodes.processes[small].returncode
        print(f"{case}: stopped after {at - began:.1f} s of load with status {status}, {disk.free_mib():.1f} MiB free on {disk.kind}")
        if status != 1:
            broken.append(f"exit status {status}, not 1")
        for words in ("the disk is full: free space", "nothing that was acknowledged is lost"):
            if words not in log():
                broken.append(f"the log does not say `{words}`")
        if case != "alone":
            time.sleep(2)
            gap = gap_after(fillers, at)
            since = sum(1 for f in fillers for when in list(f.acknowledged.values()) if when > at)
            print(f"{case}: the others went on: {since} writes in 2 s, longest silence about the stop {gap:.2f} s")
            if gap > 3 or not since:
                broken.append("the others did not go on")
        # Still full.
        before = len(log())
        nodes.start(small)
        if await_stopped(nodes, small, 6):
            said = log()[before:]
            print(f"{case}: started while full, stopped again with status {nodes.processes[small].returncode}")
            if "full" not in said and "No space left" not in said:
                broken.append(f"started while full, it does not say why it stopped: {said[-500:]}")
        else:
            print(f"{case}: started while full, it serves what it has, {disk.free_mib():.1f} MiB free")
        if case != "alone":
            for filler in fillers:
                filler.end()
        disk.free()
        if nodes.is_running(small):
            nodes.kill(small)
        nodes.start(small)
        again = time.monotonic()
        nodes.await_leader(30)
        nodes.await_whole()
        print(f"{case}: whole again {time.monotonic() - again:.1f} s after space was freed and it was started")
        for filler in fillers:
            if filler.is_alive():
                filler.end()
        acknowledged = {path for filler in fillers for path in filler.acknowledged}
        check_present(nodes, acknowledged, broken)
        snapshots = log().count("no snapshot could be written")
        print(
            f"{case}: {len(acknowledged)} writes of {VALUE_BYTES} bytes acknowledged, "
            f"{sum(filler.failed for filler in fillers)} refused, {snapshots} snapshots failed"
        )
        assert len(acknowledged) > 100
        for bad in ("panicked", "corrupt at offset"):
            for node in nodes.founders:
                if bad in nodes.log(node).read_text(errors="replace"):
                    broken.append(f"node {node}'s log says `{bad}`")
    finally:
        for filler in fillers:
            filler.stopping = True
        nodes.close()
        disk.close()
        disk.image.unlink(missing_ok=True)
        print(f"{case}: logs in {directory / 'nodes'}", flush=True)
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=["alone", "follower", "leader"])
    parser.add_argument("--seconds", type=float, default=90, help="until a disk must have filled up")
    options = parser.parse_args()
    failed = False
    for case in options.cases:
        for what in run(case, options.seconds):
            print(f"BROKEN: {case}: {what}")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
