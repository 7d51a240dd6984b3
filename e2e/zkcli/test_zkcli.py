"""ZooKeeper's own command line, of Debian's 3.8.0 and of 3.9.3, scripted against the server.

What they print against the real server is kept in expected/; `pytest --record --server zookeeper`
writes it anew.
"""

import difflib
import os
import pathlib
import re
import subprocess

import pytest

from harness.paths import CACHE, JARS
from harness.raw import Raw
from harness.real import JVM
from harness.settings import SUPER

HERE = pathlib.Path(__file__).parent
SCRIPTS = sorted(path.stem for path in (HERE / "scripts").glob("*.txt"))
DEBIAN = "/usr/share/zookeeper/bin/zkCli.sh"
QUIET = "<configuration><root level='OFF'/></configuration>\n"


def command(version):
    if version == "3.8.0":
        if not os.path.exists(DEBIAN):
            pytest.skip("Debian's zookeeper is not installed")
        return [DEBIAN]
    folder = CACHE / "zkcli"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logback.xml").write_text(QUIET)
    return ["java", *JVM, "-cp", f"{folder}:{JARS}/*", "-Djline.terminal=jline.UnsupportedTerminal",
            "-Dsun.stdout.encoding=UTF-8", "-Dsun.stderr.encoding=UTF-8",
            "org.apache.zookeeper.ZooKeeperMain"]


def zkcli(version, address, text="", arguments=()):
    return subprocess.run(
        [*command(version), "-server", address, *arguments], input=text, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50,
        env={**os.environ, "LC_ALL": "C.UTF-8", "JVMFLAGS": " ".join(JVM)},
    )


def normal(output):
    """Without what differs from run to run: addresses, times, zxids, ids, log lines, prompts."""
    lines, events = [], []
    for line in output.splitlines():
        if re.match(r"SLF4J: |\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d |log4j:|WARNING: ", line):
            continue
        line = re.sub(r"\[zk: [^\]]*\] ?", "", line)
        line = re.sub(r"127\.0\.0\.1:\d+", "SERVER", line)
        line = re.sub(r"([cmp]Zxid) = 0x[0-9a-f]+", r"\1 = ZXID", line)
        line = re.sub(r"ephemeralOwner = 0x[1-9a-f][0-9a-f]*", "ephemeralOwner = SESSION", line)
        line = re.sub(r"(ctime|mtime) = (?!Thu Jan 01 00:00:00 UTC 1970).*", r"\1 = TIME", line)
        line = re.sub(r" zxid: -?\d+", " zxid: ZXID", line)
        line = re.sub(r"(version=)[0-9a-f]+", r"\1VERSION", line)
        line = re.sub(r"(ZooKeeper CLI version: ).*", r"\1VERSION", line)
        if re.match(r"\[/\S+(, /\S+)*\]$", line):
            # Ephemerals have no order.
            line = "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]"
        if "type:None path:null" in line and "SyncConnected" in line:
            # A client that ends at once may not get to print that it was connected.
            continue
        # Events come from another thread: where they stand among the answers is chance.
        if line.startswith("WatchedEvent"):
            events.append(line)
        elif line not in ("", "WATCHER::"):
            lines.append(line.rstrip())
    # Neither have identities.
    for at, line in enumerate(lines):
        if line == "Auth scheme: User":
            end = at + 1
            while end < len(lines) and re.match(r"(ip|digest|sasl|x509): ", lines[end]):
                end += 1
            lines[at + 1:end] = sorted(lines[at + 1:end])
    return "\n".join(lines + ["-- events"] + events) + "\n"


@pytest.fixture
def empty(cluster):
    """The tree as a new server has it."""
    with Raw(cluster[0].address) as raw:
        raw.auth("digest", SUPER.encode())
        raw.sync()

        def remove(path):
            for name in raw.children(path):
                remove(f"{path}/{name}")
            raw.delete(path)

        for name in raw.children("/"):
            if name != "zookeeper":
                remove(f"/{name}")
        for name in raw.children("/zookeeper/quota"):
            remove(f"/zookeeper/quota/{name}")


@pytest.mark.parametrize("version", ["3.8.0", "3.9.3"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_script(cluster, empty, request, version, script):
    done = zkcli(version, cluster[0].address, (HERE / "scripts" / f"{script}.txt").read_text())
    got = normal(done.stdout) + f"-- exit {done.returncode}\n"
    expected = HERE / "expected" / f"{script}-{version}.txt"
    if request.config.getoption("--record"):
        expected.write_text(got)
    want = expected.read_text()
    assert got == want, "\n" + "\n".join(difflib.unified_diff(
        want.splitlines(), got.splitlines(), "the real server", "this server", lineterm="", n=2))


@pytest.mark.parametrize("version", ["3.8.0", "3.9.3"])
def test_one_shot_commands_and_their_exit_codes(cluster, version):
    address = cluster[0].address
    made = zkcli(version, address, arguments=["create", f"/shot-{version}", "data"])
    assert made.returncode == 0 and f"Created /shot-{version}" in made.stdout
    read = zkcli(version, address, arguments=["get", f"/shot-{version}"])
    assert read.returncode == 0 and "\ndata\n" in read.stdout
    gone = zkcli(version, address, arguments=["get", "/none"])
    assert gone.returncode == 1 and "Node does not exist: /none" in gone.stdout


@pytest.mark.parametrize("version", ["3.8.0", "3.9.3"])
def test_config(cluster, version):
    shown = zkcli(version, cluster[0].address, arguments=["config"]).stdout
    members = re.findall(r"^server\.(\d)=127\.0\.0\.1:\d+(?::\d+)?:participant", shown, re.M)
    if len(cluster) == 3:
        assert members == ["1", "2", "3"]
        assert re.search(r"^version=[0-9a-f]+$", shown, re.M)
