"""The notes' Kafka commands by their own names, their output compared.

Transcripts as in test_notes.py, on one broker. `! tree` and `! polyport` say which server has what is
needed; `! start` writes the server.properties that follows and leaves the start to the transcript.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from harness import ports as port_pool
from harness.kafka import HOST, KAFKA_JARS, LOG4J, PEER, ask_versions, make_broker
from harness.paths import JARS, RUNS, polyport_binary
from harness.wait import until
from test_notes import compare, steps

TRANSCRIPTS = sorted((pathlib.Path(__file__).parent / "kafka").glob("*.txt"))

# What the scripts of bin/ run in 3.9.
CLASSES = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer.sh": "kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}


def install_tools(folder):
    """The tools by their names: Polyport's, or scripts that run Kafka's classes."""
    folder.mkdir(parents=True)
    if PEER == "polyport":
        subprocess.run([polyport_binary(), "install-tools", folder], check=True)
        return
    (folder / "log4j.properties").write_text(LOG4J.replace("WARN, out", "OFF"))
    java = f"exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j.configuration=file:{folder}/log4j.properties"
    for name, made in CLASSES.items():
        (folder / name).write_text(f'#!/bin/sh\n{java} -cp "{KAFKA_JARS}/*" {made} "$@"\n')
    (folder / "zkCli.sh").write_text(
        f'#!/bin/sh\n{java} -cp "{JARS}/*" org.apache.zookeeper.ZooKeeperMain "$@"\n')
    for file in folder.glob("*.sh"):
        file.chmod(0o755)


class Stage:
    """A broker, the tools and what the transcript's names stand for."""

    def __init__(self, name, started_by_hand):
        self.folder = RUNS / f"kafka-notes-{os.getpid()}-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        install_tools(self.folder / "bin")
        self.broker = make_broker(name=name)
        self.ports = self.broker.ports
        address = self.broker.address
        self.names = {"host": HOST, "port": self.ports["kafka"], "server": address,
                      "zookeeper": self.broker.zookeeper, "folder": self.folder,
                      "logs": self.broker.log_folder()}
        if not started_by_hand:
            self.broker.start().wait_ready()

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("POLYPORT_")}
        # What server.properties does not say: the other doors of a Polyport, and where they keep things.
        doors = {"ZOOKEEPER": "client", "NODE": "node", "ADMIN": "admin", "METRICS": "metrics"}
        ours = {f"POLYPORT_{door}__LISTEN": f"{HOST}:{self.ports[port]}"
                for door, port in doors.items() if port in self.ports}
        return {**kept, **ours, "POLYPORT_DATA_DIR": str(self.folder / "data"),
                "LOG_DIR": str(self.folder / "logs"), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "PATH": f"{self.folder / 'bin'}:{kept['PATH']}"}

    def fill(self, text):
        return re.sub(r"\{(\w+)\}", lambda m: str(self.names.get(m[1], m[0])), text)

    def shell(self, command):
        done = subprocess.run(command, shell=True, text=True, cwd=self.folder, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, env=self.environment())
        return done.stdout.splitlines()

    def by_hand(self):
        """The ids of the servers that the transcript started here."""
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"{self.folder}/server.properties" in words:
                found.append(int(process.name))
        return found

    def end(self):
        for process in self.by_hand():
            os.kill(process, signal.SIGKILL)
        self.broker.end()
        if getattr(self.broker, "folder", None):
            shutil.rmtree(self.broker.folder, ignore_errors=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda p: p.stem)
def test_transcript(transcript):
    script = steps(transcript.read_text())
    words = {command for kind, command, _ in script if kind == "!"}
    if "tree" in words and PEER == "real":
        pytest.skip("KRaft has no tree")
    if words & {"polyport", "start"} and PEER != "polyport":
        pytest.skip("only Polyport's tools do this")
    stage = Stage(transcript.stem, "start" in words)
    try:
        for kind, command, want in script:
            want = [stage.fill(line) for line in want]
            if kind == "$":
                got = stage.shell(stage.fill(command))
                compare(f"$ {command}", got, want)
            elif command == "start":
                lines = "\n".join(line[2:] for line in want) + "\n"
                (stage.folder / "server.properties").write_text(lines)
            elif command == "ready":
                until(lambda: ask_versions(stage.broker.address), 30, "the broker")
            elif command == "ended":
                until(lambda: not stage.by_hand(), 20, "the end of the server")
    finally:
        stage.end()
