#!/usr/bin/env python3
"""How long nobody's write is acknowledged after kill -9 of the leader of three (or --nodes), again and
again: median, 90th percentile, longest. A client a node writes without a pause, as in faults.py.

For each gap above --slow, prints what the nodes logged from the kill on. Nodes are on loopback, so no
rights are needed. Exit status 1 if a kill had no answer, an acknowledged write is lost, the median is
above --median or the longest above --longest.
"""

import argparse
import calendar
import itertools
import pathlib
import sys
import tempfile
import time

from faults import Writer, connect, distribution, rest
from nodes import Nodes


def acknowledged(writers, since):
    """When writes were acknowledged since then."""
    # Copied at once, because a writer adds meanwhile; the newest are last.
    each = (reversed(list(writer.acknowledged.values())) for writer in writers)
    return sorted(at for times in each for at in itertools.takewhile(lambda at: at > since, times))


def await_acknowledged(writers, since, seconds):
    """Waits for a write acknowledged after `since`; whether there was one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if acknowledged(writers, since):
            return True
        time.sleep(0.05)
    return False


def gap_after(writers, kill):
    """The silence that the kill caused: the longest between two acknowledgements about it."""
    near = acknowledged(writers, kill - 0.5)
    return max(b - max(a, kill) for a, b in zip(near, near[1:]) if b > kill and a < kill + 0.3)


def logged(nodes, wall, seconds):
    """The nodes' lines of that time."""
    lines = []
    for node in nodes.everyone:
        for line in (nodes.directory / f"{node}.log").read_text(errors="replace").splitlines():
            if not line.startswith("20"):
                continue
            stamp = line.split()[0]
            at = time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")
            at = calendar.timegm(at) + float("0" + stamp[19:-1])
            if wall - 0.2 <= at <= wall + seconds + 0.3:
                lines.append((at - wall, node, " ".join(line.split()[1:])))
    return [f"    {at:+.3f} node {node}: {text}" for at, node, text in sorted(lines)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--slow", type=float, default=1.5, help="seconds")
    parser.add_argument("--median", type=float, default=0.70, help="most seconds")
    parser.add_argument("--longest", type=float, default=3.0, help="most seconds")
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="polyport-failover-"))
    nodes = Nodes(directory, founders=range(1, options.nodes + 1))
    broken, gaps = [], []
    try:
        nodes.start_all()
        setup = connect(nodes.addresses())
        for path in ("/w", "/held"):
            setup.create(path)
        setup.stop()
        writers = [Writer(nodes.addresses(), number, broken) for number in range(options.nodes)]
        for writer in writers:
            writer.start()
        for _ in range(options.kills):
            nodes.await_whole()
            time.sleep(0.5)
            leader = nodes.await_leader()
            kill, wall = time.monotonic(), time.time()
            nodes.kill(leader)
            if not await_acknowledged(writers, kill + 0.1, 20):
                broken.append(f"no write was acknowledged for 20 s after the kill of node {leader}")
                break
            time.sleep(0.5)
            gap = gap_after(writers, kill)
            gaps.append(gap)
            if gap > options.slow:
                print(f"{gap:.2f} s after the kill of node {leader}:", flush=True)
                print("\n".join(logged(nodes, wall, gap)), flush=True)
            nodes.start(leader)
        rest(writers)
        nodes.await_whole()
        written = {path for writer in writers for path in writer.acknowledged}
        lost = 0
        for node in nodes.everyone:
            reader = connect(nodes.address(node))
            reader.sync("/w")
            missing = written - {f"/w/{name}" for name in reader.get_children("/w")}
            lost += len(missing)
            if missing:
                broken.append(f"node {node} lost {len(missing)}: {sorted(missing)[:5]}")
        print(f"{len(gaps)} kills, {len(written)} writes acknowledged, {lost} lost")
        print("kill -9 of the leader to the next acknowledged write:", distribution(gaps))
        median, longest = sorted(gaps)[len(gaps) // 2], max(gaps)
        if median > options.median or longest > options.longest:
            broken.append(f"slower than {options.median} s in the median or {options.longest} s at most")
    finally:
        nodes.close()
        print("logs in", directory)
    for what in broken:
        print("BROKEN:", what)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
