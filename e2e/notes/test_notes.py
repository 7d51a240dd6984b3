"""The commands of the operators' notes, run by their own names, their output compared.

A transcript is a text: `$ command` runs in a shell with the tools first on PATH; `> command` is
typed at the prompt of the zkCli.sh that the last `$` line started on a terminal; the lines below
are what the notes show. `~ pattern` is a regular expression, `| text` a line of a file, `! word`
a step of preparation, `#` a remark. {home}, {port}, {server} and so on are filled in.
"""

import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness import ports as port_pool
from harness.four_letter import four_letter
from harness.paths import CACHE, JARS, RUNS, polyport_binary
from harness.real import JVM
from harness.wait import until

HERE = pathlib.Path(__file__).parent
TRANSCRIPTS = sorted((HERE / "transcripts").glob("*.txt"))
DEBIAN = pathlib.Path("/usr/share/zookeeper/bin")
HOST = "127.0.0.1"
ENVIRONMENT = """ZOOMAIN=org.apache.zookeeper.server.quorum.QuorumPeerMain
ZOOCFGDIR="$ZOOBINDIR/../conf"
case "$ZOOCFG" in /*) ;; *) ZOOCFG="$ZOOCFGDIR/${{ZOOCFG:-zoo.cfg}}" ;; esac
ZOO_LOG_DIR={logs}
JMXLOCALONLY=true
JAVA=java
CLASSPATH="{classpath}"
"""
PROMPT = re.compile(r"\[zk: [^\]]*\(CONNECTED\) \d+\] ?")


