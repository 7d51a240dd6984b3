"""Real Polyport processes: on loopback, or each in a network namespace of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

BINARY = os.environ.get("POLYPORT", str(pathlib.Path(__file__).parents[2] / "target/debug/polyport"))
SUPER_DIGEST = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="  # super:admin
FIRST_PORT = int(os.environ.get("FAULTS_PORT", "26340"))


class Loopback:
    """All nodes on 127.0.0.1."""

    prefix = ()

    def command(self, _node):
        return []

    def host(self, _node):
        return "127.0.0.1"

    def node_port(self, node):
        return FIRST_PORT + node

    def client_port(self, node):
        return FIRST_PORT + 20 + node

    def close(self):
        pass


class Namespaces:
    """Each node in a network namespace, all on one bridge. Needs root and iproute2."""

    def __init__(self, nodes, name=None):
        self.name = name or f"pp{os.getpid() % 10000}"
        self.nodes = list(nodes)
        # Runs side by side get networks of their own.
        self.network = f"10.213.{os.getpid() % 250}"
        self._ip("link", "add", self.name, "type", "bridge")
        self._ip("addr", "add", f"{self.network}.254/24", "dev", self.name)
        self._ip("link", "set", self.name, "up")
        for node in self.nodes:
            space, outside, inside = self.space(node), f"{self.name}o{node}", f"{self.name}i{node}"
            self._ip("netns", "add", space)
            self._ip("link", "add", outside, "type", "veth", "peer", "name", inside)
            self._ip("link", "set", inside, "netns", space)
            self._ip("link", "set", outside, "master", self.name)
            self._ip("link", "set", outside, "up")
            self._ip("-n", space, "addr", "add", f"{self.host(node)}/24", "dev", inside)
            self._ip("-n", space, "link", "set", inside, "up")
            self._ip("-n", space, "link", "set", "lo", "up")

    @staticmethod
    def _ip(*args):
        subprocess.run(["ip", *args], check=True)

    def space(self, node):
        return f"{self.name}n{node}"

    def command(self, node):
        return ["ip", "netns", "exec", self.space(node)]

    def host(self, node):
        return f"{self.network}.{node}"

    def node_port(self, _node):
        return 7700

    def client_port(self, _node):
        return 2181

    def isolate(self, node):
        """Cuts a node off from the other nodes and from its clients."""
        self._ip("link", "set", f"{self.name}o{node}", "down")

    def heal(self, node):
        self._ip("link", "set", f"{self.name}o{node}", "up")

    def separate(self, one, other):
        """Cuts two nodes off from each other; both still reach the rest and their clients."""
        for here, there in ((one, other), (other, one)):
            self._ip("-n", self.space(here), "route", "add", "blackhole", f"{self.host(there)}/32")

    def rejoin(self, one, other):
        for here, there in ((one, other), (other, one)):
            self._ip("-n", self.space(here), "route", "del", "blackhole", f"{self.host(there)}/32")

    def close(self):
        for node in self.nodes:
            subprocess.run(["ip", "netns", "del", self.space(node)], check=False)
        subprocess.run(["ip", "link", "del", self.name], check=False)


class Certificates:
    """An authority and a certificate a node, for the node port."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True)
        self._openssl("req", "-x509", *self.KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=faults")

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True)

    def line(self, node, host):
        """The node's `tls =`, its certificate being made if there is none."""
        if not (self.directory / f"{node}.crt").exists():
            self._openssl("req", *self.KEY, "-keyout", f"{node}.key", "-out", f"{node}.csr", "-subj", f"/CN=node {node}")
            (self.directory / f"{node}.ext").write_text(f"subjectAltName=IP:{host}\n")
            self._openssl(
                "x509", "-req", "-in", f"{node}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{node}.ext", "-out", f"{node}.crt",
            )
        at = self.directory
        return f'tls = {{ cert = "{at}/{node}.crt", key = "{at}/{node}.key", ca = "{at}/ca.crt" }}'


