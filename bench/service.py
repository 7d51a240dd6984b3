"""Servers under comparison, of whatever service: processes of ours, each ended by its own pid."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


class BenchError(Exception):
    """What makes a run impossible, said to the user as it is."""


def say(text):
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def check_disk(directory):
    """fsync on a tmpfs costs nothing and would measure nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True,
                          check=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise BenchError(f"{directory} is on {kind}: choose a disk with --dir")


def polyport_binary():
    """POLYPORT or POLYPORT_BIN, or what this checkout has built."""
    built = [TARGET / "dist/polyport", TARGET / "release/polyport"]
    # Not to be inherited: to the program itself, POLYPORT_… is its configuration.
    given = os.environ.pop("POLYPORT_BIN", None) or os.environ.get("POLYPORT")
    found = given or next((str(b) for b in built if b.exists()), None)
    # Nodes run in directories of their own.
    return found and os.path.abspath(found)


def run(main):
    """Runs a bench: its errors are one line, and servers are ended also when the bench is."""
    # SystemExit, so that `finally` runs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except BenchError as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


class Node:
    """One server process: its number from 1, its directory and its ports."""

    PORTS = ()

    def __init__(self, number, directory, base_port):
        self.number = number
        self.directory = directory
        first = base_port + (number - 1) * 10
        for port, name in enumerate(self.PORTS, first):
            setattr(self, name, port)
        self.process = None

    def rss_kib(self):
        """Resident memory, in KiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS:"))


class Service:
    """Nodes of one product. A subclass says how a node is configured and started."""

    name = ""
    node_type = Node
    # Seconds after which a node that was asked to stop is killed.
    patience = 10

    def __init__(self, root, base_port):
        self.root = pathlib.Path(root)
        self.base_port = base_port
        self.nodes = []

    def prepare(self):
        """Raises BenchError if this product cannot run here."""

    def configure(self, node):
        """Writes the node's configuration and returns the command that starts it."""
        raise NotImplementedError

    def serving(self):
        """Whether all nodes serve clients."""
        raise NotImplementedError

    def state(self):
        """For the message about nodes that do not serve."""
        return ""

    def create(self, count):
        """Empty directories and configurations for `count` nodes; nothing is started."""
        self.stop()
        directory = self.root / self.name.replace(" ", "-")
        shutil.rmtree(directory, ignore_errors=True)
        self.nodes = [self.node_type(n, directory / str(n), self.base_port)
                      for n in range(1, count + 1)]
        for node in self.nodes:
            node.directory.mkdir(parents=True)

    def command(self, node):
        """The command line of a node."""
        return [str(part) for part in self.configure(node)]

    def start_node(self, node):
        """Starts one process."""
        command = self.command(node)
        with open(node.directory / "output.log", "ab") as log:
            node.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=node.directory,
            )

    def start(self, count):
        """Fresh nodes, serving."""
        self.create(count)
        for node in self.nodes:
            self.start_node(node)
        self.await_serving()

    def check_running(self):
        """Raises BenchError if a node has ended by itself."""
        for node in self.nodes:
            if node.process.poll() is not None:
                raise BenchError(
                    f"{self.name} node {node.number} ended with {node.process.returncode}; "
                    f"see {node.directory}/output.log"
                )

    def await_serving(self, seconds=60):
        """Returns when all nodes serve."""
        deadline = time.monotonic() + seconds
        while not self.serving():
            self.check_running()
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: does not serve after {seconds} s {self.state()}")
            time.sleep(0.02)

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
                node.process.wait(self.patience)
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()

    def remove(self):
        """Ends all nodes and deletes their data."""
        self.stop()
        for node in self.nodes:
            shutil.rmtree(node.directory, ignore_errors=True)

    def drop_data(self):
        """Deletes what the nodes stored, and leaves what they printed."""
        for node in self.nodes:
            shutil.rmtree(node.directory / "data", ignore_errors=True)

    def pids(self):
        """Processes of all nodes."""
        return [node.process.pid for node in self.nodes]
