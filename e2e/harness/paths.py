"""Where things are: the repository, the cache, the binary."""

import os
import pathlib

E2E = pathlib.Path(__file__).resolve().parents[1]
ROOT = E2E.parent
CACHE = ROOT / ".cache"
JARS = CACHE / "zookeeper-3.9.3"
RUNS = CACHE / "e2e-runs"


def polyport_binary():
    """The program under test: POLYPORT_BIN, or the release build."""
    named = os.environ.get("POLYPORT_BIN")
    if named:
        return pathlib.Path(named)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "polyport"
