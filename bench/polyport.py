"""How a node of Polyport is configured and started, whatever service is under comparison."""

import os

from service import BenchError


def check(binary):
    """Raises BenchError if there is no program to start."""
    if not binary or not os.access(binary, os.X_OK):
        raise BenchError("no Polyport binary: build one and set POLYPORT_BIN, or --peer-only")


def command(binary, node, nodes, services):
    """Writes the node's file, `services` being the lines of its services; what starts it."""
    lines = [
        f'data_dir = "{node.directory}/data"',
        "[node]",
        f"id = {node.number}",
        f'listen = "127.0.0.1:{node.peer}"',
        "[admin]",
        f'listen = "127.0.0.1:{node.admin}"',
        "[metrics]",
        f'listen = "127.0.0.1:{node.metrics}"',
        *services,
    ]
    if len(nodes) > 1:
        lines += ["[cluster]", 'secret = "a-secret-for-the-bench-only"']
        for other in nodes:
            lines += [
                "[[cluster.nodes]]",
                f"id = {other.number}",
                f'address = "127.0.0.1:{other.peer}"',
            ]
    path = node.directory / "polyport.toml"
    path.write_text("\n".join(lines) + "\n")
    return [binary, "serve", "--config", path]