class Stage:
    """Where a transcript plays: homes with bin/ and conf/, ports, variables."""

    def __init__(self, kind, name, ensemble):
        self.kind = kind
        self.folder = RUNS / f"notes-{os.getpid()}-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.homes = [self.folder / f"home{n}" for n in ((1, 2, 3) if ensemble else (1,))]
        self.ports = [{k: port_pool.free_port() for k in ("client", "a", "b", "admin", "metrics")}
                      for _ in self.homes]
        self.names = {"home": self.homes[0], "host": HOST, "port": self.ports[0]["client"],
                      "server": f"{HOST}:{self.ports[0]['client']}",
                      "metrics": self.ports[0]["metrics"]}
        for n, (home, ports) in enumerate(zip(self.homes, self.ports), 1):
            self.names |= {f"home{n}": home, f"port{n}": ports["client"]}
            (home / "conf").mkdir(parents=True)
            (home / "data").mkdir()
            (home / "data" / "myid").write_text(f"{n}\n")
            (home / "conf" / "zoo.cfg").write_text(self.zoo_cfg(home, ports))
        self.install_tools(self.homes[0] / "bin")
        # Nothing is started unless the tool means this stage: its ports, its data.
        said = self.shell("zkServer.sh status")
        assert f"{self.homes[0]}/bin/../conf/zoo.cfg" in said, f"another configuration:\n{said}"

    def zoo_cfg(self, home, ports):
        lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", f"dataDir={home / 'data'}",
                 f"clientPort={ports['client']}", "clientPortAddress=localhost",
                 f"admin.serverAddress={HOST}", f"admin.serverPort={ports['admin']}",
                 "4lw.commands.whitelist=*", "maxClientCnxns=128",
                 "autopurge.snapRetainCount=3", "autopurge.purgeInterval=24",
                 "metricsProvider.className="
                 "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
                 f"metricsProvider.httpHost={HOST}", f"metricsProvider.httpPort={ports['metrics']}",
                 "metricsProvider.exportJvmInfo=true"]
        if len(self.homes) > 1:
            lines += [f"server.{n}={HOST}:{p['a']}:{p['b']}" for n, p in enumerate(self.ports, 1)]
        return "\n".join(lines) + "\n"

    def install_tools(self, folder):
        folder.mkdir()
        if self.kind == "polyport":
            subprocess.run([polyport_binary(), "install-tools", folder], check=True)
            return
        if not DEBIAN.is_dir():
            pytest.skip("Debian's zookeeper is not installed")
        # The scripts are Debian's, the server and client 3.9.3.
        logback = CACHE / "zkcli"
        logback.mkdir(parents=True, exist_ok=True)
        (logback / "logback.xml").write_text("<configuration><root level='OFF'/></configuration>\n")
        for name in ("zkServer.sh", "zkCli.sh"):
            shutil.copy(DEBIAN / name, folder / name)
            (folder / name).chmod(0o755)
        # Not Debian's zkEnv.sh: it insists on /etc/zookeeper/conf.
        (folder / "zkEnv.sh").write_text(ENVIRONMENT.format(
            classpath=f"{logback}:{JARS}/*", logs=self.folder))

    def environment(self):
        keep = {k: v for k, v in os.environ.items()
                if not k.startswith(("ZOO", "JVMFLAGS", "POLYPORT_"))}
        tools = f"{self.homes[0] / 'bin'}:{pathlib.Path(sys.executable).parent}"
        return {**keep, "PATH": f"{tools}:{keep['PATH']}", "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "TERM": "dumb", "ZOO_LOG_DIR": str(self.folder), "JVMFLAGS": " ".join(JVM[:4])}

    def fill(self, text):
        return re.sub(r"\{(\w+)\}", lambda m: str(self.names.get(m[1], m[0])), text)

    def shell(self, command):
        done = subprocess.run(command, shell=True, text=True, cwd=self.folder, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, env=self.environment())
        return done.stdout

    def ready(self):
        def serves():
            try:
                return all("Mode: " in four_letter(f"{HOST}:{p['client']}", "srvr")
                           for p in self.ports)
            except OSError:
                return False
        until(serves, 30, "the server")

    def end(self):
        """Ends what zkServer.sh left running, by the ids it wrote down."""
        for home in self.homes:
            file = home / "data" / "zookeeper_server.pid"
            if file.exists():
                try:
                    os.kill(int(file.read_text()), signal.SIGKILL)
                except (OSError, ValueError):
                    pass
        for ports in self.ports:
            port_pool.give_back(ports.values())


class Session:
    """zkCli.sh on a terminal."""

    def __init__(self, stage, command):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(stage.folder)
            os.execvpe("sh", ["sh", "-c", f"stty cols 400; exec {command}"], stage.environment())
        self.pid = pid
        # The first prompt may come before the connection; an empty line asks for another.
        said = self.read_to(re.compile(r"\[zk: [^\]]*\(CONNECT\w+\) \d+\]"))
        while "(CONNECTING)" in said.split("[zk:")[-1]:
            os.write(self.terminal, b"\n")
            said = self.read_to(re.compile(r"\[zk: [^\]]*\(CONNECT\w+\) \d+\]"))
        self.type("")

    def read_to(self, pattern):
        """What comes up to the pattern, and what is there at once behind it."""
        text, end = "", time.monotonic() + 30
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    text += os.read(self.terminal, 65536).decode(errors="replace")
                except OSError:
                    break
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", text).replace("\r", "")
            if pattern.search(plain):
                return plain
        raise AssertionError(f"no prompt:\n{text}")

    def type(self, line):
        os.write(self.terminal, line.encode() + b"\n")
        # A prompt on a line of its own: the echo of what was typed ends the old one's line.
        lines = self.read_to(re.compile(PROMPT.pattern + r"$")).split("\n")
        # The first line is the echo, the last the next prompt.
        return [x for x in lines[1:-1] if x and not x.startswith(("WATCHER::", "WatchedEvent"))]

    def close(self):
        try:
            os.write(self.terminal, b"quit\n")
            end = time.monotonic() + 5
            while time.monotonic() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                if select.select([self.terminal], [], [], 0.05)[0]:
                    os.read(self.terminal, 65536)
            else:
                if time.monotonic() >= end:
                    os.kill(self.pid, signal.SIGKILL)
                    os.waitpid(self.pid, 0)
        except OSError:
            try:
                os.waitpid(self.pid, 0)
            except OSError:
                pass
        os.close(self.terminal)


def steps(text):
    """The transcript as (kind, command, expected lines)."""
    found = []
    for line in text.splitlines():
        if line.startswith("#") and not (found and line.startswith("# TYPE")):
            continue
        if line[:2] in ("$ ", "> ", "! "):
            found.append((line[0], line[2:], []))
        elif found:
            found[-1][2].append(line)
    return found


def compare(command, got, want):
    got = [line.rstrip() for line in got]
    # `which java` of the real script; there is no Java here.
    got = [line for line in got if line != "/usr/bin/java"]
    while got and not got[-1] and (not want or want[-1]):
        got.pop()
    same = len(got) == len(want) and all(
        re.fullmatch(w[2:], g) if w.startswith("~ ") else g == w.rstrip()
        for g, w in zip(got, want))
    assert same, "\n".join([command, "  the notes:", *want, "  this server:", *got])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda p: p.stem)
def test_transcript(server_kind, request, transcript):
    script = steps(transcript.read_text())
    ensemble = ("!", "ensemble", []) in script
    if ensemble != (request.config.getoption("--nodes") == 3):
        pytest.skip("for the other number of nodes")
    stage = Stage(server_kind, transcript.stem, ensemble)
    session = None
    try:
        for kind, command, want in script:
            command = stage.fill(command)
            want = [stage.fill(line) for line in want]
            if kind == "!":
                word, _, rest = command.partition(" ")
                if word == "file":
                    lines = [line[2:] for line in want]
                    (stage.folder / rest).write_text("\n".join(lines) + "\n")
                elif word == "server":
                    if rest:
                        config = stage.homes[0] / "conf" / "zoo.cfg"
                        key = rest.split("=")[0]
                        kept = [x for x in config.read_text().splitlines() if not x.startswith(key)]
                        config.write_text("\n".join([*kept, rest]) + "\n")
                    stage.shell("zkServer.sh start")
                    stage.ready()
                elif word == "ready":
                    stage.ready()
            elif kind == "$":
                if session:
                    session.close()
                    session = None
                if command.startswith("zkCli.sh"):
                    session = Session(stage, command)
                else:
                    compare(f"$ {command}", stage.shell(command).splitlines(), want)
            else:
                compare(f"> {command}", session.type(command), want)
    finally:
        if session:
            session.close()
        stage.end()
