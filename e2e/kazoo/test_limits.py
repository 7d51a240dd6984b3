"""Large data, many children, long names, quotas."""

import pytest
from kazoo.exceptions import ConnectionLoss, NoNodeError, SessionExpiredError

from harness.wait import until

JUTE_MAX_BUFFER = 1048575


def test_a_megabyte_less_a_little(client, base):
    value = bytes(range(256)) * 4000
    client.create(base + "/big", value)
    assert client.get(base + "/big")[0] == value
    assert client.exists(base + "/big").data_length == len(value)


def test_the_largest_frame_is_taken(client, base):
    # xid, op, path, data's length, version: what a set's frame has besides its data.
    overhead = 4 + 4 + 4 + len(base) + 4 + 4
    value = b"x" * (JUTE_MAX_BUFFER - overhead)
    assert client.set(base, value).data_length == len(value)


def test_over_the_limit_closes_the_connection(connect, base):
    victim = connect(connection_retry=None)
    with pytest.raises((ConnectionLoss, SessionExpiredError)):
        victim.set_async(base, b"x" * (JUTE_MAX_BUFFER + 1)).get(10)


def test_over_the_limit_hurts_nobody_else(client, connect, base):
    victim = connect()
    try:
        victim.set_async(base, b"x" * (2 * JUTE_MAX_BUFFER)).get(10)
    except (ConnectionLoss, SessionExpiredError):
        pass
    assert client.get(base)[0] == b""
    until(lambda: victim.connected, 10, "the reconnection")
    assert victim.retry(victim.set, base, b"small").version == 1


def test_a_session_survives_its_own_oversized_request(connect, base):
    victim = connect()
    session = victim.client_id[0]
    victim.create(base + "/mine", ephemeral=True)
    with pytest.raises((ConnectionLoss,)):
        victim.set_async(base, b"x" * (JUTE_MAX_BUFFER + 100)).get(10)
    assert victim.retry(victim.exists, base + "/mine").ephemeralOwner == session
    assert victim.client_id[0] == session


def test_ten_thousand_children(client, base):
    results = [client.create_async(f"{base}/child-{i:05d}") for i in range(10000)]
    for result in results:
        result.get(40)
    assert sorted(client.get_children(base)) == [f"child-{i:05d}" for i in range(10000)]
    assert client.exists(base).numChildren == 10000
    results = [client.delete_async(f"{base}/child-{i:05d}") for i in range(10000)]
    for result in results:
        result.get(40)
    stat = client.exists(base)
    assert stat.numChildren == 0 and stat.cversion == 20000


def test_a_long_name(client, base):
    name = "n" * 4000
    client.create(f"{base}/{name}")
    assert client.get_children(base) == [name]


def test_a_deep_path(client, base):
    path = base + "/d" * 100
    client.ensure_path(path)
    assert client.exists(path)


def test_many_sessions_on_one_server(connect, base):
    clients = [connect(start=False) for _ in range(60)]
    for event in [c.start_async() for c in clients]:
        assert event.wait(20)
    made = [c.create_async(f"{base}/s", ephemeral=True, sequence=True) for c in clients]
    assert len({r.get(10) for r in made}) == 60
    assert len({c.client_id[0] for c in clients}) == 60


def test_a_hard_count_quota(client, base):
    quota = "/zookeeper/quota" + base
    client.ensure_path(quota)
    client.create(quota + "/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3")
    client.create(quota + "/zookeeper_stats", b"count=1,bytes=0")
    client.create(base + "/1")
    client.create(base + "/2")
    with pytest.raises(Exception) as refused:
        client.create(base + "/3")
    assert "-125" in repr(refused.value) or "QuotaExceeded" in repr(refused.value) \
        or refused.value.args == (-125,) or getattr(refused.value, "code", None) == -125


def test_a_quota_keeps_its_statistics(client, base):
    quota = "/zookeeper/quota" + base
    client.ensure_path(quota)
    client.create(quota + "/zookeeper_limits", b"count=1000,bytes=1000000")
    client.create(quota + "/zookeeper_stats", b"count=1,bytes=0")
    client.create(base + "/a", b"12345")
    client.create(base + "/b", b"1")
    client.set(base + "/b", b"123")
    client.delete(base + "/a")
    stats = client.get(quota + "/zookeeper_stats")[0].decode()
    assert "count=2" in stats and "bytes=3" in stats


def test_reading_a_quota_that_is_not_set(client, base):
    with pytest.raises(NoNodeError):
        client.get("/zookeeper/quota" + base + "/zookeeper_limits")
