"""Free loopback ports out of one range (E2E_PORTS=first-last)."""

import os
import socket

_taken = set()


def free_port():
    """A port nobody listens on and this process has not handed out before."""
    first, last = map(int, os.environ.get("E2E_PORTS", "22810-22899").split("-"))
    for port in range(first, last + 1):
        if port in _taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise RuntimeError(f"no free port between {first} and {last}; set E2E_PORTS")


def give_back(ports):
    _taken.difference_update(ports)
