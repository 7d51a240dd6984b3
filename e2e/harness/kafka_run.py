"""Runs a command against a fresh broker: python -m harness.kafka_run -- COMMAND.

The command finds the broker in KAFKA_BOOTSTRAP (host:port), and in KAFKA_NOT_YET the kinds of tests
that it had better skip. KAFKA_PEER says which broker it is.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys

from .kafka import NOT_YET, make_broker


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    broker = make_broker({"auto.create.topics.enable": "false"}, "run")
    code = 1
    try:
        broker.start().wait_ready()
        environment = {**os.environ, "KAFKA_BOOTSTRAP": broker.address,
                       "KAFKA_NOT_YET": " ".join(NOT_YET)}
        code = subprocess.run(options.command, env=environment, timeout=options.seconds).returncode
    except subprocess.TimeoutExpired:
        print(f"not done after {options.seconds} s", file=sys.stderr)
    finally:
        broker.end()
        if code:
            print(f"logs kept in {broker.folder}", file=sys.stderr)
        else:
            shutil.rmtree(broker.folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
