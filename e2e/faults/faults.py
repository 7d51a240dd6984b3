#!/usr/bin/env python3
"""Three nodes (or --nodes, --observers) in network namespaces, clients that write, count, hold and lose sessions, and faults:
kill -9 of the leader, partitions, pauses. Then what was promised is looked for:

- every acknowledged write is there, on every node;
- a counter changed by compare-and-set lost no update and gave no version twice, and no client ever
  saw it go back;
- no session ended whose client kept talking; its ephemeral is there under the same owner;
- ephemerals of clients that vanished went, and not before their timeout;
- all nodes hold the same tree, stats included.

Needs root (ip netns) and kazoo. Exit status 1 if a promise was broken.
"""

import argparse
import logging
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, KazooException
from kazoo.handlers.threading import KazooTimeoutError

from nodes import Namespaces, Nodes

logging.disable(logging.CRITICAL)
TIMEOUT = 10.0
DOOMED_TIMEOUT = 6.0
RETRY = {"max_tries": -1, "delay": 0.02, "max_delay": 0.1, "backoff": 1}


def connect(hosts, timeout=TIMEOUT):
    client = KazooClient(hosts, timeout=timeout, connection_retry=dict(RETRY), randomize_hosts=True)
    client.start(30)
    return client


class Load(threading.Thread):
    """A client at work until it is told to stop."""

    def __init__(self, hosts, number, broken):
        super().__init__(daemon=True)
        self.number, self.broken, self.stopping = number, broken, False
        self.resting, self.at_rest = False, threading.Event()
        self.client = connect(hosts)
        self.session = self.client.client_id[0]
        self.client.add_listener(self.state)
        self.holds = f"/held/{number}"
        self.client.create(self.holds, ephemeral=True)

    def state(self, state):
        if state == KazooState.LOST and not self.stopping:
            self.broken.append(f"{time.strftime('%X')} session 0x{self.session:x} was lost")

    def run(self):
        while not self.stopping:
            if self.resting:
                self.at_rest.set()
                time.sleep(0.05)
                continue
            try:
                self.step()
            except (KazooException, KazooTimeoutError):
                time.sleep(0.01)


def rest(loads):
    """No more requests, but the sessions stay. A request that waits for a connection is let finish."""
    for load in loads:
        load.resting = True
    for load in loads:
        assert load.at_rest.wait(60), f"client {load.number} has waited for an answer for a minute"


class Writer(Load):
    def __init__(self, *args):
        self.count, self.acknowledged = 0, {}
        super().__init__(*args)

    def step(self):
        path = f"/w/{self.number}-{self.count:07}"
        self.count += 1
        self.client.create(path, str(self.count).encode())
        self.acknowledged[path] = time.monotonic()


class Counter(Load):
    """Adds one to /counter by compare-and-set; its value is its version."""

    def __init__(self, *args):
        self.set, self.unknown, self.seen = [], 0, 0
        super().__init__(*args)

    def step(self):
        data, stat = self.client.get("/counter")
        if int(data) != stat.version:
            self.broken.append(f"the counter is {data} at version {stat.version}")
        if stat.version < self.seen:
            self.broken.append(f"client {self.number} saw version {self.seen}, then {stat.version}")
        self.seen = stat.version
        try:
            stat = self.client.set("/counter", str(stat.version + 1).encode(), stat.version)
        except BadVersionError:
            # Its node is behind.
            self.client.sync("/counter")
            return
        except (KazooException, KazooTimeoutError):
            self.unknown += 1
            raise
        self.set.append(stat.version)
        self.seen = stat.version


DOOMED = """
import os, sys, time
from kazoo.client import KazooClient
client = KazooClient(sys.argv[1], timeout=float(sys.argv[3]))
client.start(20)
client.create(sys.argv[2], ephemeral=True)
print("there", flush=True)
time.sleep(600)
"""


