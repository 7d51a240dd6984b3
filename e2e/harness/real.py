"""The real ZooKeeper 3.9.3: the oracle every test is proven against first."""

from .certs import PASSWORD, certificates
from .node import Node
from .paths import JARS

LOGBACK = """<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5p [%t:%C{1}@%L] - %m%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
"""

# The appender of the logback.xml that ZooKeeper ships, without its rolling.
AUDIT = """<configuration>
  <appender name="audit" class="ch.qos.logback.core.FileAppender">
    <file>{file}</file>
    <encoder><pattern>%d{{ISO8601}} %p %c{{2}}: %m%n</pattern></encoder>
  </appender>
  <logger name="org.apache.zookeeper.audit.Slf4jAuditLogger" additivity="false" level="INFO">
    <appender-ref ref="audit"/>
  </logger>
"""

JVM = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8"]


def classpath(folder):
    return f"{folder}:{JARS}/*"


class RealNode(Node):
    port_names = ("client", "secure", "quorum", "election", "admin", "metrics")

    def __init__(self, number, folder, ports, settings, peers):
        super().__init__(number, folder, ports)
        self.settings = settings
        self.peers = peers

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_folder().mkdir(exist_ok=True)
        (self.data_folder() / "myid").write_text(f"{self.number}\n")
        # Reconfiguration rewrites the file; a restart must not undo that.
        if not (self.folder / "zoo.cfg").exists():
            (self.folder / "zoo.cfg").write_text(self.zoo_cfg())
            (self.folder / "logback.xml").write_text(self.logback())
            (self.folder / "jaas.conf").write_text(self.jaas())
        super().start()

    def audit_file(self):
        return self.folder / "audit.log"

    def logback(self):
        if not self.settings.audit:
            return LOGBACK
        return LOGBACK.replace("<configuration>\n", AUDIT.format(file=self.audit_file()))

    def jaas(self):
        users = "".join(f'\n  user_{n}="{p}"' for n, p in self.settings.sasl_users.items())
        return ("Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required"
                f"{users};\n}};\n")

    def zoo_cfg(self):
        s = self.settings
        lines = [
            f"tickTime={s.tick_time_ms}",
            "initLimit=50",
            "syncLimit=25",
            f"dataDir={self.data_folder()}",
            f"clientPortAddress={self.host}",
            f"clientPort={self.ports['client']}",
            f"maxClientCnxns={s.max_client_connections}",
            f"maxSessionTimeout={s.max_session_timeout_ms}",
            "4lw.commands.whitelist=" + ",".join(s.four_letter_words),
            f"admin.serverAddress={self.host}",
            f"admin.serverPort={self.ports['admin']}",
            f"reconfigEnabled={str(s.reconfig_enabled).lower()}",
            f"enforceQuota={str(s.enforce_quota).lower()}",
            f"localSessionsEnabled={str(s.local_sessions).lower()}",
            f"localSessionsUpgradingEnabled={str(s.local_sessions).lower()}",
            f"leaderServes={'yes' if s.leader_serves else 'no'}",
            "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        ]
        if s.audit:
            lines.append("audit.enable=true")
        if s.metrics:
            lines += [
                "metricsProvider.className="
                "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
                f"metricsProvider.httpHost={self.host}",
                f"metricsProvider.httpPort={self.ports['metrics']}",
                "metricsProvider.exportJvmInfo=true",
            ]
        if s.tls:
            certs = certificates()
            lines += [
                "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
                f"secureClientPortAddress={self.host}",
                f"secureClientPort={self.ports['secure']}",
                f"ssl.keyStore.location={certs / 'server-all.pem'}",
                "ssl.keyStore.type=PEM",
                f"ssl.trustStore.location={certs / 'ca.pem'}",
                "ssl.trustStore.type=PEM",
            ]
        if len(self.peers) > 1 or s.observers:
            for number, ports in self.peers.items():
                role = "observer" if number in s.observers else "participant"
                lines.append(
                    f"server.{number}={self.host}:{ports['quorum']}:{ports['election']}:{role};"
                    f"{self.host}:{ports['client']}"
                )
            if self.number in s.observers:
                lines.append("peerType=observer")
            # The client port then belongs to the server's own line only.
            lines = [x for x in lines if not x.startswith(("clientPort=", "clientPortAddress="))]
        return "\n".join(lines) + "\n"

    def snapshots(self):
        return list((self.data_folder() / "version-2").glob("snapshot.*"))

    def logs(self):
        return list((self.data_folder() / "version-2").glob("log.*"))

    def arguments(self):
        s = self.settings
        return [
            "java", *JVM, "-cp", classpath(self.folder),
            "-Dzookeeper.extendedTypesEnabled=true",
            f"-Dzookeeper.DigestAuthenticationProvider.superDigest={s.super_digest}",
            f"-Dznode.container.checkIntervalMs={s.container_check_interval_ms}",
            f"-Dzookeeper.enableEagerACLCheck={str(s.eager_acl_check).lower()}",
            f"-Dzookeeper.snapSizeLimitInKb={s.snap_size_limit_kib}",
            f"-Dzookeeper.txnLogSizeLimitInKb={s.log_size_limit_kib or -1}",
            f"-Dreadonlymode.enabled={str(s.read_only_mode).lower()}",
            f"-Djava.security.auth.login.config={self.folder / 'jaas.conf'}",
            f"-Dlogback.configurationFile={self.folder / 'logback.xml'}",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            str(self.folder / "zoo.cfg"),
        ]


__all__ = ["RealNode", "classpath", "JVM", "PASSWORD"]
