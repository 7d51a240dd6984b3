"""Runs the same commands through the real zkCli and ours, against one server, and compares.

    compare_zkcli.py --server 127.0.0.1:2181 --jars DIR_OF_ZOOKEEPER_JARS --ours PATH_TO_BINARY
                     [--commands commands.txt]

ensemble_commands.txt is for a server with reconfigEnabled=true, skipACL=yes, standaloneEnabled=false.

Three passes for each tool: the whole file piped into one session, some commands in one-shot form with
their exit codes, and a second session for what ends it. Zxids, session ids and dates are replaced by
their kind before comparing; error output is compared too. Prints the differences command by command;
exit code 1 if there is one. The real tool breaks echoed lines at 80 columns, prompt included: commands must
be shorter. The server must allow TTL znodes and have /cmp and /p free.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

ONE_SHOT = [
    ["ls", "/"],
    ["ls", "/none"],
    ["get"],
    ["foo"],
    ["create", "/cmp-one", "a b"],
    ["get", "-s", "/cmp-one"],
    ["delete", "/cmp-one"],
    ["create", "-z"],
    ["version", "extra"],
    ["quit"],
    ["history"],
    ["close"],
]

SECOND_SESSION = ["close", "ls /", "history", "printwatches", "connect {server}", "ls /", "quit"]

# Events are printed by another thread, so where they appear between other lines is chance in the real
# tool: they are compared as a sequence of their own.
EVENT = re.compile(r"\nWATCHER::\n\n(WatchedEvent .*)\n")
PROMPT = re.compile(r"^\[zk: .*?\(\w+\) (\d+)\] ", re.M)


def normalise(text):
    text = re.sub(r"^SLF4J:.*\n", "", text, flags=re.M)
    text = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} \d\d \d\d:\d\d:\d\d \S+ \d{4}", "DATE", text)
    text = re.sub(r"([cmp]Zxid = )0x[0-9a-f]+", r"\1ZXID", text)
    text = re.sub(r"(zxid: )\d+", r"\1ZXID", text)
    text = re.sub(r"(ephemeralOwner = 0x)[1-9a-f][0-9a-f]*", r"\1OWNER", text)
    text = re.sub(r"^(version=)?[1-9a-f]0000[0-9a-f]{4}\b", r"\1VERSION", text, flags=re.M)
    # A session that is still connecting when the prompt is printed says so.
    text = re.sub(r"\((CONNECTING|CONNECTED)\)", "(STATE)", text)
    return text


def run(tool, arguments, stdin):
    result = subprocess.run(
        tool + arguments, input=stdin, capture_output=True, text=True, timeout=300
    )
    return EVENT.sub("", normalise(result.stdout)), normalise(result.stderr), result.returncode


def session(tool, server, lines):
    """Output and errors, through one pipe so that they keep their order; events; exit code."""
    result = subprocess.run(
        tool + ["-server", server],
        input="".join(line + "\n" for line in lines),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    text = normalise(result.stdout)
    return EVENT.sub("", text), EVENT.findall(text), result.returncode


def by_command(text):
    parts = PROMPT.split(text)
    return [parts[0]] + parts[2::2]


def compare(title, theirs, ours):
    if theirs == ours:
        return True
    print(f"--- {title}")
    lines = difflib.unified_diff(
        str(theirs).splitlines(), str(ours).splitlines(), "real", "ours", lineterm="", n=1
    )
    print("\n".join(lines))
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--jars", required=True)
    parser.add_argument("--ours", required=True, help="a binary whose first argument may be zkCli.sh")
    parser.add_argument("--commands", default=os.path.join(HERE, "commands.txt"))
    args = parser.parse_args()
    jars = os.path.join(args.jars, "*")
    real = ["java", "-Xmx128m", "-cp", jars, "org.apache.zookeeper.ZooKeeperMain"]
    ours = [args.ours, "zkCli.sh"]
    with open(args.commands) as file:
        lines = file.read().splitlines()

    total, same = 0, 0
    names = {}
    def clean():
        for path in ("/cmp", "/cmp-one", "/p"):
            run(ours, ["-server", args.server, "deleteall", path], "")

    for script in (lines, [line.format(server=args.server) for line in SECOND_SESSION]):
        clean()
        their_text, their_events, their_code = session(real, args.server, script)
        clean()
        our_text, our_events, our_code = session(ours, args.server, script)
        theirs, mine = by_command(their_text), by_command(our_text)
        if len(theirs) != len(mine):
            print(f"!!! {len(theirs)} prompts by the real tool, {len(mine)} by ours")
        for index, pair in enumerate(zip(theirs, mine)):
            title = script[index - 1] if index else "(start)"
            equal = compare(title, *pair)
            total += 1
            same += equal
            names.setdefault(title.split()[0] if title.split() else title, []).append(equal)
        total += 2
        same += compare("events", "\n".join(their_events), "\n".join(our_events))
        same += compare("exit code", their_code, our_code)
    clean()
    real_results = [run(real, ["-server", args.server] + command, "") for command in ONE_SHOT]
    clean()
    our_results = [run(ours, ["-server", args.server] + command, "") for command in ONE_SHOT]
    for command, their, mine in zip(ONE_SHOT, real_results, our_results):
        for what, a, b in zip(("output", "errors", "exit code"), their, mine):
            total += 1
            same += compare(f"one-shot {' '.join(command)}: {what}", a, b)
    print(f"{same} of {total} the same")
    print("byte-identical:", " ".join(sorted(name for name, all_ in names.items() if all(all_))))
    print("different:", " ".join(sorted(name for name, all_ in names.items() if not all(all_))))
    return 0 if same == total else 1


if __name__ == "__main__":
    sys.exit(main())
