"""Keys of the configuration whose effect shows at the protocol or in the data directory."""

import signal

import pytest

from harness.cluster import Cluster
from harness.raw import (
    CREATE, DELETE, NO_AUTH, SET_ACL, SET_DATA, Closed, Raw, acl, buffer, i32, text,
)
from harness.settings import Settings
from harness.wait import until

NOT_SERVING = "This ZooKeeper instance is not currently serving requests\n"
READ_ONLY = ((1, "world", "anyone"),)


def serving(nodes):
    return [node for node in nodes if node.mode() == "follower"]


def answer(node, word):
    try:
        return node.words(word)
    except OSError:
        return None


@pytest.mark.ensemble
@pytest.mark.timeout(180)
def test_a_leader_that_does_not_serve_leaves_clients_to_the_others(server_kind):
    cluster = Cluster(server_kind, 3, Settings(leader_serves=False), "leader-serves")
    try:
        for node in cluster:
            node.start()
        until(lambda: len(serving(cluster)) == 2, 60, "two that follow")
        followers = serving(cluster)
        leader = next(node for node in cluster if node not in followers)
        until(lambda: answer(leader, "srvr") == NOT_SERVING, 30, "the leader's word")
        assert leader.words("isro") == "null"
        assert leader.words("ruok") == "imok"
        with pytest.raises((Closed, OSError)):
            Raw(leader.address)
        clients = {node.number: Raw(node.address, timeout_ms=30000) for node in followers}
        clients[followers[0].number].create("/before")
        leader.kill()
        until(lambda: len(serving(followers)) == 1, 60, "one that follows the other")
        remaining = serving(followers)[0]
        successor = next(node for node in followers if node is not remaining)
        until(lambda: answer(successor, "srvr") == NOT_SERVING, 30, "its successor's word")
        assert clients[successor.number].is_closed()
        with pytest.raises((Closed, OSError)):
            Raw(successor.address)
        with Raw(remaining.address) as client:
            client.sync("/before")
            assert client.exists("/before")
            client.create("/after")
    finally:
        cluster.stop()


@pytest.mark.ensemble
@pytest.mark.parametrize("eager", [True, False])
def test_an_eager_check_keeps_forbidden_writes_out_of_the_log(make_cluster, eager):
    cluster = make_cluster(nodes=3, settings=Settings(eager_acl_check=eager), name="eager")
    try:
        for node in cluster:
            with Raw(node.address) as c:
                top = f"/on-{node.number}"
                c.create(top)
                c.create(top + "/x")
                c.call(SET_ACL, text(top) + acl(READ_ONLY) + i32(-1))
                # What the node checks by is its own copy.
                c.sync(top)
                before = c.set(top + "/x", b"before").mzxid
                refused = [
                    (CREATE, text(top + "/y") + buffer(b"") + acl() + i32(0)),
                    (SET_DATA, text(top) + buffer(b"") + i32(-1)),
                    (DELETE, text(top + "/x") + i32(-1)),
                    (SET_ACL, text(top) + acl() + i32(-1)),
                ]
                for op, body in refused:
                    assert c.error(op, body) == NO_AUTH
                after = c.set(top + "/x", b"after").mzxid
                assert after - before == (1 if eager else 1 + len(refused))
    finally:
        cluster.stop()


def test_a_second_signal_ends_a_server_at_once(make_cluster, server_kind):
    if server_kind == "zookeeper":
        pytest.skip("a JVM that stops goes on stopping")
    cluster = make_cluster(nodes=1, settings=Settings(flush_delay_ms=8000), name="second-signal")
    try:
        node = cluster[0]
        client = Raw(node.address)
        # Sent less than a flush delay after the session was made, it holds the stop up for the rest.
        client.send(CREATE, text("/late") + buffer(b"") + acl() + i32(0))
        until(lambda: "Outstanding: 1" in node.words("srvr"), 5, "the write's arrival")
        node.process.send_signal(signal.SIGTERM)
        until(lambda: "a second signal ends the node at once" in node.log.read_text(), 5, "the stop")
        assert node.process.poll() is None
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(3) == 1
        assert "told to stop a second time" in node.log.read_text()
    finally:
        cluster.stop()


@pytest.mark.parametrize("limit, files", [
    ({"snap_size_limit_kib": 64}, "snapshots"), ({"log_size_limit_kib": 64}, "logs"),
])
def test_the_size_of_the_log_is_limited(make_cluster, limit, files):
    cluster = make_cluster(nodes=1, settings=Settings(**limit), name="-".join(limit))
    try:
        count = lambda: len(getattr(cluster[0], files)())
        with Raw(cluster[0].address) as c:
            c.create("/large")
            before = count()
            # Far less than this is allowed by default.
            for _ in range(10):
                c.set("/large", b"x" * 20000)
            until(lambda: count() > before, 20, f"one more of the {files}")
    finally:
        cluster.stop()
