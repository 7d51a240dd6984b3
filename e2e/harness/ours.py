"""Polyport, started with a configuration that means the same as `real.py`'s."""

from .certs import certificates
from .node import Node
from .paths import polyport_binary


def quoted(value):
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def truth(value):
    return "true" if value else "false"


class PolyportNode(Node):
    port_names = ("client", "secure", "node", "admin", "metrics")

    def __init__(self, number, folder, ports, settings, peers):
        super().__init__(number, folder, ports)
        self.settings = settings
        self.peers = peers

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "polyport.toml").exists():
            (self.folder / "polyport.toml").write_text(self.toml())
        super().start()

    def audit_file(self):
        return self.data_folder() / "zookeeper_audit.log"

    def toml(self):
        s = self.settings
        words = ", ".join(quoted(w) for w in s.four_letter_words)
        lines = [
            f"data_dir = {quoted(self.data_folder())}",
            "[node]",
            f"id = {self.number}",
            f"listen = {quoted(f'{self.host}:' + str(self.ports['node']))}",
            "[zookeeper]",
            f"listen = {quoted(self.address)}",
            f"tick_time_ms = {s.tick_time_ms}",
            f"max_session_timeout_ms = {s.max_session_timeout_ms}",
            f"max_client_connections = {s.max_client_connections}",
            f"four_letter_words = [{words}]",
            f"container_check_interval_ms = {s.container_check_interval_ms}",
            f"super_digest = {quoted(s.super_digest)}",
            f"read_only_mode = {truth(s.read_only_mode)}",
            f"enforce_quota = {truth(s.enforce_quota)}",
            f"reconfig_enabled = {truth(s.reconfig_enabled)}",
            f"leader_serves = {truth(s.leader_serves)}",
            f"flush_delay_ms = {s.flush_delay_ms}",
            f"eager_acl_check = {truth(s.eager_acl_check)}",
            f"snap_size_limit_kib = {s.snap_size_limit_kib}",
            f"log_size_limit_kib = {s.log_size_limit_kib}",
            "ttl_enabled = true",
            f"audit_enable = {truth(s.audit)}",
        ]
        if s.tls:
            certs = certificates()
            lines += [
                f"secure_listen = {quoted(self.secure_address)}",
                "[zookeeper.tls]",
                f"cert = {quoted(certs / 'server.pem')}",
                f"key = {quoted(certs / 'server.key')}",
                f"ca = {quoted(certs / 'ca.pem')}",
                'client_auth = "need"',
            ]
        lines.append("[zookeeper.sasl_users]")
        lines += [f"{name} = {quoted(word)}" for name, word in s.sasl_users.items()]
        lines += [
            "[admin]",
            f"listen = {quoted(f'{self.host}:' + str(self.ports['admin']))}",
            f"rate_limiter_interval_ms = {s.transfer_interval_ms}",
            "[kafka]",
            "listeners = []",
            "[metrics]",
            f"listen = {quoted(f'{self.host}:' + str(self.ports['metrics']))}",
        ]
        if len(self.peers) > 1 or s.observers:
            lines += ["[cluster]", 'secret = "e2e"',
                      "initial_limit_ticks = 50", "sync_limit_ticks = 25"]
            for number, ports in self.peers.items():
                lines += [
                    "[[cluster.nodes]]",
                    f"id = {number}",
                    f"address = {quoted(f'{self.host}:' + str(ports['node']))}",
                    f"zookeeper = {quoted(f'{self.host}:' + str(ports['client']))}",
                ]
                if number in s.observers:
                    lines.append('role = "observer"')
        return "\n".join(lines) + "\n"

    def snapshots(self):
        return list((self.data_folder() / "snapshot").glob("snapshot.*[0-9a-f]"))

    def logs(self):
        # The spare is to become one.
        return [f for f in (self.data_folder() / "log").iterdir() if f.name != "log.spare"]

    def arguments(self):
        return [str(polyport_binary()), "serve", "--config", str(self.folder / "polyport.toml")]
