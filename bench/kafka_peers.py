"""Brokers under comparison: Polyport, and Apache Kafka 3.9.1 in KRaft mode on jars of Maven Central.

Durability, batching and memory are as their makers ship them. What is set alike on both: where they
listen, replication of the internal topics on one node, and that files of deleted topics go after a
second, so that a run's data is not the next run's.
"""

import os
import shutil
import subprocess

import polyport
from kafka_wire import Connection
from service import REPOSITORY, BenchError, Node, Service

VERSION = "3.9.1"
CLUSTER_ID = "cG9seXBvcnQtYmVuY2gtMQ"
# What kafka-run-class.sh gives every JVM.
JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
       "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"]
JMX = ["-Dcom.sun.management.jmxremote=true", "-Dcom.sun.management.jmxremote.authenticate=false",
       "-Dcom.sun.management.jmxremote.ssl=false"]
LOG4J = """log4j.rootLogger={level}, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


def environment():
    """Without what would change Kafka's JVMs or be Polyport's configuration."""
    return {key: value for key, value in os.environ.items()
            if not key.startswith(("KAFKA_", "POLYPORT", "JAVA_TOOL_OPTIONS"))}


class Jars:
    """Kafka's jars, and the JVMs of its tools."""

    def __init__(self, cache):
        self.directory = cache / f"kafka-{VERSION}"
        self.log4j = cache / "kafka-tools.log4j"

    def prepare(self):
        """Fetches the jars once."""
        done = self.directory / "complete"
        if not done.exists():
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(parents=True)
            result = subprocess.run(
                ["mvn", "-q", "-B", "-f", REPOSITORY / "e2e/kafka/jars/pom.xml",
                 "dependency:copy-dependencies", "-DincludeScope=runtime",
                 f"-DoutputDirectory={self.directory}"],
                capture_output=True, text=True)
            if result.returncode != 0:
                raise BenchError(f"no jars of Kafka: {result.stdout[-2000:]}")
            done.touch()
        self.log4j.write_text(LOG4J.format(level="ERROR"))

    def tool(self, heap, main, *arguments):
        """The command of a tool, with the heap that its script gives it."""
        return ["java", f"-Xmx{heap}", *JVM, f"-Dlog4j.configuration=file:{self.log4j}",
                "-cp", f"{self.directory}/*", main, *map(str, arguments)]


class KafkaNode(Node):
    """A broker's ports."""

    PORTS = ("client", "peer", "admin", "metrics", "tree")


class KafkaService(Service):
    """Nodes that speak Kafka's protocol."""

    node_type = KafkaNode
    patience = 60

    def common(self):
        """Properties that both get."""
        replicas = len(self.nodes)
        return {
            "log.segment.delete.delay.ms": 1000,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": min(2, replicas),
        }

    def logs(self, node):
        """Where the partitions' directories are."""
        raise NotImplementedError

    def connect(self):
        """To the first node that runs."""
        node = next(n for n in self.nodes if n.process and n.process.poll() is None)
        return Connection(node.client)

    def serving(self):
        """Whether every node knows all brokers and the controller."""
        for node in self.nodes:
            try:
                with Connection(node.client, 2) as connection:
                    brokers, controller, _ = connection.metadata([])
            except OSError:
                return False
            if len(brokers) != len(self.nodes) or controller not in brokers:
                return False
        return True

    def servers(self):
        """host:port of all nodes, for clients."""
        return ",".join(f"127.0.0.1:{node.client}" for node in self.nodes)

    def rss_mib(self):
        """Resident memory of the largest node, in MiB."""
        return max(node.rss_kib() for node in self.nodes) / 1024

    def cpu_s(self):
        """Processor time that all nodes have taken, in seconds."""
        ticks = 0
        for node in self.nodes:
            with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class Polyport(KafkaService):
    """`polyport serve` of a release or dist build."""

    name = "Polyport"

    def __init__(self, root, base_port, binary):
        super().__init__(root, base_port)
        self.binary = binary

    def prepare(self):
        polyport.check(self.binary)

    def logs(self, node):
        return node.directory / "data/kafka"

    def configure(self, node):
        return polyport.command(self.binary, node, self.nodes, [
            "[zookeeper]",
            f'listen = "127.0.0.1:{node.tree}"',
            "[kafka]",
            f'listeners = ["PLAINTEXT://127.0.0.1:{node.client}"]',
            "[kafka.properties]",
            *(f'"{key}" = {value}' for key, value in self.common().items()),
        ])


class Kafka(KafkaService):
    """The command that kafka-server-start.sh runs, broker and controller in one JVM."""

    name = f"Kafka {VERSION}"

    def __init__(self, root, base_port, jars):
        super().__init__(root, base_port)
        self.jars = jars

    def prepare(self):
        self.jars.prepare()

    def logs(self, node):
        return node.directory / "data"

    def configure(self, node):
        voters = ",".join(f"{n.number}@127.0.0.1:{n.peer}" for n in self.nodes)
        lines = {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{node.client},CONTROLLER://127.0.0.1:{node.peer}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.logs(node),
            **self.common(),
        }
        path = node.directory / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        log4j = node.directory / "log4j.properties"
        log4j.write_text(LOG4J.format(level="INFO"))
        if not self.logs(node).exists():
            self.format(path)
        return ["java", "-Xmx1G", "-Xms1G", *JVM,
                f"-Xlog:gc*:file={node.directory}/gc.log:time,tags:filecount=10,filesize=100M",
                *JMX, f"-Dlog4j.configuration=file:{log4j}",
                "-cp", f"{self.jars.directory}/*", "kafka.Kafka", path]

    def format(self, path):
        """What kafka-storage.sh does before the first start."""
        result = subprocess.run(
            self.jars.tool("256M", "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", path),
            capture_output=True, text=True, env=environment())
        if result.returncode != 0:
            raise BenchError(f"{self.name}: {result.stdout}{result.stderr}")
