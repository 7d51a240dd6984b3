"""librdkafka's own integration tests against a cluster of ours: PYTHONPATH=. python kafka/librdkafka_suite/run.py.

`--nodes 3` starts three brokers, as librdkafka's own developers do; `--tests 0081,0103` chooses. Every
test runs as a process of its own. What fails is tried once more, alone, because these tests wait by the
clock; what then still fails must be named in known.txt, and what is named there must fail.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

from harness.kafka import make_broker, make_three
from harness.paths import CACHE, polyport_binary

HERE = os.path.dirname(os.path.abspath(__file__))
BUILT = CACHE / "librdkafka-2.12.1"
# Seconds that a test may take; in the quick mode none is made for more than half of it.
PATIENCE = 150
# Of one test, in the table that the runner prints at its end.
ROW = re.compile(r"(?m)^\|\s*(?P<name>\d{4}_\w+)\s*\|\s*(?P<word>PASSED|FAILED|SKIPPED)\s*\|[^|]*\|[ \t]*(?P<why>.*)")
FAILURE = re.compile(r'### Test "(?P<name>\d{4}_\w+)[^"]*" failed at .*###\n(?P<why>.*)')
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# As librdkafka's own clusters are (tests/cluster_testing.py), as far as it is not about the machine.
PROPERTIES = {
    "auto.create.topics.enable": "true",
    "authorizer.class.name": "kafka.security.authorizer.AclAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 6000,
    "group.consumer.min.session.timeout.ms": 6000,
    "group.consumer.min.heartbeat.interval.ms": 1000,
    "group.consumer.session.timeout.ms": 45000,
    "group.consumer.heartbeat.interval.ms": 3000,
    # Tests that send records of 1970 want to see them again.
    "log.retention.check.interval.ms": 300000,
}


def known():
    """What is known to fail, with the reason."""
    with open(os.path.join(HERE, "known.txt"), encoding="utf-8") as lines:
        entries = (line.split("#")[0].split(None, 1) for line in lines)
        return {entry[0]: entry[1].strip() for entry in entries if entry}


def numbers():
    """Of all tests there are; those above 1000 are for people who watch."""
    files = sorted(os.listdir(BUILT / "tests"))
    found = (re.match(r"(0\d{3})-.*\.(c|cpp)$", name) for name in files)
    return sorted({match.group(1) for match in found if match})


def run(number, environment):
    """The rows of one test and its output."""
    command = ["./test-runner", "-L", "-K", "-Q", "-p1"]
    try:
        done = subprocess.run(command, cwd=BUILT / "tests", env={**environment, "TESTS": number},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"") + b"\nout of time"
    text = COLOURS.sub("", output.decode(errors="replace"))
    rows = {row["name"]: (row["word"], row["why"].strip()) for row in ROW.finditer(text)}
    # A test that fails leaves threads behind, for which the runner ends itself before its table.
    rows |= {row["name"]: ("FAILED", row["why"]) for row in FAILURE.finditer(text)}
    if not rows:
        rows[number] = ("FAILED", "it ended without a result")
    return rows, text


def has_failed(rows):
    return any(word == "FAILED" for word, _ in rows.values())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--tests", help="numbers, with commas")
    parser.add_argument("--jobs", type=int, default=6)
    options = parser.parse_args()
    if not (BUILT / "tests" / "test-runner").exists():
        subprocess.run([os.path.join(HERE, "build.sh"), str(BUILT)], check=True)
    brokers = [make_broker(PROPERTIES, "librdkafka")] if options.nodes == 1 else \
        list(make_three({**PROPERTIES, "default.replication.factor": 3,
                         "offsets.topic.replication.factor": 3,
                         "transaction.state.log.replication.factor": 3,
                         "transaction.state.log.min.isr": 2}, "librdkafka").values())
    failed = 1
    try:
        for broker in brokers:
            broker.start()
        for broker in brokers:
            broker.wait_ready()
        failed = report(brokers, options)
    finally:
        for broker in brokers:
            broker.end()
            if failed:
                print(f"logs kept in {broker.folder}", file=sys.stderr)
            else:
                shutil.rmtree(broker.folder, ignore_errors=True)
    return 1 if failed else 0


def report(brokers, options):
    folder = brokers[0].folder
    tools = folder / "kafka"
    subprocess.run([str(polyport_binary()), "install-tools", str(tools / "bin")], check=True, capture_output=True)
    addresses = ",".join(broker.address for broker in brokers)
    (folder / "test.conf").write_text(f"metadata.broker.list={addresses}\n")
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{BUILT}/src:{BUILT}/src-cpp",
        "RDKAFKA_TEST_CONF": str(folder / "test.conf"),
        "TEST_KAFKA_VERSION": "3.9.1",
        "KAFKA_PATH": str(tools),
        "BROKERS": addresses,
        "ZK_ADDRESS": brokers[0].zookeeper or "",
    }
    wanted = options.tests.split(",") if options.tests else numbers()
    results, again = {}, []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, (rows, _) in zip(wanted, pool.map(lambda n: run(n, environment), wanted)):
            results.update(rows)
            if has_failed(rows):
                again.append(number)
    expected = known()
    for number in again:
        rows, text = run(number, environment)
        for name in [name for name in results if name.startswith(number)]:
            del results[name]
        results.update(rows)
        if has_failed(rows):
            (folder / f"{number}.log").write_text(text)
    failed = 0
    for name, (word, why) in sorted(results.items()):
        if word == "SKIPPED":
            continue
        if word == "FAILED" and name in expected:
            print(f"# known to fail: {name}: {expected[name]}")
            continue
        if word == "PASSED" and name in expected and not options.tests:
            word, why = "FAILED", "it passes: take it out of known.txt"
        failed += word == "FAILED"
        print(f"{'ok' if word == 'PASSED' else 'not ok'} - {name}{' # ' + why if why else ''}")
    passed = sum(word == "PASSED" for word, _ in results.values())
    print(f"{passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
