"""Runs the same command lines through Kafka's own tools and ours, against one broker, and compares.

    compare.py --server 127.0.0.1:9092 --jars DIR_OF_KAFKA_JARS --ours DIR_OF_OUR_TOOLS
               [--record FILE | --against FILE] [--only PATTERN] commands/topics.txt …

A command line is run by a shell, first with Kafka's tools in its PATH and then with ours. {s} is the
server, {p} a prefix for names that differs between the two, {t} a directory of its own. Output, errors
and exit codes are compared; ids, times, addresses and the prefix are replaced by their kind before,
stack traces and the tables of options are left out. A line that begins with `~` is run but its errors
are not compared; one that begins with `%` is sorted first. Prints the differences command by command;
exit code 1 if there is one. --record writes what Kafka's tools printed; --against reads it instead of running them again.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile

CLASSES = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer.sh": "kafka.tools.ConsoleProducer",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records.sh": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs.sh": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions.sh": "kafka.admin.BrokerApiVersionsCommand",
    "kafka-leader-election.sh": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-acls.sh": "kafka.admin.AclCommand",
    "kafka-dump-log.sh": "kafka.tools.DumpLogSegments",
    "kafka-producer-perf-test.sh": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test.sh": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-cluster.sh": "org.apache.kafka.tools.ClusterTool",
    "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
}

LOG4J = """log4j.rootLogger=WARN, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.appender.stderr.Target=System.err
"""


def make_real_tools(directory, jars):
    """A script for each tool, as bin/*.sh of a Kafka does it."""
    properties = os.path.join(directory, "tools-log4j.properties")
    with open(properties, "w") as file:
        file.write(LOG4J)
    for name, main in CLASSES.items():
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(
                "#!/bin/sh\nexec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
                f"-Dlog4j.configuration=file:{properties} -cp '{jars}/*' {main} \"$@\"\n"
            )
        os.chmod(path, 0o755)


def run(command, tools, server, prefix):
    with tempfile.TemporaryDirectory() as own:
        line = command.replace("{s}", server).replace("{p}", prefix).replace("{t}", own)
        environment = dict(os.environ, PATH=tools + ":" + os.environ["PATH"], TZ="UTC")
        done = subprocess.run(
            ["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return tuple(text.replace(own, "DIR") for text in (done.stdout, done.stderr)) + (done.returncode,)


def normalised(text, prefix, server):
    text = text.replace(prefix, "PREFIX").replace(server, "SERVER")
    text = re.sub(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]", "[TIME]", text, flags=re.M)
    text = re.sub(r"TopicId: [\w-]{22}", "TopicId: ID", text)
    text = re.sub(r"(Create|LogAppend)Time:\d{13}", r"\1Time:MS", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"console-consumer-\d+", "console-consumer-N", text)
    text = re.sub(r"correlation id \d+", "correlation id N", text)
    if "NEW-OFFSET" in text or "PARTITION       STATUS" in text:
        # Kafka 3.9 prints these tables without ends of lines.
        text = " ".join(text.split())
    lines = []
    in_options = False
    for line in text.split("\n"):
        if re.match(r"^Option( \(\* = required\))? +Description", line):
            in_options = True
        if in_options or re.match(r"^\s+at |^\s+\.\.\. \d+ more", line):
            continue
        lines.append(re.sub(r"\s+\(org\.apache\.kafka\.tools\.\w+\)$|^ ?\(\S+\)$", "", line.rstrip()))
    # A stack trace ends in the name of the logger, ours has nothing in its place.
    return [line for line in lines if line]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--jars", required=True)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--record")
    parser.add_argument("--against")
    parser.add_argument("--only")
    parser.add_argument("commands", nargs="+")
    options = parser.parse_args()
    commands = []
    for name in options.commands:
        with open(name) as file:
            lines = [line.rstrip("\n") for line in file]
        commands += [line for line in lines if line and not line.startswith("#")]
    tag = f"{os.getpid() % 10000:04}"
    recorded = []
    known = {}
    if options.against:
        with open(options.against) as file:
            for command, *rest in json.load(file):
                known.setdefault(command, []).append(rest)
    differences = 0
    with tempfile.TemporaryDirectory() as real:
        make_real_tools(real, os.path.abspath(options.jars))
        for marked in commands:
            if options.only and not re.search(options.only, marked):
                continue
            command = marked.lstrip("~%")
            marks = marked[: len(marked) - len(command)]
            results = []
            for tools, prefix in ((real, f"r{tag}"), (os.path.abspath(options.ours), f"o{tag}")):
                if not results and known.get(command):
                    prefix, out, err, code = known[command].pop(0)
                else:
                    out, err, code = run(command, tools, options.server, prefix)
                if not results:
                    recorded.append((command, prefix, out, err, code))
                out, err = (normalised(text, prefix, options.server) for text in (out, err))
                if "%" in marks:
                    out = sorted(out)
                err = [] if "~" in marks else err
                results.append(["out: " + line for line in out] + ["err: " + line for line in err]
                               + [f"code: {code}"])
            if results[0] != results[1]:
                differences += 1
                print(f"# {command}")
                for line in difflib.unified_diff(*results, "kafka", "ours", lineterm="", n=1):
                    print("   ", line)
    if options.record:
        with open(options.record, "w") as file:
            json.dump(recorded, file, indent=1)
    print(f"{len(recorded)} commands, {differences} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
