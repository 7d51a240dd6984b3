"""What a cluster is started with, the same for both kinds of server."""

import dataclasses

# "super:test", and what DigestAuthenticationProvider.generateDigest makes of it.
SUPER = "super:test"
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="


@dataclasses.dataclass
class Settings:
    """Short times, so that no test waits long for a session's end."""

    tick_time_ms: int = 200
    # Far above 20 ticks: clients on a busy machine must not lose their sessions by chance.
    max_session_timeout_ms: int = 40000
    container_check_interval_ms: int = 300
    super_digest: str = SUPER_DIGEST
    four_letter_words: tuple = ("*",)
    sasl_users: dict = dataclasses.field(
        default_factory=lambda: {
            "super": "super_secret", "jaasuser": "jaas_password", "other": "other_password",
        }
    )
    tls: bool = False
    read_only_mode: bool = True
    enforce_quota: bool = True
    reconfig_enabled: bool = True
    max_client_connections: int = 0
    local_sessions: bool = False
    metrics: bool = False
    leader_serves: bool = True
    # Of ours only.
    flush_delay_ms: int = 0
    eager_acl_check: bool = False
    snap_size_limit_kib: int = 4 << 20
    log_size_limit_kib: int = 0
    observers: tuple = ()
    # Between two snapshots or restores by the admin server; the real one's comes from its default.
    transfer_interval_ms: int = 300_000
    audit: bool = False
