"""Servers under comparison: Polyport, and Apache ZooKeeper as Debian or Maven Central ships it.

Each runs one or more nodes on loopback, data on a real disk, fsync on, otherwise as its makers ship
it. A node is a process of ours: it is ended by its own pid.
"""

import pathlib
import shutil
import socket
import subprocess

import polyport
from service import BenchError, Node, Service

# Shared by all, ZooKeeper's own sample configuration.
TICK_TIME_MS = 2000
INIT_LIMIT = 10
SYNC_LIMIT = 5


class ZooKeeperNode(Node):
    """A node that answers four-letter words."""

    PORTS = ("client", "peer", "election", "admin", "metrics")

    def four_letter(self, word):
        """The answer to a four-letter word, empty if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.client), timeout=2) as connection:
                connection.sendall(word.encode())
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
                return answer.decode(errors="replace")
        except OSError:
            return ""

    def mode(self):
        """standalone, leader, follower, or empty while it does not serve."""
        for line in self.four_letter("srvr").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return ""


class ZooKeeperService(Service):
    """Nodes that speak ZooKeeper's protocol."""

    node_type = ZooKeeperNode

    def modes(self):
        """Of all nodes, sorted."""
        return sorted(node.mode() for node in self.nodes)

    def serving(self):
        """Whether all nodes serve and one leads."""
        modes = self.modes()
        if len(modes) == 1:
            return modes[0] in ("standalone", "leader")
        return modes == ["follower"] * (len(modes) - 1) + ["leader"]

    def state(self):
        return f"modes are {self.modes()}"

    def leader(self):
        """The node that leads."""
        return next(node for node in self.nodes if node.mode() in ("leader", "standalone"))

    def servers(self):
        """host:port of all nodes, for the load generator."""
        return ",".join(f"127.0.0.1:{node.client}" for node in self.nodes)


class Polyport(ZooKeeperService):
    """`polyport serve` of a release or dist build."""

    name = "Polyport"

    def __init__(self, root, base_port, binary):
        super().__init__(root, base_port)
        self.binary = binary

    def prepare(self):
        polyport.check(self.binary)

    def configure(self, node):
        return polyport.command(self.binary, node, self.nodes, [
            "[zookeeper]",
            f'listen = "127.0.0.1:{node.client}"',
            f"tick_time_ms = {TICK_TIME_MS}",
            # 60 from one address would not do for the bench.
            "max_client_connections = 0",
            'four_letter_words = ["*"]',
            "[kafka]",
            "listeners = []",
        ])


class ZooKeeper(ZooKeeperService):
    """Debian's package: the command that its zkServer.sh runs."""

    name = "ZooKeeper 3.8"

    def __init__(self, root, base_port, heap=None):
        super().__init__(root, base_port)
        self.heap = heap
        self.classpath = "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar"

    def prepare(self):
        if not pathlib.Path("/usr/share/java/zookeeper.jar").exists():
            raise BenchError("ZooKeeper is not installed: apt-get install zookeeper")

    def configure(self, node):
        data = node.directory / "data"
        data.mkdir(exist_ok=True)
        lines = [
            f"tickTime={TICK_TIME_MS}",
            f"initLimit={INIT_LIMIT}",
            f"syncLimit={SYNC_LIMIT}",
            f"dataDir={data}",
            f"clientPort={node.client}",
            "clientPortAddress=127.0.0.1",
            # 60 from one address would not do for the bench.
            "maxClientCnxns=0",
            "4lw.commands.whitelist=*",
            "admin.enableServer=false",
        ]
        if len(self.nodes) > 1:
            (data / "myid").write_text(f"{node.number}\n")
            lines += [
                f"server.{other.number}=127.0.0.1:{other.peer}:{other.election}"
                for other in self.nodes
            ]
        path = node.directory / "zoo.cfg"
        path.write_text("\n".join(lines) + "\n")
        return [
            "java",
            f"-Dzookeeper.log.dir={node.directory}",
            "-Dzookeeper.log.file=zookeeper.log",
            "-XX:+HeapDumpOnOutOfMemoryError",
            "-XX:OnOutOfMemoryError=kill -9 %p",
            "-cp", self.classpath,
            *([f"-Xmx{self.heap}"] if self.heap else []),
            "-Dcom.sun.management.jmxremote",
            "-Dcom.sun.management.jmxremote.local.only=true",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            path,
        ]


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>bench</groupId><artifactId>bench</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.zookeeper</groupId><artifactId>zookeeper</artifactId>
      <version>3.9.3</version></dependency>
    <dependency><groupId>io.dropwizard.metrics</groupId><artifactId>metrics-core</artifactId>
      <version>4.1.12.1</version></dependency>
    <dependency><groupId>org.xerial.snappy</groupId><artifactId>snappy-java</artifactId>
      <version>1.1.10.5</version></dependency>
  </dependencies>
</project>
"""

# Debian's package logs nothing by default; without this, 3.9 would log at debug level.
LOGBACK = '<configuration><root level="WARN"/></configuration>\n'


class ZooKeeper39(ZooKeeper):
    """Apache's 3.9.3 with the jars of Maven Central."""

    name = "ZooKeeper 3.9"

    def prepare(self):
        library = self.root.parent / "zookeeper-3.9.3"
        if not (library / "complete").exists():
            shutil.rmtree(library, ignore_errors=True)
            library.mkdir(parents=True)
            (library / "pom.xml").write_text(POM)
            (library / "logback.xml").write_text(LOGBACK)
            subprocess.run(
                ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"],
                cwd=library, check=True, stdout=subprocess.DEVNULL,
            )
            (library / "complete").touch()
        self.classpath = f"{library}:{library}/jars/*"