class Doomed(threading.Thread):
    """Clients that vanish without a word, and how long their ephemerals stay."""

    def __init__(self, hosts, broken):
        super().__init__(daemon=True)
        self.hosts, self.broken, self.stopping = hosts, broken, False
        self.watcher = connect(hosts)
        self.stayed = []

    def run(self):
        number = 0
        while not self.stopping:
            path = f"/doomed/{number}"
            number += 1
            command = [sys.executable, "-c", DOOMED, self.hosts, path, str(DOOMED_TIMEOUT)]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            there = child.stdout.readline().strip() == b"there"
            time.sleep(random.uniform(0, 2))
            child.kill()
            vanished = time.monotonic()
            child.wait()
            if there:
                self.watch(path, vanished)

    def watch(self, path, vanished):
        while time.monotonic() < vanished + 10 * DOOMED_TIMEOUT:
            asked = time.monotonic()
            try:
                # Any server may be behind, but none ahead: gone on one is gone.
                gone = self.watcher.exists(path) is None and self.synced(path)
            except (KazooException, KazooTimeoutError):
                gone = False
            if gone:
                stayed = time.monotonic() - vanished
                self.stayed.append(stayed)
                # The client's last sign of life is up to a third of its timeout old.
                if stayed < DOOMED_TIMEOUT * 2 / 3 - 0.3:
                    self.broken.append(f"{path} went {stayed:.1f} s after its client")
                return
            time.sleep(max(0, asked + 0.1 - time.monotonic()))
        self.broken.append(f"{path} is there {10 * DOOMED_TIMEOUT} s after its client")

    def synced(self, path):
        # The watcher may have moved to a server that has not seen the creation yet.
        self.watcher.sync(path)
        return self.watcher.exists(path) is None


def tree(client):
    """Every znode's data and stat. Level by level, many requests on their way at once."""
    found, level = {}, ["/"]
    while level:
        below = []
        for first in range(0, len(level), 1000):
            paths = level[first : first + 1000]
            asked = [(path, client.get_async(path)) for path in paths]
            parents = []
            for path, answer in asked:
                found[path] = answer.get(60)
                if found[path][1].numChildren:
                    parents.append(path)
            for path in parents:
                names = client.get_children(path)
                below += [path.rstrip("/") + "/" + name for name in names]
        level = below
    return found


def differences(trees):
    """How each node's tree differs from the first's, in words."""
    (first, wanted), *others = trees.items()
    told = []
    for node, found in others:
        different = [path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)]
        if different:
            shown = [(path, wanted.get(path), found.get(path)) for path in sorted(different)[:3]]
            told.append(f"nodes {first} and {node} differ at {len(different)}: {shown}")
    return told


