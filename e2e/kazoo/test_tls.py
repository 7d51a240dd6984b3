"""TLS on the secure port, and the x509 scheme."""

import json
import urllib.request

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.protocol.connection import _CONNECTION_DROP
from kazoo.security import make_acl

from harness.certs import certificates
from harness.raw import Closed, Raw
from harness.settings import Settings


@pytest.fixture(scope="module")
def tls_cluster(make_cluster):
    cluster = make_cluster(settings=Settings(tls=True), name="tls")
    yield cluster
    for node in cluster:
        node.kill()


@pytest.fixture
def secure(tls_cluster):
    made = []

    def make(hosts=None, **options):
        certs = certificates()
        options = {"use_ssl": True, "ca": str(certs / "ca.pem"),
                   "certfile": str(certs / "client.pem"), "keyfile": str(certs / "client.key"),
                   **options}
        client = KazooClient(hosts or tls_cluster.secure_hosts, **options)
        made.append(client)
        client.start(10)
        return client

    yield make
    for client in made:
        client.stop()
        client.close()


def test_reads_and_writes(secure):
    c = secure()
    c.create("/tls-a", b"secret")
    assert c.get("/tls-a")[0] == b"secret"


def test_connections_are_told_apart_by_their_port(tls_cluster, secure):
    node = tls_cluster[0]
    encrypted, plain = secure(node.secure_address), KazooClient(node.address)
    plain.start(10)
    try:
        of = {name: client.client_id[0] for name, client in
              (("secure_connections", encrypted), ("connections", plain))}
        url = f"http://{node.host}:{node.ports['admin']}/commands/connections"
        with urllib.request.urlopen(url) as answer:
            told = json.load(answer)
        for name, session in of.items():
            # Java's numbers are signed.
            assert [c["session_id"] % 2**64 for c in told[name]] == [session % 2**64], name
        assert f"sid=0x{of['connections'] % 2**64:x}" in node.words("cons")
        assert f"sid=0x{of['secure_connections'] % 2**64:x}" not in node.words("cons")
        assert f"secureClientPort={node.ports['secure']}\n" in node.words("conf")
    finally:
        plain.stop()
        plain.close()


def test_large_data(secure):
    c = secure()
    value = bytes(range(256)) * 3900
    c.create("/tls-big", value)
    assert c.get("/tls-big")[0] == value


def test_both_ports_show_the_same_tree(secure, tls_cluster):
    c = secure()
    c.create("/tls-same", b"x")
    with Raw(tls_cluster[0].address) as plain:
        plain.sync()
        assert plain.get("/tls-same")[0] == b"x"


def test_watches(secure):
    import queue
    events = queue.Queue()
    c = secure()
    c.create("/tls-w")
    c.get("/tls-w", watch=events.put)
    c.set("/tls-w", b"x")
    assert events.get(timeout=5).path == "/tls-w"


def test_without_a_certificate_is_refused(tls_cluster):
    stranger = KazooClient(tls_cluster.secure_hosts, use_ssl=True,
                           ca=str(certificates() / "ca.pem"), connection_retry=None)
    try:
        with pytest.raises(Exception):
            stranger.start(3)
    finally:
        stranger.stop()
        stranger.close()


def test_plain_bytes_on_the_secure_port_are_refused(tls_cluster):
    with pytest.raises((Closed, AssertionError, OSError)):
        Raw(tls_cluster[0].secure_address, seconds=5)


def test_the_certificate_is_an_identity(secure, tls_cluster):
    c = secure()
    c.create("/tls-x509", b"x", acl=[make_acl("x509", "CN=client", all=True)])
    assert c.get("/tls-x509")[0] == b"x"
    plain = KazooClient(tls_cluster.hosts)
    plain.start(10)
    try:
        plain.sync("/")
        with pytest.raises(NoAuthError):
            plain.get("/tls-x509")
    finally:
        plain.stop()
        plain.close()


def test_the_session_survives_a_reconnection(secure):
    c = secure()
    session = c.client_id[0]
    c._call(_CONNECTION_DROP, None)
    c.retry(c.exists, "/")
    assert c.client_id[0] == session
