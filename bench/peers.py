"""Servers under comparison: Polyport, and Apache ZooKeeper as Debian or Maven Central ships it.

Each runs one or more nodes on loopback, data on a real disk, fsync on, otherwise as its makers ship
it. A node is a process of ours: it is ended by its own pid.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

# Shared by all, ZooKeeper's own sample configuration.
TICK_TIME_MS = 2000
INIT_LIMIT = 10
SYNC_LIMIT = 5


class BenchError(Exception):
    """What makes a run impossible, said to the user as it is."""


class Node:
    """One server process: its number from 1, its directory and its ports."""

    def __init__(self, number, directory, base_port):
        self.number = number
        self.directory = directory
        first = base_port + (number - 1) * 10
        self.client, self.peer, self.election, self.admin, self.metrics = range(first, first + 5)
        self.process = None

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

    def rss_kib(self):
        """Resident memory, in KiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS:"))


class Service:
    """Nodes of one product. A subclass says how a node is configured and started."""

    name = ""

    def __init__(self, root, base_port):
        self.root = pathlib.Path(root)
        self.base_port = base_port
        self.nodes = []

    def prepare(self):
        """Raises BenchError if this product cannot run here."""

    def configure(self, node):
        """Writes the node's configuration and returns the command that starts it."""
        raise NotImplementedError

    def create(self, count):
        """Empty directories and configurations for `count` nodes; nothing is started."""
        self.stop()
        directory = self.root / self.name.replace(" ", "-")
        shutil.rmtree(directory, ignore_errors=True)
        self.nodes = [Node(n, directory / str(n), self.base_port) for n in range(1, count + 1)]
        for node in self.nodes:
            node.directory.mkdir(parents=True)

    def command(self, node):
        """The command line of a node."""
        return [str(part) for part in self.configure(node)]

    def start_node(self, node):
        """Starts one process."""
        with open(node.directory / "output.log", "ab") as log:
            node.process = subprocess.Popen(
                self.command(node), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=node.directory,
            )

    def start(self, count):
        """Fresh nodes, serving."""
        self.create(count)
        for node in self.nodes:
            self.start_node(node)
        self.await_serving()

    def await_serving(self, seconds=60):
        """Returns when all nodes serve and one leads."""
        deadline = time.monotonic() + seconds
        while True:
            modes = sorted(node.mode() for node in self.nodes)
            if len(modes) == 1 and modes[0] in ("standalone", "leader"):
                return
            if modes == ["follower"] * (len(modes) - 1) + ["leader"]:
                return
            for node in self.nodes:
                if node.process.poll() is not None:
                    raise BenchError(
                        f"{self.name} node {node.number} ended with {node.process.returncode}; "
                        f"see {node.directory}/output.log"
                    )
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: no quorum in {seconds} s; modes are {modes}")
            time.sleep(0.02)

    def leader(self):
        """The node that leads."""
        return next(node for node in self.nodes if node.mode() in ("leader", "standalone"))

    def kill(self, node):
        """kill -9; returns the Unix time of it in milliseconds."""
        at = time.time() * 1000
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
        return at

    def stop(self):
        """Ends all nodes."""
        running = [n for n in self.nodes if n.process and n.process.poll() is None]
        for node in running:
            node.process.terminate()
        for node in running:
            try:
                node.process.wait(10)
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()

    def remove(self):
        """Ends all nodes and deletes their data."""
        self.stop()
        for node in self.nodes:
            shutil.rmtree(node.directory, ignore_errors=True)

    def servers(self):
        """host:port of all nodes, for the load generator."""
        return ",".join(f"127.0.0.1:{node.client}" for node in self.nodes)

    def pids(self):
        """Processes of all nodes, for the load generator."""
        return ",".join(str(node.process.pid) for node in self.nodes)


class Polyport(Service):
    """`polyport serve` of a release or dist build."""

    name = "Polyport"

    def __init__(self, root, base_port, binary):
        super().__init__(root, base_port)
        self.binary = binary

    def prepare(self):
        if not self.binary or not os.access(self.binary, os.X_OK):
            raise BenchError("no Polyport binary: build one and set POLYPORT_BIN, or --peer-only")

    def configure(self, node):
        lines = [
            f'data_dir = "{node.directory}/data"',
            "[node]",
            f"id = {node.number}",
            f'listen = "127.0.0.1:{node.peer}"',
            "[zookeeper]",
            f'listen = "127.0.0.1:{node.client}"',
            f"tick_time_ms = {TICK_TIME_MS}",
            # 60 from one address would not do for the bench.
            "max_client_connections = 0",
            'four_letter_words = ["*"]',
            "[admin]",
            f'listen = "127.0.0.1:{node.admin}"',
            "[kafka]",
            "listeners = []",
            "[metrics]",
            f'listen = "127.0.0.1:{node.metrics}"',
        ]
        if len(self.nodes) > 1:
            lines += ["[cluster]", 'secret = "a-secret-for-the-bench-only"']
            for other in self.nodes:
                lines += [
                    "[[cluster.nodes]]",
                    f"id = {other.number}",
                    f'address = "127.0.0.1:{other.peer}"',
                ]
        path = node.directory / "polyport.toml"
        path.write_text("\n".join(lines) + "\n")
        return [self.binary, "serve", "--config", path]


class ZooKeeper(Service):
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
