"""One broker under test: Polyport, or the real Kafka 3.9.1 in either of its two modes.

`KAFKA_PEER` says which: `polyport` (the default), `real` (KRaft) or `zookeeper` (Kafka on a real
ZooKeeper, whose tree the suites compare). All are started with the same properties.
"""

import os
import socket
import struct
import subprocess
import time

from . import ports as port_pool
from .node import Node, _die_with_the_harness, environment
from .ours import quoted
from .paths import CACHE, E2E, RUNS, polyport_binary

PEER = os.environ.get("KAFKA_PEER", "polyport")
KAFKA_JARS = CACHE / "kafka-3.9.1"
HOST = "127.0.0.1"
CLUSTER_ID = "cG9seXBvcnQtZTJlLWthZg"
JVM = ["-Dzookeeper.admin.enableServer=false", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"]

# What Polyport does not do yet: the markers of tests that wait for it.
NOT_YET = (E2E / "kafka" / "not-yet.txt").read_text().split() if PEER == "polyport" else []

# What makes tests quick and changes no behaviour: few internal partitions, short waits.
QUICK = {
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 2,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "log.retention.check.interval.ms": 500,
    "log.cleaner.backoff.ms": 500,
    "log.segment.delete.delay.ms": 500,
    # Consumers of the new protocol learn of a change with their next heartbeat.
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 200,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 2000,
}

LOG4J = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


def ask_versions(address, seconds=2.0):
    """The answer to ApiVersions 0, the first thing every client says; None without one."""
    host, port = address.rsplit(":", 1)
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((host, int(port)), seconds) as sock:
            sock.settimeout(seconds)
            sock.sendall(struct.pack(">i", len(request)) + request)
            head = sock.recv(4, socket.MSG_WAITALL)
            return sock.recv(struct.unpack(">i", head)[0], socket.MSG_WAITALL) if head else None
    except (OSError, struct.error):
        return None


class KafkaNode(Node):
    """A broker alone, with Kafka's properties on top of the quick ones.

    `doors`: names of listeners beside PLAINTEXT; their ports are in `ports` by these names.
    """

    port_names = ("kafka",)

    def __init__(self, properties=None, name="broker", number=1, doors=()):
        folder = RUNS / f"{time.strftime('%H%M%S')}-{os.getpid()}-{PEER}-{name}"
        self.doors = doors
        names = (*self.port_names, *doors)
        super().__init__(number, folder, {p: port_pool.free_port() for p in names})
        self.properties = QUICK | (properties or {})
        self.ended = False
        # The brokers of its cluster, itself among them; none if it is alone.
        self.members = []

    @property
    def address(self):
        return f"{self.host}:{self.ports['kafka']}"

    def listeners(self):
        """All of them, as Kafka writes them."""
        return [f"PLAINTEXT://{self.address}",
                *(f"{door}://{self.host}:{self.ports[door]}" for door in self.doors)]

    @property
    def zookeeper(self):
        """Where the tree is seen; None where there is none."""
        return f"{self.host}:{self.ports['client']}" if "client" in self.ports else None

    def log_folder(self):
        """Where the partitions' folders are."""
        return self.data_folder()

    def prepare(self):
        raise NotImplementedError

    def start(self):
        if not self.running:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.prepare()
            super().start()
        return self

    def wait_ready(self, seconds=60.0):
        end = time.monotonic() + seconds
        while ask_versions(self.address) is None:
            if not self.running:
                raise RuntimeError(f"the broker ended at its start:\n{self.tail()}")
            if time.monotonic() > end:
                raise RuntimeError(f"the broker does not serve after {seconds} s:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def resident_kib(self):
        """Memory it holds, as the system counts it."""
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def end(self):
        """Ends it, once and for all: its ports may be another's after this."""
        if not self.ended:
            self.ended = True
            self.kill()
            port_pool.give_back(self.ports.values())


class PolyportBroker(KafkaNode):
    port_names = ("kafka", "client", "node", "admin", "metrics")

    def log_folder(self):
        return self.data_folder() / "kafka"

    def prepare(self):
        port = {name: quoted(f"{HOST}:{number}") for name, number in self.ports.items()}
        lines = [
            f"data_dir = {quoted(self.data_folder())}",
            "[node]", f"id = {self.number}", f"listen = {port['node']}",
            "[zookeeper]", f"listen = {port['client']}", "tick_time_ms = 200",
            "[admin]", f"listen = {port['admin']}",
            "[metrics]", f"listen = {port['metrics']}",
            "[kafka]", f"listeners = [{', '.join(map(quoted, self.listeners()))}]",
            "[kafka.properties]",
            *(f"{quoted(key)} = {quoted(value)}" for key, value in self.properties.items()),
        ]
        if self.members:
            lines += ["[cluster]", 'secret = "e2e"']
        for member in self.members:
            lines += ["[[cluster.nodes]]", f"id = {member.number}",
                      f"address = {quoted(f'{HOST}:' + str(member.ports['node']))}",
                      f"zookeeper = {quoted(member.zookeeper)}"]
        (self.folder / "polyport.toml").write_text("\n".join(lines) + "\n")

    def arguments(self):
        return [str(polyport_binary()), "serve", "--config", str(self.folder / "polyport.toml")]


class RealBroker(KafkaNode):
    """The real Kafka, on jars of Maven Central."""

    def java(self, *arguments, heap="512m"):
        return ["java", f"-Xmx{heap}", *JVM, f"-Dlog4j.configuration=file:{self.folder}/log4j.properties",
                "-cp", f"{KAFKA_JARS}/*", *map(str, arguments)]

    def write_properties(self, **first):
        lines = {"log.dirs": self.data_folder(), "listeners": ",".join(self.listeners()),
                 **{key.replace("_", "."): value for key, value in first.items()},
                 # Internal names of waits that Polyport does not have.
                 "log.initial.task.delay.ms": 500, **self.properties}
        (self.folder / "log4j.properties").write_text(LOG4J)
        path = self.folder / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        return path

    def arguments(self):
        return self.java("kafka.Kafka", self.folder / "server.properties")


class KraftBroker(RealBroker):
    port_names = ("kafka", "controller")

    def prepare(self):
        controller = f"{HOST}:{self.ports['controller']}"
        path = self.write_properties(
            process_roles="broker,controller", node_id=1,
            controller_quorum_voters=f"1@{controller}",
            listeners=",".join([*self.listeners(), f"CONTROLLER://{controller}"]),
            controller_listener_names="CONTROLLER",
            group_coordinator_rebalance_protocols="classic,consumer")
        if not self.data_folder().exists():
            subprocess.run(
                self.java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", path),
                check=True, capture_output=True, env=environment())


class ZookeeperBroker(RealBroker):
    port_names = ("kafka", "client")
    tree = None

    def prepare(self):
        self.write_properties(broker_id=1, zookeeper_connect=self.zookeeper)
        if self.tree is None or self.tree.poll() is not None:
            with open(self.folder / "zookeeper.log", "ab") as log:
                self.tree = subprocess.Popen(
                    self.java("org.apache.zookeeper.server.ZooKeeperServerMain",
                              self.ports["client"], self.folder / "tree", heap="256m"),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                    start_new_session=True, preexec_fn=_die_with_the_harness, env=environment())

    def end(self):
        super().end()
        if self.tree:
            self.tree.kill()
            self.tree.wait(10)


def make_three(properties=None, name="three"):
    """Three brokers that are a cluster, by their numbers."""
    brokers = [PolyportBroker(properties, f"{name}-{n}", n) for n in (1, 2, 3)]
    for broker in brokers:
        broker.members = brokers
    return {broker.number: broker for broker in brokers}


def make_broker(properties=None, name="broker", doors=()):
    kind = {"polyport": PolyportBroker, "real": KraftBroker, "zookeeper": ZookeeperBroker}[PEER]
    return kind(properties, name, doors=doors)
