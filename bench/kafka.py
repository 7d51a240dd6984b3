#!/usr/bin/env python3
"""The same load on Polyport and on a real Kafka 3.9.1, in turn, on one machine.

    python3 bench/kafka.py             everything, three rounds; about an hour
    python3 bench/kafka.py --quick     one short round of everything; below ten minutes
    python3 bench/kafka.py --check     every load for a moment: proves that the bench works
    python3 bench/kafka.py --only produce,latency --rounds 1

Prints markdown tables of medians with their spread and writes all samples as JSON. Two clients make
the load, librdkafka with a driver in C and Kafka's own perf tools; both sides keep their defaults and
their data on the same disk. Both brokers are up during the loads on one node and each case runs on
one, then on the other. The clients share the machine with the brokers, so compare ratios, not numbers
of different machines.
"""

import argparse
import fnmatch
import functools
import json
import os
import pathlib
import subprocess
import time

import kafka_peers as peers
from kafka_bars import bars
from kafka_measure import Reserve, Watch, drop_pages, settle
from kafka_wire import Connection, WireError
from service import REPOSITORY, BenchError, check_disk, polyport_binary, run, say
from table import Samples, table

PARTS = ["start", "produce", "consume", "tools", "latency", "partitions", "recovery", "cluster"]
SIZES = {"100 B": 100, "1 KiB": 1024, "10 KiB": 10240}
PEAK = ("produce", 1, "1 KiB", "1", 1)
# The part of the machine that other processes may take without a run being repeated. The kernel's
# writing of what a run produced is in it.
QUIET = 0.25
# How long things last: seconds of a load and before it counts, warming up, MB to be consumed, records
# of a run of the tools, GiB to recover, kills, topics of a hundred partitions, starts, seconds before
# idle memory counts, memory kept free for what a load writes.
SCALES = {
    "full": dict(seconds=3, before=1, warm=8, consume=1000, tool_mb=800, gib=10, kills=5, topics=20,
                 starts=5, idle=5, reserve_mb=2000),
    "quick": dict(seconds=2, before=0.7, warm=3, consume=300, tool_mb=300, gib=2, kills=1, topics=20,
                  starts=1, idle=3, reserve_mb=1000),
    "check": dict(seconds=0.5, before=0.1, warm=0.2, consume=5, tool_mb=2, gib=0.02, kills=1, topics=1,
                  starts=1, idle=0, reserve_mb=0),
}
# Seconds for which records are sent around a kill; they are waited for longer than that.
FAILOVER_S = 15