class Faults:
    def __init__(self, nodes, rng):
        self.nodes, self.net, self.rng = nodes, nodes.net, rng
        self.kills, self.count = [], {}

    def kill_leader(self):
        leader = self.nodes.await_leader()
        self.kills.append((time.monotonic(), time.time()))
        self.nodes.kill(leader)
        time.sleep(self.rng.uniform(1, 4))
        self.nodes.start(leader)

    def kill_two(self):
        """The leader and a follower at once: of five, the rest is a majority."""
        leader = self.nodes.await_leader()
        other = self.rng.choice([node for node in self.nodes.founders if node != leader])
        self.kills.append((time.monotonic(), time.time()))
        for node in (leader, other):
            self.nodes.kill(node)
        time.sleep(self.rng.uniform(1, 4))
        for node in (leader, other):
            self.nodes.start(node)

    def kill_observer(self):
        node = self.rng.choice(self.nodes.observers)
        self.nodes.kill(node)
        time.sleep(self.rng.uniform(0.5, 3))
        self.nodes.start(node)

    def isolate_observer(self):
        self.isolate(self.rng.choice(self.nodes.observers))

    def kill_follower(self):
        leader = self.nodes.await_leader()
        node = self.rng.choice([node for node in self.nodes.founders if node != leader])
        self.nodes.kill(node)
        time.sleep(self.rng.uniform(0.5, 3))
        self.nodes.start(node)

    def isolate_leader(self):
        self.isolate(self.nodes.await_leader())

    def isolate_follower(self):
        leader = self.nodes.await_leader()
        self.isolate(self.rng.choice([node for node in self.nodes.founders if node != leader]))

    def isolate(self, node):
        self.net.isolate(node)
        time.sleep(self.rng.uniform(1, 5))
        self.net.heal(node)

    def separate_leader(self):
        """The leader and one follower do not see each other; the third sees both."""
        leader = self.nodes.await_leader()
        other = self.rng.choice([node for node in self.nodes.founders if node != leader])
        self.net.separate(leader, other)
        time.sleep(self.rng.uniform(1, 5))
        self.net.rejoin(leader, other)

    def pause_leader(self):
        self.pause(self.nodes.await_leader())

    def pause(self, node):
        self.nodes.signal(node, signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.2, 4))
        self.nodes.signal(node, signal.SIGCONT)

    def pause_all(self):
        for node in self.nodes.everyone:
            self.nodes.signal(node, signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.2, 2))
        for node in self.nodes.everyone:
            self.nodes.signal(node, signal.SIGCONT)

    def wipe_follower(self):
        # Two of three hold everything; the third must be whole again before another fault.
        self.nodes.await_whole()
        leader = self.nodes.await_leader()
        node = self.rng.choice([node for node in self.nodes.founders if node != leader])
        self.nodes.kill(node)
        self.nodes.wipe(node)
        self.nodes.start(node)
        time.sleep(1)
        self.nodes.await_whole()

    def run(self, seconds, only):
        every = {
            "kill-leader": (self.kill_leader, 6),
            "kill-follower": (self.kill_follower, 1),
            "isolate-leader": (self.isolate_leader, 2),
            "isolate-follower": (self.isolate_follower, 1),
            "separate-leader": (self.separate_leader, 1),
            "pause-leader": (self.pause_leader, 2),
            "pause-all": (self.pause_all, 1),
            "wipe-follower": (self.wipe_follower, 1),
        }
        if len(self.nodes.founders) >= 5:
            every["kill-two"] = (self.kill_two, 3)
        if self.nodes.observers:
            every["kill-observer"] = (self.kill_observer, 1)
            every["isolate-observer"] = (self.isolate_observer, 1)
        chosen = {name: every[name] for name in only or every}
        names, weights = list(chosen), [weight for _, weight in chosen.values()]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = self.rng.choices(names, weights)[0]
            self.count[name] = self.count.get(name, 0) + 1
            print(f"{time.strftime('%X')} {name}", flush=True)
            chosen[name][0]()
            time.sleep(self.rng.uniform(1, 3))


def failovers(kills, writers):
    """For each kill, the longest silence of acknowledgements that begins about then: its seconds,
    and when the kill was by the wall's clock."""
    times = sorted(at for writer in writers for at in writer.acknowledged.values())
    found = []
    for kill, wall in kills:
        near = [at for at in times if kill - 0.5 < at < kill + 15]
        gaps = [(b - a, a) for a, b in zip(near, near[1:]) if b > kill and a < kill + 0.3]
        if gaps:
            gap, began = max(gaps)
            found.append((began + gap - max(began, kill), wall))
    return found


def distribution(seconds):
    """Median, p90 and most of some durations, in words."""
    ordered = sorted(seconds)
    p90 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))]
    return (
        f"median {statistics.median(ordered):.2f} s, p90 {p90:.2f} s, "
        f"{ordered[0]:.2f} to {ordered[-1]:.2f} s, {len(ordered)} times"
    )


