"""Runs a command against a fresh cluster: python -m harness.run --server S --nodes N -- COMMAND.

The command finds the cluster in its environment: E2E_CONNECT (host:port,…), E2E_SERVER,
E2E_NODES, E2E_ADMIN and E2E_METRICS (host:port of the first node), E2E_TICK_MS.
"""

import argparse
import os
import signal
import subprocess
import sys

from .cluster import Cluster
from .settings import Settings


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", choices=["polyport", "zookeeper"], default="polyport")
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1)
    parser.add_argument("--tick-ms", type=int, default=Settings.tick_time_ms)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    cluster = Cluster(options.server, options.nodes,
                      Settings(metrics=True, tick_time_ms=options.tick_ms), "run")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    code = 1
    try:
        cluster.start()
        first = cluster[0]
        environment = {
            **os.environ,
            "E2E_CONNECT": cluster.hosts,
            "E2E_SERVER": options.server,
            "E2E_NODES": str(options.nodes),
            "E2E_ADMIN": f"{first.host}:{first.ports['admin']}",
            "E2E_METRICS": f"{first.host}:{first.ports['metrics']}",
            "E2E_TICK_MS": str(options.tick_ms),
        }
        code = subprocess.run(options.command, env=environment, timeout=options.seconds).returncode
    except subprocess.TimeoutExpired:
        print(f"not done after {options.seconds} s", file=sys.stderr)
    finally:
        cluster.stop(keep=code != 0)
        if code:
            print(f"logs kept in {cluster.folder}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