class Bench:
    """One comparison: what was asked for, and what was found."""

    def __init__(self, options, jars, driver):
        self.options = options
        self.scale = SCALES[options.scale]
        self.jars, self.driver = jars, driver
        self.samples = Samples()
        self.other_cpu = []
        self.reserve = Reserve(options.dir, self.scale["reserve_mb"])
        self.made = 0
        self.rate = None

    # Loads.

    def load(self, service, what, topic, **options):
        """Runs the driver on a service."""
        command = [self.driver, what, service.servers(), topic,
                   *(f"{key}={value}" for key, value in options.items())]
        result = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if result.returncode != 0:
            raise BenchError(f"{service.name}: {' '.join(map(str, command))}\n{result.stderr}")
        return json.loads(result.stdout)

    def watched(self, service, work, writes=True):
        """Runs a load, again if other processes took much of the machine: the quietest counts."""
        best = None
        for _ in range(1 + self.options.retries):
            if writes:
                self.reserve.hold()
                self.reserve.release()
            with Watch(service) as watch:
                report = work()
            if best is None or watch.others < best[1].others:
                best = report, watch
            if watch.others <= QUIET:
                break
        self.other_cpu.append(best[1].others)
        return best

    def topic(self, service, partitions, replication=1, **configs):
        """Makes a topic, every partition of it led and in sync."""
        self.made += 1
        name = f"bench-{self.made}"
        with service.connect() as connection:
            connection.create_topics([name], partitions, replication, configs)
        self.await_in_sync(service, name, partitions, replication)
        return name

    def await_in_sync(self, service, topic, partitions, replication, seconds=60):
        """Returns when all partitions have a leader and all replicas."""
        deadline = time.monotonic() + seconds
        while True:
            with service.connect() as connection:
                found = connection.metadata([topic])[2].get(topic, {})
            if len(found) == partitions and all(
                    leader >= 0 and len(isr) == replication for leader, isr in found.values()):
                return
            if time.monotonic() > deadline:
                raise BenchError(f"{service.name}: {topic} has no leaders or replicas: {found}")
            time.sleep(0.02)

    def delete(self, service, topic):
        """Deletes a topic and waits until its files are gone and written data is on the disk."""
        with service.connect() as connection:
            connection.delete_topics([topic])
        settle([service.logs(node) for node in service.nodes], topic)

    def warm(self, service, replication=1):
        """What a JVM needs to compile its hot code."""
        topic = self.topic(service, 4, replication)
        acks = "all" if replication > 1 else "1"
        report = self.load(service, "produce", topic, partitions=4, acks=acks,
                           seconds=self.scale["warm"])
        self.load(service, "consume", topic, partitions=4, count=report["records"], seconds=120)
        self.delete(service, topic)

    # Cases.

    def produce(self, service, size, acks, partitions, replication=1):
        """One case of producing."""
        nodes = len(service.nodes)
        configs = {"min.insync.replicas": 2} if replication > 1 else {}
        topic = self.topic(service, partitions, replication, **configs)
        options = dict(acks=acks.split(",")[0], idempotent=int("idempotent" in acks))
        report, watch = self.watched(service, lambda: self.load(
            service, "produce", topic, partitions=partitions, size=SIZES[size],
            seconds=self.scale["seconds"], warmup=self.scale["before"], **options))
        where = (nodes, size, acks, partitions)
        self.samples.add(("produce", *where), service.name, report["mb_per_s"])
        megabytes = report["records"] * SIZES[size] / 1e6
        self.samples.add(("cpu", "produce", *where), service.name, watch.server_s * 1e3 / megabytes)
        self.loaded_memory(service)
        say(f"    {service.name}: produce {size} acks={acks} {partitions} partition(s) "
            f"{nodes} node(s): {report['mb_per_s']:.1f} MB/s, broker "
            f"{watch.server_s * 1e3 / megabytes:.2f} ms/MB, others {watch.others:.0%}")
        self.delete(service, topic)

    def consume(self, service, size, partitions, replication=1):
        """One case of consuming, first from the page cache, then from the disk."""
        nodes = len(service.nodes)
        topic = self.topic(service, partitions, replication)
        count = self.load(service, "fill", topic, partitions=partitions, size=SIZES[size],
                          acks="all", megabytes=self.scale["consume"])["records"]
        megabytes = count * SIZES[size] / 1e6

        def consumed(heat):
            if heat == "cold":
                for node in service.nodes:
                    drop_pages(service.logs(node), topic)
            return self.load(service, "consume", topic, partitions=partitions, count=count,
                             seconds=120)

        for heat in ("hot", "cold"):
            report, watch = self.watched(service, functools.partial(consumed, heat), writes=False)
            where = (heat if nodes == 1 else f"{heat}, {nodes} nodes", size, partitions)
            self.samples.add(("consume", *where), service.name, report["mb_per_s"])
            self.samples.add(("cpu", f"consume {heat}", nodes, size, "–", partitions), service.name,
                             watch.server_s * 1e3 / megabytes)
            say(f"    {service.name}: consume {heat} {size} {partitions} partition(s): "
                f"{report['mb_per_s']:.1f} MB/s, broker {watch.server_s * 1e3 / megabytes:.2f} ms/MB, "
                f"others {watch.others:.0%}")
        self.loaded_memory(service)
        self.delete(service, topic)

    def tool(self, service, size, acks, partitions):
        """Kafka's own perf tools: produce, and consume what was produced."""
        topic = self.topic(service, partitions)
        records = max(1000, int(self.scale["tool_mb"] * 1e6 / SIZES[size]))
        idempotent = "true" if "idempotent" in acks else "false"

        def produced():
            output = self.java(
                "512M", "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
                "--num-records", records, "--record-size", SIZES[size], "--throughput", -1,
                "--producer-props", f"bootstrap.servers={service.servers()}",
                f"acks={acks.split(',')[0]}", f"enable.idempotence={idempotent}")
            # "N records sent, X records/sec (Y MB/sec), ..."
            return float(output.strip().splitlines()[-1].split(", ")[1].split()[0])

        rate, watch = self.watched(service, produced)
        self.samples.add(("tools", "produce", size, acks, partitions), service.name,
                         rate * SIZES[size] / 1e6)
        output = self.java(
            "512M", "org.apache.kafka.tools.ConsumerPerformance", "--topic", topic, "--messages",
            records, "--bootstrap-server", service.servers(), "--timeout", 60000)
        # The ninth column: MiB a second without the time of joining the group.
        fetched = float(output.strip().splitlines()[-1].split(", ")[8]) * 1.048576
        self.samples.add(("tools", "consume", size, "–", partitions), service.name, fetched)
        say(f"    {service.name}: tools {size} acks={acks} {partitions} partition(s): produce "
            f"{rate * SIZES[size] / 1e6:.1f}, consume {fetched:.1f} MB/s, others {watch.others:.0%}")
        self.delete(service, topic)

    def java(self, *command):
        """The output of a tool of Kafka's."""
        result = subprocess.run(self.jars.tool(*command), capture_output=True, text=True, timeout=600,
                                env=peers.environment())
        if result.returncode != 0:
            raise BenchError(f"{command}: {result.stdout[-2000:]}{result.stderr[-2000:]}")
        return result.stdout

    def latency(self, service, label, rate):
        """One producer, one consumer, a fixed rate."""
        topic = self.topic(service, 1)
        report, watch = self.watched(service, lambda: self.load(
            service, "latency", topic, size=1024, acks="1", rate=rate,
            seconds=max(1, 3 * self.scale["seconds"]), warmup=self.scale["before"]))
        add = lambda what, value: self.samples.add(("latency", label, what), service.name, value)
        add("sent, records/s", report["sent_per_s"])
        for quantile in ("p50", "p99", "p999"):
            add(f"{quantile}, ms".replace("p999", "p99.9"), report[f"{quantile}_us"] / 1e3)
        say(f"    {service.name}: {label}: {report}, others {watch.others:.0%}")
        self.delete(service, topic)

    def latencies(self, services):
        """At half of what the real Kafka can do, and at a rate that leaves the machine idle."""
        reference = next((s for s in services if s is self.options.reference), services[0])
        if self.rate is None:
            if self.samples.median(PEAK, reference.name) is None:
                self.produce(reference, "1 KiB", "1", 1)
            self.rate = round(self.samples.median(PEAK, reference.name) * 1e6 / 1024 / 2)
        low = min(10_000, self.rate)
        for label, rate in (("half of Kafka's peak, 1 KiB", self.rate),
                            (f"{low:,} records/s of 1 KiB", low)):
            for service in services:
                self.latency(service, label, rate)

    # Memory and starts.

    def other(self, service, what, unit, value):
        """A sample of the last table."""
        self.samples.add(("other", what, unit), service.name, value)
        say(f"    {service.name}: {what}: {value:,.1f} {unit}")

    def loaded_memory(self, service):
        """The most that a node held after a load."""
        self.samples.add(("other", f"memory under load, {len(service.nodes)} node(s), every case",
                          "MiB"), service.name, service.rss_mib())

    def timed_start(self, service, wanted, seconds=600):
        """Milliseconds from the start of the process to answers for all `wanted` partitions."""
        node = service.nodes[0]
        service.command(node)
        began = time.monotonic()
        service.start_node(node)
        while True:
            try:
                with Connection(node.client, 60) as connection:
                    if self.answers(connection, wanted):
                        return (time.monotonic() - began) * 1e3
            except OSError:
                pass
            service.check_running()
            if time.monotonic() - began > seconds:
                raise BenchError(f"{service.name}: not all partitions after {seconds} s")
            time.sleep(0.005)

    @staticmethod
    def answers(connection, wanted):
        """Whether the broker and its controller are there and every partition says where it ends."""
        brokers, controller, _ = connection.metadata([])
        if controller not in brokers:
            return False
        ends = connection.end_offsets({t: range(n) for t, n in wanted.items()}) if wanted else {}
        return len(ends) == sum(wanted.values())

    def start(self, service):
        """A node with nothing in it: its start and its memory."""
        for number in range(self.scale["starts"]):
            service.create(1)
            self.other(service, "start, empty", "ms", self.timed_start(service, {}))
            if number == 0:
                time.sleep(self.scale["idle"])
                self.other(service, "memory, idle", "MiB", service.rss_mib())
            service.remove()

    def partitions(self, service):
        """Many partitions: memory, and the start after a clean stop."""
        service.start(1)
        wanted = {f"many-{number}": 100 for number in range(self.scale["topics"])}
        count = f"{sum(wanted.values()):,} partitions"
        began = time.monotonic()
        with service.connect() as connection:
            connection.create_topics(list(wanted), 100)
            while not self.answers(connection, wanted):
                if time.monotonic() - began > 600:
                    raise BenchError(f"{service.name}: not all of {count} after 600 s")
                time.sleep(0.02)
        self.other(service, f"creating {count}", "ms", (time.monotonic() - began) * 1e3)
        time.sleep(self.scale["idle"])
        self.other(service, f"memory, {count}", "MiB", service.rss_mib())
        service.stop()
        self.other(service, f"start, {count}, after a clean stop", "ms",
                   self.timed_start(service, wanted))
        time.sleep(self.scale["idle"])
        self.other(service, f"memory, {count}, restarted", "MiB", service.rss_mib())
        service.remove()

    def recovery(self, service):
        """kill -9 with much log, of which much was written in the last moments."""
        service.start(1)
        topic = self.topic(service, 4)
        gib = self.scale["gib"]
        report = self.load(service, "fill", topic, partitions=4, size=10240, acks="all",
                           megabytes=int(gib * 1074))
        service.kill(service.nodes[0])
        self.other(service, f"start, {gib} GiB of log after kill -9", "ms",
                   self.timed_start(service, {topic: 4}))
        with service.connect() as connection:
            ends = connection.end_offsets({topic: range(4)})
        if sum(ends.values()) < report["records"]:
            raise BenchError(f"{service.name} lost acknowledged records: {ends}, {report}")
        service.remove()
        os.sync()

    # Three nodes.

    def cluster(self, service):
        """Three nodes, every record on two at least before it is acknowledged."""
        service.start(3)
        self.warm(service, 3)
        cases = [("1 KiB", 1), ("1 KiB", 100), ("100 B", 1), ("10 KiB", 1)]
        for size, partitions in cases if self.options.scale == "full" else cases[:2]:
            self.produce(service, size, "all", partitions, 3)
        self.consume(service, "1 KiB", 1, 3)
        self.failover(service)
        service.remove()

    def failover(self, service):
        """kill -9 of a partition's leader, until a record is acknowledged again."""
        topic = self.topic(service, 1, 3, **{"min.insync.replicas": 2})
        for _ in range(self.scale["kills"]):
            with subprocess.Popen([self.driver, "gap", service.servers(), topic,
                                   f"seconds={FAILOVER_S}"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as load:
                try:
                    # Records flow.
                    time.sleep(2)
                    with service.connect() as connection:
                        brokers, _, topics = connection.metadata([topic])
                    port = brokers[topics[topic][0][0]]
                    leader = next(node for node in service.nodes if node.client == port)
                    killed = service.kill(leader)
                    output, errors = load.communicate(timeout=FAILOVER_S + 90)
                finally:
                    load.kill()
            if load.returncode != 0:
                raise BenchError(f"{service.name}: failover: {errors}")
            report = json.loads(output)
            if not report["gap_start_unix_ms"] - 50 <= killed <= report["gap_end_unix_ms"]:
                say(f"    the longest gap is not the kill's: killed {killed:.0f}, {report}")
            self.other(service, "failover: kill of a leader to the next acknowledged record", "ms",
                       report["gap_end_unix_ms"] - killed)
            service.start_node(leader)
            service.await_serving()
            self.await_in_sync(service, topic, 1, 3)

    # The whole.

    def cases(self):
        """Those of producing, those of consuming, those of the tools."""
        everything = [(size, acks, partitions) for partitions in (1, 100) for size in SIZES
                      for acks in ("1", "all")]
        everything += [("1 KiB", "all, idempotent", partitions) for partitions in (1, 100)]
        consume = [("100 B", 1), ("1 KiB", 1), ("10 KiB", 1), ("1 KiB", 100)]
        tools = [("1 KiB", "1", 1), ("1 KiB", "all, idempotent", 1), ("100 B", "1", 1),
                 ("10 KiB", "1", 1), ("1 KiB", "1", 100)]
        if self.options.scale == "check":
            everything, consume, tools = everything[:1] + everything[-1:], consume[-1:], tools[:1]
        if self.options.scale == "quick":
            everything = [case for case in everything if case[2] == 1 or case[0] == "1 KiB"]
            tools = tools[:2]
        chosen = lambda case: fnmatch.fnmatch(", ".join(map(str, case)), self.options.cases)
        return [list(filter(chosen, cases)) for cases in (everything, consume, tools)]

    def loaded(self, services):
        """The parts that want warm services under load, each case on one and then on the other."""
        only = self.options.only & {"produce", "consume", "tools", "latency"}
        if not only:
            return
        produce, consume, tools = self.cases()
        for service in services:
            service.start(1)
            self.warm(service)
        for part, cases, work in (("produce", produce, self.produce), ("consume", consume, self.consume),
                                  ("tools", tools, self.tool)):
            if part in only:
                say(f"  {part}")
                for case in cases:
                    for service in services:
                        work(service, *case)
        if "latency" in only:
            say("  latency")
            self.latencies(services)
        for service in services:
            service.remove()

    def round(self, services, number):
        """Everything once."""
        self.loaded(services)
        # Long, and steady from round to round, but for the start.
        for part, work in (("start", self.start), ("partitions", self.partitions),
                           ("recovery", self.recovery), ("cluster", self.cluster)):
            if part in self.options.only and (number == 1 or part == "start"):
                say(f"  {part}")
                for service in services:
                    try:
                        work(service)
                    except WireError as error:
                        # Of three nodes: a side that does not replicate yet has no numbers.
                        say(f"    {service.name}: {part} left out: {error}")
                        service.remove()

    def report(self):
        """The tables."""
        ours = peers.Polyport.name
        products = [ours, self.options.reference.name]
        where = ["size", "acks", "partitions"]
        parts = [
            ("produce", "Produce, librdkafka, MB/s", ["nodes", *where]),
            ("consume", "Consume, librdkafka, MB/s", ["from", "size", "partitions"]),
            ("tools", "Kafka's perf tools, MB/s", ["tool", *where]),
            ("latency", "End-to-end latency, one producer, one consumer", ["rate", "what"]),
            ("other", "Memory, start, failover", ["what", "unit"]),
            ("cpu", "Brokers' processor time, ms a MB", ["load", "nodes", *where]),
        ]
        text = [f"### {title}\n\n{table(self.samples, kind, products, titles)}\n"
                for kind, title, titles in parts if self.samples.measures(kind)]
        if judged := bars(self.samples, *products):
            text.append(f"### Bars\n\n{judged}\n")
        if self.other_cpu:
            share = sorted(self.other_cpu)[len(self.other_cpu) // 2]
            text.append(f"Other processes and the kernel's writing took {share:.0%} of the machine in "
                        f"the median run, {max(self.other_cpu):.0%} in the worst.\n")
        return "\n".join(text)

    def write_json(self):
        """All samples, also of a run that is not over."""
        self.options.json.parent.mkdir(parents=True, exist_ok=True)
        self.options.json.write_text(json.dumps({
            "samples": self.samples.as_json(), "other_cpu_share": self.other_cpu,
        }, indent=1))


def build_driver(cache):
    """Compiles the driver if its source is newer."""
    source, program = REPOSITORY / "bench/kafka-load/load.c", cache / "kafka-load"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        result = subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, source, "-lrdkafka",
                                 "-lpthread"], capture_output=True, text=True)
        if result.returncode != 0:
            raise BenchError(f"apt-get install gcc librdkafka-dev:\n{result.stderr}")
    return program


def parse():
    """The command line."""
    work = REPOSITORY / ".cache/bench-kafka"
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, help="3 by default, 1 of short ones")
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument("--quick", dest="scale", action="store_const", const="quick",
                       help="one short round")
    scale.add_argument("--check", dest="scale", action="store_const", const="check",
                       help="every load for a moment; the numbers mean nothing")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts of {','.join(PARTS)}")
    parser.add_argument("--cases", default="*", help="a pattern for cases on one node: '1 KiB, all*'")
    parser.add_argument("--peer-only", action="store_true", help="only the real Kafka")
    parser.add_argument("--polyport-only", action="store_true", help="only Polyport")
    parser.add_argument("--retries", type=int, default=1,
                        help="of a run that other processes disturbed")
    parser.add_argument("--base-port", type=int, default=25810, help="of 60 ports")
    parser.add_argument("--dir", type=pathlib.Path, default=work / "data", help="not on tmpfs")
    parser.add_argument("--json", type=pathlib.Path, default=work / "result.json")
    options = parser.parse_args()
    options.only = set(options.only.split(","))
    if unknown := options.only - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options.rounds = options.rounds or (1 if options.scale else 3)
    options.scale = options.scale or "full"
    return options


def main():
    options = parse()
    cache = REPOSITORY / ".cache"
    check_disk(options.dir)
    jars = peers.Jars(cache)
    options.reference = peers.Kafka(options.dir, options.base_port, jars)
    services = []
    if not options.polyport_only:
        services.append(options.reference)
    if not options.peer_only:
        services.append(peers.Polyport(options.dir, options.base_port + 30, polyport_binary()))
    jars.prepare()
    for service in services:
        service.prepare()
    bench = Bench(options, jars, build_driver(cache))
    try:
        for number in range(1, options.rounds + 1):
            say(f"round {number} of {options.rounds}")
            bench.round(services, number)
            bench.write_json()
    finally:
        # The brokers' own logs stay if the run failed: they say why.
        for service in services:
            service.stop()
            service.drop_data()
        bench.reserve.release()
        bench.write_json()
        print(bench.report())


if __name__ == "__main__":
    run(main)