def judge(nodes, writers, counters, loads, doomed, broken):
    acknowledged = {path for writer in writers for path in writer.acknowledged}
    readers = {node: connect(nodes.address(node)) for node in nodes.everyone}
    trees = {}
    for node, reader in readers.items():
        reader.sync("/")
        trees[node] = tree(reader)
        lost = acknowledged - trees[node].keys()
        if lost:
            broken.append(f"node {node} lost {len(lost)} acknowledged writes: {sorted(lost)[:5]}")
        for load in loads:
            held = trees[node].get(load.holds)
            if held is None:
                broken.append(f"node {node}: {load.holds} is gone while its session lives")
            elif held[1].ephemeralOwner != load.session:
                broken.append(f"node {node}: {load.holds} has another owner")
        left = [path for path in trees[node] if path.startswith("/doomed/")]
        if left:
            broken.append(f"node {node} still holds {left}")
    first = trees[nodes.founders[0]]
    broken += differences(trees)
    versions = sorted(version for counter in counters for version in counter.set)
    if len(versions) != len(set(versions)):
        broken.append("two clients were told that they made the same change of the counter")
    data, stat = first["/counter"]
    unknown = sum(counter.unknown for counter in counters)
    if int(data) != stat.version or not len(versions) <= stat.version <= len(versions) + unknown:
        broken.append(
            f"the counter is {data}, version {stat.version}, after {len(versions)} known and "
            f"{unknown} unknown changes"
        )
    print(
        f"{len(acknowledged)} writes acknowledged, {len(versions)} changes of the counter "
        f"({unknown} unknown), {len(first)} znodes, {len(doomed.stayed)} sessions expired "
        f"{min(doomed.stayed, default=0):.1f} to {max(doomed.stayed, default=0):.1f} s after their "
        f"clients ({DOOMED_TIMEOUT} s asked)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--only", nargs="*", help="only these faults")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--failover", type=float, default=0.70, help="most seconds, median")
    parser.add_argument("--nodes", type=int, default=3, help="voters")
    parser.add_argument("--observers", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="TLS between the nodes")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-faults-"))
    broken = []
    voters = list(range(1, options.nodes + 1))
    observers = list(range(options.nodes + 1, options.nodes + options.observers + 1))
    net = Namespaces(voters + observers)
    nodes = Nodes(
        directory, net, voters, zookeeper="snap_count = 5000", observers=observers, tls=options.tls
    )
    try:
        nodes.start_all()
        setup = connect(nodes.addresses())
        for path in ("/w", "/held", "/doomed"):
            setup.create(path)
        setup.create("/counter", b"0")
        setup.stop()
        hosts = nodes.addresses()
        writers = [Writer(hosts, number, broken) for number in range(options.writers)]
        counters = [Counter(hosts, 100 + number, broken) for number in range(2)]
        loads, doomed = writers + counters, Doomed(hosts, broken)
        for thread in [*loads, doomed]:
            thread.start()
        faults = Faults(nodes, random.Random(options.seed))
        faults.run(options.minutes * 60, options.only)
        print("healed; waiting", flush=True)
        nodes.await_leader()
        doomed.stopping = True
        rest(loads)
        doomed.join(DOOMED_TIMEOUT * 12)
        time.sleep(DOOMED_TIMEOUT + 3)
        judge(nodes, writers, counters, loads, doomed, broken)
        took = failovers(faults.kills, writers)
        if took:
            print("failover after kill -9 of the leader:", distribution(gap for gap, _ in took))
            for gap, wall in took:
                if gap > 1.5:
                    when = time.strftime("%X", time.gmtime(wall)) + f"{wall % 1:.3f}"[1:]
                    print(f"slow: {gap:.2f} s after the kill at {when} UTC")
            median = statistics.median(gap for gap, _ in took)
            if median > options.failover:
                broken.append(f"failover took {median:.2f} s, more than {options.failover} s")
        print("faults:", faults.count)
    finally:
        nodes.close()
        print("logs in", directory)
    for what in broken:
        print("BROKEN:", what)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
