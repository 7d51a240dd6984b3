"""Free loopback ports out of one range (E2E_PORTS=first-last), shared by all runs on the machine."""

import fcntl
import os
import pathlib
import socket
import tempfile

# A port is ours while we hold its file's lock; the system drops it when the process ends.
_locks = {}


def _lock(port):
    folder = pathlib.Path(tempfile.gettempdir()) / "polyport-e2e-ports"
    folder.mkdir(exist_ok=True)
    file = open(folder / str(port), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    _locks[port] = file
    return True


def _listened_on(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port():
    """A port nobody listens on and no other run has been given."""
    first, last = map(int, os.environ.get("E2E_PORTS", "22810-22899").split("-"))
    for port in range(first, last + 1):
        if port not in _locks and not _listened_on(port) and _lock(port):
            return port
    raise RuntimeError(f"no free port between {first} and {last}; set E2E_PORTS")


def give_back(ports):
    for port in ports:
        file = _locks.pop(port, None)
        if file:
            file.close()
