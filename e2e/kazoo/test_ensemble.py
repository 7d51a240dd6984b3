"""Three nodes: one tree, seen through any of them, one loss survived."""

import time

import pytest

from harness.wait import until

pytestmark = [pytest.mark.ensemble, pytest.mark.timeout(120)]


def test_a_write_is_seen_through_every_node(connect, cluster, base):
    writer = connect(cluster[0].address)
    writer.set(base, b"everywhere")
    for node in cluster:
        reader = connect(node.address)
        reader.sync(base)
        assert reader.get(base)[0] == b"everywhere"


def test_a_session_moves_between_nodes(connect, cluster, base):
    first = connect(cluster[0].address)
    first.create(base + "/e", ephemeral=True)
    session = first.client_id
    second = connect(cluster[1].address, client_id=session)
    assert second.client_id[0] == session[0]
    second.sync(base)
    assert second.exists(base + "/e").ephemeralOwner == session[0]


def test_watches_fire_across_nodes(connect, cluster, base):
    seen = []
    watcher, writer = connect(cluster[1].address), connect(cluster[2].address)
    watcher.sync(base)
    watcher.get(base, watch=seen.append)
    writer.set(base, b"x")
    until(lambda: seen, 5, "the event")


def test_followers_answer_conditional_writes(connect, cluster, base):
    clients = [connect(node.address) for node in cluster]
    for version in range(9):
        c = clients[version % 3]
        assert c.set(base, b"x", version=version).version == version + 1


def test_the_loss_of_a_follower_is_survived(connect, restartable, base):
    victim = restartable.followers()[0]
    c = connect()
    victim.kill()
    for i in range(20):
        c.retry(c.set, base, str(i).encode())
    victim.start()
    victim.wait_ready()
    reader = connect(victim.address)
    reader.sync(base)
    assert reader.get(base)[0] == b"19"


def test_the_loss_of_the_leader_is_survived(connect, restartable, base):
    c = connect(timeout=20)
    c.create(base + "/e", ephemeral=True)
    session = c.client_id[0]
    before = c.exists(base + "/e").czxid
    leader = restartable.leader()
    leader.kill()
    start = time.monotonic()
    stat = until(lambda: _try(lambda: c.set(base, b"after")), 30, "a write after the leader's loss")
    print(f"failover: {time.monotonic() - start:.2f} s")
    assert stat.mzxid > before
    assert c.client_id[0] == session and c.exists(base + "/e").ephemeralOwner == session
    leader.start()
    leader.wait_ready()
    reader = connect(leader.address)
    reader.sync(base)
    assert reader.get(base)[0] == b"after"


def _try(call):
    try:
        return call()
    except Exception:
        return None


def test_acknowledged_writes_survive_three_leaders(connect, restartable, base):
    c = connect(timeout=20)
    acknowledged = []
    for _ in range(3):
        for i in range(30):
            name = f"{len(acknowledged):05d}"
            c.retry(c.ensure_path, f"{base}/{name}")
            acknowledged.append(name)
        leader = restartable.leader()
        leader.kill()
        leader.start()
    for node in restartable:
        node.wait_ready()
    for node in restartable:
        reader = connect(node.address)
        reader.sync(base)
        assert sorted(reader.get_children(base)) == acknowledged


def test_a_wiped_follower_comes_back(connect, restartable, base):
    c = connect()
    c.set(base, b"kept")
    victim = restartable.followers()[0]
    victim.wipe()
    victim.start()
    victim.wait_ready()
    reader = connect(victim.address)
    reader.sync(base)
    assert reader.get(base)[0] == b"kept"


def test_an_expiry_is_one_for_all(connect, cluster, raw, base):
    dying = raw(cluster[0].address, timeout_ms=1000)
    dying.create(base + "/e", mode=1)
    clients = [connect(node.address) for node in cluster]
    dying.drop()
    for c in clients:
        until(lambda: c.exists(base + "/e") is None, 10, "the ephemeral's end")
