"""Sessions: timeouts, reconnection, expiry, states."""

import threading
import time

import pytest
from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, SessionExpiredError
from kazoo.protocol.states import KeeperState

from harness.raw import EPHEMERAL
from harness.wait import until


def test_ids_and_passwords(client):
    session, password = client.client_id
    assert session != 0 and len(password) == 16


def test_ids_differ(connect):
    assert len({connect().client_id[0] for _ in range(5)}) == 5


def test_reconnection_keeps_the_session(client, base):
    client.create(base + "/e", ephemeral=True)
    session = client.client_id
    client._connection._socket.shutdown(2)
    client.retry(client.exists, base)
    assert client.client_id == session
    assert client.exists(base + "/e").ephemeralOwner == session[0]


def test_reattach_by_id_and_password(connect, base, raw):
    first = raw()
    first.create(base + "/e", mode=EPHEMERAL)
    first.drop()
    second = connect(client_id=(first.session, first.password))
    assert second.client_id[0] == first.session
    assert second.exists(base + "/e").ephemeralOwner == first.session
    second.delete(base + "/e")


def test_a_wrong_password_gets_a_new_session(connect, raw, base):
    first = raw()
    first.create(base + "/e", mode=EPHEMERAL)
    lost = threading.Event()
    second = connect(client_id=(first.session, b"x" * 16), start=False)
    second.add_listener(lambda state: lost.set() if state == KazooState.LOST else None)
    second.start(15)
    assert second.client_id[0] != first.session
    # The attempt cost the owner its connection, not its session.
    again = raw(session=first.session, password=first.password)
    assert again.session == first.session
    assert again.exists(base + "/e").ephemeral_owner == first.session


def test_an_expired_session_loses_its_ephemerals(client, base, raw):
    dying = raw(timeout_ms=1000)
    dying.create(base + "/e", mode=EPHEMERAL)
    client.sync(base)
    gone = threading.Event()
    assert client.exists(base + "/e", watch=lambda _: gone.set())
    start = time.monotonic()
    dying.drop()
    assert gone.wait(10)
    assert 0.5 < time.monotonic() - start < 5
    assert client.exists(base + "/e") is None


def test_pings_keep_a_session(connect, base):
    idle = connect(timeout=1.0)
    idle.create(base + "/e", ephemeral=True)
    session = idle.client_id[0]
    time.sleep(2.5)
    assert idle.client_id[0] == session and idle.exists(base + "/e")


def test_expiry_is_told_and_a_new_session_follows(connect, end_session, base):
    states = []
    victim = connect(timeout=1.0)
    victim.add_listener(states.append)
    old = victim.client_id
    end_session(old)
    until(lambda: KazooState.LOST in states, 15, "the loss")
    until(lambda: states[-1] == KazooState.CONNECTED, 15, "the new session")
    assert victim.client_id[0] != old[0]
    assert victim.retry(victim.exists, base)


def test_states_in_order(connect):
    states = []
    c = connect(start=False)
    c.add_listener(states.append)
    c.start(15)
    c._connection._socket.shutdown(2)
    until(lambda: states.count(KazooState.CONNECTED) == 2, 10)
    c.stop()
    assert states == [KazooState.CONNECTED, KazooState.SUSPENDED, KazooState.CONNECTED, KazooState.LOST]
    assert c.client_state == KeeperState.CLOSED


def test_requests_in_flight_are_lost_with_the_connection(connect, base):
    """A fast server may have answered all of them before the connection breaks: then once more."""
    lost = 0
    for _ in range(20):
        c = connect(connection_retry=None)
        pending = [c.get_async(base) for _ in range(500)]
        c._connection._socket.shutdown(2)
        for request in pending:
            try:
                request.get(10)
            except (ConnectionLoss, SessionExpiredError):
                lost += 1
        if lost:
            return
    pytest.fail("no request was lost in 20 broken connections")


def test_restart_gives_a_new_session(client):
    old = client.client_id[0]
    client.restart()
    assert client.client_id[0] != old


def test_stop_removes_ephemerals_at_once(client, connect, base):
    other = connect()
    for i in range(50):
        other.create(f"{base}/{i}", ephemeral=True)
    other.stop()
    client.sync(base)
    assert client.get_children(base) == []


def test_the_timeout_is_negotiated(connect, cluster):
    greedy = connect(timeout=3600)
    assert greedy._session_timeout == 3600 * 1000 or greedy._connection is not None
    assert greedy.connected


def test_read_only_clients_get_a_full_session_of_a_healthy_server(connect, base):
    c = connect(read_only=True)
    assert c.client_state == KeeperState.CONNECTED
    c.set(base, b"x")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restarted_server_keeps_sessions_and_data(restartable, connect, base, how):
    cluster = restartable
    c = connect(timeout=20)
    c.create(base + "/p", b"persistent")
    c.create(base + "/e", b"ephemeral", ephemeral=True)
    zxid = c.exists(base + "/e").czxid
    session = c.client_id[0]
    for node in cluster:
        getattr(node, how)()
    for node in cluster:
        node.start()
    for node in cluster:
        node.wait_ready()
    assert c.retry(c.get, base + "/p")[0] == b"persistent"
    value, stat = c.retry(c.get, base + "/e")
    assert value == b"ephemeral" and stat.ephemeralOwner == session and stat.czxid == zxid
    assert c.client_id[0] == session


def test_nothing_acknowledged_is_lost_by_a_kill(restartable, connect, base):
    c = connect(timeout=20)
    acknowledged, stop = [], threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            try:
                c.create(f"{base}/{i:06d}")
                acknowledged.append(f"{i:06d}")
                i += 1
            except Exception:
                return

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(acknowledged) > 200, 20)
    for node in restartable:
        node.kill()
    stop.set()
    for node in restartable:
        node.start()
    for node in restartable:
        node.wait_ready()
    writer.join(20)
    c.retry(c.sync, base)
    names = set(c.retry(c.get_children, base))
    assert not [name for name in acknowledged if name not in names]