class Nodes:
    """A cluster's processes and their directories."""

    def __init__(
        self, directory, net=None, founders=(1, 2, 3), zookeeper="", cluster="", observers=(), tls=False
    ):
        self.net = net or Loopback()
        self.directory = pathlib.Path(directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.founders = list(founders)
        self.zookeeper, self.cluster = zookeeper, cluster
        self.observers = list(observers)
        self.everyone = self.founders + self.observers
        self.certificates = Certificates(self.directory / "tls") if tls else None
        self.processes = {}

    def server(self, node, role="participant"):
        """The node as `server.N=` shows it."""
        host, port = self.net.host(node), self.net.node_port(node)
        return f"server.{node}={host}:{port}:{port + 100}:{role};{host}:{self.net.client_port(node)}"

    def configuration(self, node, listed):
        host = self.net.host(node)
        lines = [
            f'data_dir = "{self.data(node)}"',
            "[node]",
            f"id = {node}",
            f'listen = "{host}:{self.net.node_port(node)}"',
            *([self.certificates.line(node, host)] if self.certificates else []),
            "[zookeeper]",
            f'listen = "{host}:{self.net.client_port(node)}"',
            'four_letter_words = ["*"]',
            "max_client_connections = 0",
            f'super_digest = "{SUPER_DIGEST}"',
            "reconfig_enabled = true",
            self.zookeeper,
            "[admin]",
            "enabled = false",
            "[kafka]",
            "listeners = []",
            "[metrics]",
            "enabled = false",
            "[cluster]",
            'secret = "for-tests-only"',
            self.cluster,
        ]
        for other in listed if len(listed) > 1 else ():
            address = f"{self.net.host(other)}:{self.net.node_port(other)}"
            client = f"{self.net.host(other)}:{self.net.client_port(other)}"
            lines += [
                "[[cluster.nodes]]",
                f"id = {other}",
                f'address = "{address}"',
                f'zookeeper = "{client}"',
                f'role = "{"observer" if other in self.observers else "voter"}"',
            ]
        path = self.directory / f"{node}.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self, node, listed=None):
        if not (self.directory / f"{node}.toml").exists() or listed:
            self.configuration(node, listed or self.everyone)
        self.spawn(node, "serve")

    def join(self, node, member):
        """Starts a node that is to become a member of the cluster that `member` belongs to."""
        self.configuration(node, [node])
        self.spawn(node, "cluster", "join", f"{self.net.host(member)}:{self.net.node_port(member)}")

    def source(self, node):
        """Where a node's configuration comes from, as arguments."""
        return ["--config", f"{self.directory}/{node}.toml"]

    def spawn(self, node, *args):
        command = [*self.net.command(node), BINARY, *args, *self.source(node)]
        with open(self.log(node), "ab") as log:
            self.processes[node] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def log(self, node):
        return self.directory / f"{node}.log"

    def data(self, node):
        return self.directory / str(node)

    def stop(self, node, seconds=30):
        """A clean stop; the exit status."""
        self.signal(node, signal.SIGTERM)
        return self.processes[node].wait(seconds)

    def await_port(self, node, seconds=10):
        """Waits until the node answers on its node port."""
        deadline = time.monotonic() + seconds
        while self.run("cluster", "status", node=node, check=False).returncode:
            assert time.monotonic() < deadline, f"node {node} does not answer"
            time.sleep(0.05)

    def start_all(self):
        for node in self.everyone:
            self.start(node)

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def kill(self, node):
        process = self.processes[node]
        # A stopped process only dies of SIGKILL.
        process.kill()
        process.wait(20)

    def is_running(self, node):
        return node in self.processes and self.processes[node].poll() is None

    def wipe(self, node):
        shutil.rmtree(self.data(node), ignore_errors=True)

    def address(self, node):
        return f"{self.net.host(node)}:{self.net.client_port(node)}"

    def addresses(self, nodes=None):
        return ",".join(self.address(node) for node in nodes or self.everyone)

    def run(self, *args, node=1, check=True):
        """A polyport command in the node's network, with its configuration."""
        command = [*self.net.command(node), BINARY, *args, *self.source(node)]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)

    def leader(self, node=None):
        """The leading node, as the nodes themselves say; none if there is none."""
        for asked in [node] if node else list(self.processes):
            if not self.is_running(asked):
                continue
            told = self.run("cluster", "status", node=asked, check=False)
            for line in told.stdout.splitlines():
                if " leading " in line:
                    return int(line.split()[0])
        return None

    def await_leader(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if leader := self.leader():
                return leader
            time.sleep(0.05)
        raise AssertionError("no leader")

    def await_whole(self, seconds=60):
        """Waits until every node follows or leads and has applied nearly what the leader has."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            told = self.run("cluster", "status", node=self.await_leader(), check=False).stdout
            rows = [line.split() for line in told.splitlines()[1:] if line.strip()]
            up = [row for row in rows if row[3] in ("leading", "following", "observing")]
            if len(up) == len(rows) >= len(self.everyone):
                applied = [int(row[5]) for row in rows]
                if max(applied) - min(applied) < 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not whole again: {told}")

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(20)
        self.net.close()
