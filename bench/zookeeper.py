#!/usr/bin/env python3
"""The same load on Polyport and on real ZooKeeper, in turn, on one machine.

    python3 bench/zookeeper.py             everything, three rounds; about an hour and a half
    python3 bench/zookeeper.py --quick     one short round of everything; eight minutes
    python3 bench/zookeeper.py --only throughput,latency --ops set      what the disk decides
    python3 bench/zookeeper.py --only failover,startup --peer-only

Prints markdown tables of medians with their spread and writes all samples as JSON. Both sides fsync
before they answer, on the same disk; the load generator shares the machine with them, so compare
ratios, not numbers of different machines.
"""

import argparse
import json
import os
import pathlib
import subprocess
import time

import zookeeper_peers as peers
from service import REPOSITORY, TARGET, BenchError, check_disk, polyport_binary, run, say
from table import Samples, table
from zookeeper_bars import bars

PARTS = ["startup", "idle", "throughput", "latency", "memory", "failover"]
# The part of the machine that other processes may take without a run being repeated.
QUIET = 0.15
OPS = ["create", "set", "get", "children", "mix70"]


class Bench:
    """One comparison: what was asked for, and what was found."""

    def __init__(self, options):
        self.options = options
        self.samples = Samples()
        self.load_binary = os.environ.get("LOAD_BIN", str(TARGET / "release/polyport-bench-zookeeper"))
        self.other_cpu = []
        # The real ZooKeeper's best writes a second, and the rate that the latency part asks for in
        # all rounds: half of the first round's best. Both by number of nodes.
        self.peak = {}
        self.rate = {}

    def load(self, service, *arguments, timeout=600):
        """Runs the load generator on a service."""
        command = [self.load_binary, "--servers", service.servers(), *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if result.returncode != 0:
            raise BenchError(f"{service.name}: {' '.join(command)}\n{result.stderr}")
        report = json.loads(result.stdout)
        if report.get("errors") or report.get("lost_connections"):
            say(f"    errors: {report}")
        return report

    def run_load(self, service, op, connections, pipeline, *more):
        """A timed run on keys that are there."""
        seconds = 2 if self.options.quick else 5
        warmup = 1 if self.options.quick else 2
        best = None
        # A run that other processes took much of the machine from says little: the quietest counts.
        for _ in range(1 + self.options.retries):
            report = self.load(
                service, "--op", op, "--connections", connections, "--pipeline", pipeline,
                "--seconds", seconds, "--warmup", warmup, "--skip-setup",
                "--watch-pids", ",".join(map(str, service.pids())), *more,
            )
            others = max(0, report["other_cpu_s"]) / report["seconds"] / os.cpu_count()
            if best is None or others < best[0]:
                best = (others, report)
            if others <= QUIET:
                break
        others, report = best
        self.other_cpu.append(others)
        say(f"    {op} {connections}x{pipeline}: {report['ops_per_s']:,.0f}/s "
            f"p50 {report['p50_us']:.0f} p99 {report['p99_us']:.0f} us, "
            f"others {others:.0%}")
        return report

    def warm(self, service):
        """Keys, and what a JVM needs to compile its hot code."""
        self.load(service, "--setup-only")
        seconds = 3 if self.options.quick else 8
        for op in ("set", "get"):
            self.load(service, "--op", op, "--connections", 16, "--pipeline", 16,
                      "--seconds", seconds, "--warmup", 0, "--skip-setup")

    def throughput(self, service, nodes):
        """Every operation at each number of connections, pipelined and not."""
        name = service.name
        for op in self.options.ops:
            for connections in (1, 16) if self.options.quick else (1, 16, 128):
                for pipeline in (1, 16):
                    report = self.run_load(service, op, connections, pipeline)
                    where = (nodes, op, connections, pipeline)
                    self.samples.add(("ops/s", *where), name, report["ops_per_s"])
                    self.samples.add(("p50", *where), name, report["p50_us"])
                    self.samples.add(("p99", *where), name, report["p99_us"])
                    if report["ops"]:
                        cpu = report["server_cpu_s"] / report["ops"] * 1e6
                        self.samples.add(("cpu", *where), name, cpu)
                    if op == "set" and service is self.options.reference:
                        self.peak[nodes] = max(self.peak.get(nodes, 0), report["ops_per_s"])

    def latency(self, service, nodes):
        """Writes at half of what the real ZooKeeper can do, open loop."""
        if nodes not in self.rate:
            if nodes not in self.peak:
                runs = [self.run_load(service, "set", c, 16) for c in (16, 128)]
                self.peak[nodes] = max(run["ops_per_s"] for run in runs)
            self.rate[nodes] = round(self.peak[nodes] / 2)
        rate = self.rate[nodes]
        report = self.run_load(service, "set", 16, 64, "--rate", rate)
        if report["ops_per_s"] < 0.95 * rate:
            say(f"    did not keep up with {rate:,}/s")
        add = lambda what, value: self.samples.add(("latency", nodes, what), service.name, value)
        add("asked, writes/s", rate)
        add("answered, writes/s", report["ops_per_s"])
        for quantile in ("p50", "p99", "p999"):
            add(f"{quantile}, us", report[f"{quantile}_us"])

    def loaded(self, service, nodes):
        """The parts that want a warm service under load."""
        parts = self.options.only & {"throughput", "latency"}
        if not parts:
            return
        say(f"  {service.name}, {nodes} node(s)")
        service.start(nodes)
        self.warm(service)
        if "throughput" in parts:
            self.throughput(service, nodes)
        if "latency" in parts:
            self.latency(service, nodes)
        service.remove()

    def startup(self, service):
        """Process start to first answered request, one node, empty tree."""
        for _ in range(1 if self.options.quick else 5):
            service.create(1)
            command = service.command(service.nodes[0])
            report = self.load(service, "--first-answer", *command)
            self.samples.add(("other", "start to first answer, empty tree", "ms"),
                             service.name, report["first_answer_ms"])
            service.remove()

    def idle(self, service, nodes):
        """Resident memory of a node, 5 s after it began to serve."""
        service.start(nodes)
        time.sleep(5)
        for node in service.nodes:
            self.samples.add(("other", f"memory of a node, idle, {nodes} node(s)", "MiB"),
                             service.name, node.rss_kib() / 1024)
        service.remove()

    def memory(self, service, label):
        """Resident memory with many znodes, over a minute, and the start with them."""
        count = 100_000 if self.options.quick else 1_000_000
        service.start(1)
        node = service.nodes[0]
        report = self.load(service, "--preload", count, "--connections", 16, "--pipeline", 16,
                           timeout=1800)
        self.samples.add(("other", f"create {count:,} znodes", "znodes/s"), label,
                         report["ops_per_s"])
        waited = 0
        for at in (0, 10) if self.options.quick else (0, 10, 30, 60):
            time.sleep(at - waited)
            waited = at
            self.samples.add(("other", f"memory, {count:,} znodes, {at} s later", "MiB"), label,
                             node.rss_kib() / 1024)
        service.stop()
        service.start_node(node)
        service.await_serving(300)
        time.sleep(5)
        self.samples.add(("other", f"memory, {count:,} znodes, restarted", "MiB"), label,
                         node.rss_kib() / 1024)
        service.kill(node)
        report = self.load(service, "--connect-timeout", 300, "--first-answer",
                           *service.command(node))
        self.samples.add(("other", f"start to first answer, {count:,} znodes, after kill -9", "ms"),
                         label, report["first_answer_ms"])
        service.remove()

    def failover(self, service):
        """kill -9 of the leader of three, until a write is acknowledged to any client."""
        service.start(3)
        self.load(service, "--setup-only")
        for _ in range(2 if self.options.quick else 10):
            load = subprocess.Popen(
                [self.load_binary, "--servers", service.servers(), "--failover", "--seconds", "9",
                 "--session-timeout-ms", "10000"],
                stdout=subprocess.PIPE, text=True,
            )
            try:
                # Sessions are there and writes flow.
                time.sleep(2)
                leader = service.leader()
                killed = service.kill(leader)
                report = json.loads(load.communicate(timeout=60)[0])
            finally:
                load.kill()
                load.wait()
            gap = report["gap_end_unix_ms"] - killed
            if not report["gap_start_unix_ms"] - 50 <= killed <= report["gap_end_unix_ms"]:
                say(f"    the longest gap is not the kill's: killed {killed:.0f}, {report}")
                gap = report["longest_gap_ms"]
            if not report["recovered"]:
                say(f"    did not recover: {report}")
            add = lambda what, unit, value: self.samples.add(
                ("other", f"failover: {what}", unit), service.name, value)
            add("kill to next acknowledged write", "ms", gap)
            add("slowest client's gap", "ms", max(report["client_gaps_ms"]))
            add("lost sessions", "each kill", report["lost_sessions"])
            say(f"    {service.name} failover {gap:.0f} ms, clients {report['client_gaps_ms']}, "
                f"lost sessions {report['lost_sessions']}")
            service.start_node(leader)
            service.await_serving()
        service.remove()

    def round(self, services, number_of_round):
        """Everything once, products in turn within each part."""
        only = self.options.only
        for service in services:
            if "startup" in only:
                self.startup(service)
            if "idle" in only:
                for nodes in self.options.nodes:
                    self.idle(service, nodes)
        for nodes in self.options.nodes:
            for service in services:
                self.loaded(service, nodes)
        # Long, and steady from round to round.
        if number_of_round == 1:
            for service in services:
                if "memory" in only:
                    self.memory(service, service.name)
                    if isinstance(service, peers.ZooKeeper):
                        service.heap = "4g"
                        self.memory(service, f"{service.name} -Xmx4g")
                        service.heap = None
                if "failover" in only and 3 in self.options.nodes:
                    self.failover(service)

    def report(self):
        """The tables."""
        products = list(dict.fromkeys(
            product for by_product in self.samples.values.values() for product in by_product))
        products.sort(key=lambda product: product != peers.Polyport.name)
        if products and products[0] != peers.Polyport.name:
            products.insert(0, peers.Polyport.name)
        plain = [product for product in products if "-Xmx" not in product]
        where = ["nodes", "operation", "connections", "pipeline"]
        parts = [
            ("ops/s", "Operations a second", plain, where),
            ("p50", "Median latency, microseconds", plain, where),
            ("p99", "99th percentile, microseconds", plain, where),
            ("cpu", "Servers' CPU an operation, microseconds", plain, where),
            ("latency", "Write latency at half of ZooKeeper's peak", plain, ["nodes", "what"]),
            ("other", "Memory, start, failover", products, ["what", "unit"]),
        ]
        text = [
            f"### {title}\n\n{table(self.samples, kind, columns, titles)}\n"
            for kind, title, columns, titles in parts if self.samples.measures(kind)
        ]
        if judged := bars(self.samples, peers.Polyport.name, self.options.reference.name):
            text.append(f"### Bars\n\n{judged}\n")
        if self.other_cpu:
            share = sorted(self.other_cpu)[len(self.other_cpu) // 2]
            text.append(f"Other processes took {share:.0%} of the machine in the median run, "
                        f"{max(self.other_cpu):.0%} in the worst.\n")
        return "\n".join(text)

    def write_json(self):
        """All samples, also of a run that is not over."""
        self.options.json.parent.mkdir(parents=True, exist_ok=True)
        self.options.json.write_text(json.dumps({
            "samples": self.samples.as_json(), "other_cpu_share": self.other_cpu,
        }, indent=1))


def parse():
    """The command line."""
    work = REPOSITORY / ".cache/bench-zookeeper"
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts of {','.join(PARTS)}")
    parser.add_argument("--ops", default=",".join(OPS), help="of the throughput part, all by default")
    parser.add_argument("--nodes", default="1,3", help="numbers of nodes, 1 and 3 by default")
    parser.add_argument("--peer", choices=["3.8", "3.9"], default="3.8")
    parser.add_argument("--peer-only", action="store_true", help="only the real ZooKeeper")
    parser.add_argument("--retries", type=int, default=2,
                        help="of a run that other processes disturbed")
    parser.add_argument("--base-port", type=int, default=23810, help="of 25 ports")
    parser.add_argument("--dir", type=pathlib.Path, default=work / "data", help="not on tmpfs")
    parser.add_argument("--json", type=pathlib.Path, default=work / "result.json")
    options = parser.parse_args()
    options.only = set(options.only.split(","))
    if unknown := options.only - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options.ops = options.ops.split(",")
    if unknown := set(options.ops) - set(OPS):
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    options.nodes = [int(nodes) for nodes in options.nodes.split(",")]
    if options.quick:
        options.rounds = 1
    return options


def main():
    options = parse()
    kind = peers.ZooKeeper39 if options.peer == "3.9" else peers.ZooKeeper
    options.reference = kind(options.dir, options.base_port)
    services = [options.reference]
    if not options.peer_only:
        services.append(peers.Polyport(options.dir, options.base_port, polyport_binary()))
    check_disk(options.dir)
    for service in services:
        service.prepare()
    if "LOAD_BIN" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "-q", "-p", "polyport-bench-zookeeper"],
                       cwd=REPOSITORY, check=True)
    bench = Bench(options)
    try:
        for number_of_round in range(1, options.rounds + 1):
            say(f"round {number_of_round} of {options.rounds}")
            bench.round(services, number_of_round)
            bench.write_json()
    finally:
        # Directories of a failed run stay: their logs say why.
        for service in services:
            service.stop()
        bench.write_json()
        print(bench.report())


if __name__ == "__main__":
    run(main)
