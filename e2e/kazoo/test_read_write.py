"""exists, get, set, delete, children, sync; the stat that goes with them."""

import time

import pytest
from kazoo.exceptions import (
    BadArgumentsError, BadVersionError, NoNodeError, NotEmptyError,
)


def test_exists_of_nothing(client, base):
    assert client.exists(base + "/none") is None


def test_exists_gives_the_stat(client, base):
    client.create(base + "/a", b"12345")
    stat = client.exists(base + "/a")
    assert stat.version == 0 and stat.cversion == 0 and stat.aversion == 0
    assert stat.data_length == stat.dataLength == 5


def test_get_of_nothing(client, base):
    with pytest.raises(NoNodeError):
        client.get(base + "/none")


def test_set_of_nothing(client, base):
    with pytest.raises(NoNodeError):
        client.set(base + "/none", b"")


def test_delete_of_nothing(client, base):
    with pytest.raises(NoNodeError):
        client.delete(base + "/none")


def test_children_of_nothing(client, base):
    with pytest.raises(NoNodeError):
        client.get_children(base + "/none")


def test_set_counts_versions(client, base):
    client.create(base + "/a")
    assert [client.set(base + "/a", b"x").version for _ in range(3)] == [1, 2, 3]


def test_set_of_the_same_value_is_a_new_version(client, base):
    client.create(base + "/a", b"same")
    first = client.exists(base + "/a")
    second = client.set(base + "/a", b"same")
    assert second.version == 1 and second.mzxid > first.mzxid and second.czxid == first.czxid


def test_set_with_the_version(client, base):
    client.create(base + "/a")
    assert client.set(base + "/a", b"1", version=0).version == 1
    with pytest.raises(BadVersionError):
        client.set(base + "/a", b"2", version=0)
    assert client.get(base + "/a")[0] == b"1"


def test_delete_with_the_version(client, base):
    client.create(base + "/a")
    with pytest.raises(BadVersionError):
        client.delete(base + "/a", version=3)
    client.delete(base + "/a", version=0)
    assert client.exists(base + "/a") is None


def test_delete_of_a_parent_is_refused(client, base):
    client.create(base + "/a/b", makepath=True)
    with pytest.raises(NotEmptyError):
        client.delete(base + "/a")


def test_delete_recursive(client, base):
    client.create(base + "/a/b/c", makepath=True)
    client.create(base + "/a/d")
    client.delete(base + "/a", recursive=True)
    assert client.exists(base + "/a") is None


def test_the_root_cannot_be_deleted(client):
    with pytest.raises(BadArgumentsError):
        client.delete("/")


def test_the_root_holds_data(client):
    client.set("/", b"root data")
    assert client.get("/")[0] == b"root data"
    client.set("/", b"")


def test_children_are_names(client, base):
    for name in ("c", "a", "b"):
        client.create(f"{base}/{name}")
    assert sorted(client.get_children(base)) == ["a", "b", "c"]


def test_children_with_stat(client, base):
    client.create(base + "/a")
    names, stat = client.get_children(base, include_data=True)
    assert names == ["a"] and stat.numChildren == 1 and stat.cversion == 1


def test_children_of_a_leaf(client, base):
    assert client.get_children(base) == []


def test_reserved_nodes_are_there(client):
    assert "zookeeper" in client.get_children("/")
    assert sorted(client.get_children("/zookeeper")) == ["config", "quota"]


def test_times_are_now(client, base):
    before = int(time.time() * 1000) - 1000
    client.create(base + "/a")
    stat = client.exists(base + "/a")
    assert before <= stat.ctime == stat.mtime <= before + 60000
    assert abs(stat.created - time.time()) < 60


def test_set_moves_mtime_only(client, base):
    client.create(base + "/a")
    first = client.exists(base + "/a")
    time.sleep(0.005)
    second = client.set(base + "/a", b"x")
    assert second.ctime == first.ctime and second.mtime > first.mtime
    assert second.pzxid == first.pzxid


def test_a_child_moves_pzxid_and_cversion(client, base):
    client.create(base + "/a")
    start = client.exists(base + "/a")
    _, child = client.create(base + "/a/b", include_data=True)
    after = client.exists(base + "/a")
    assert after.cversion == start.cversion + 1 and after.pzxid == child.czxid
    assert after.version == start.version and after.mzxid == start.mzxid
    client.set(base + "/a/b", b"x")
    assert client.exists(base + "/a") == after
    client.delete(base + "/a/b")
    last = client.exists(base + "/a")
    assert last.cversion == after.cversion + 1 and last.pzxid > after.pzxid
    assert last.numChildren == 0


def test_sync_gives_the_path(client, base):
    assert client.sync(base) == base


def test_sync_of_nothing_is_no_error(client, base):
    assert client.sync(base + "/none") == base + "/none"


def test_sync_shows_what_others_wrote(client, connect, base):
    other = connect()
    for i in range(20):
        client.set(base, str(i).encode())
        other.sync(base)
        assert other.get(base)[0] == str(i).encode()


def test_a_chroot_hides_the_rest(rooted, client, base):
    assert rooted.create("/inner", b"in") == "/inner"
    client.sync(base)
    assert client.get(base + "/inner")[0] == b"in"
    assert rooted.get_children("/") == ["inner"]


def test_a_chroot_in_sequential_names(rooted):
    assert rooted.create("/s-", sequence=True) == "/s-0000000000"


def test_a_chroot_that_is_missing(connect, cluster):
    with pytest.raises(NoNodeError):
        connect(cluster.hosts + "/no/such/root").create("/a")


def test_zxids_rise_with_every_write(client, base):
    zxids = []
    for i in range(20):
        zxids.append(client.create(f"{base}/{i}", include_data=True)[1].czxid)
    assert zxids == sorted(set(zxids))


def test_async_results(client, base):
    assert client.create_async(base + "/a", b"1").get(5) == base + "/a"
    assert client.exists_async(base + "/a").get(5).version == 0
    assert client.get_async(base + "/a").get(5)[0] == b"1"
    assert client.set_async(base + "/a", b"2").get(5).version == 1
    assert client.get_children_async(base).get(5) == ["a"]
    assert client.delete_async(base + "/a").get(5) is True
    with pytest.raises(NoNodeError):
        client.get_async(base + "/a").get(5)


def test_a_thousand_mixed_requests_answer_in_order(client, base):
    results = []
    for i in range(250):
        path = f"{base}/{i:04d}"
        for call in (
            client.create_async(path, b"0"),
            client.set_async(path, str(i).encode()),
            client.get_async(path),
            client.delete_async(path) if i % 2 else client.exists_async(path),
        ):
            results.append(call)
    for i in range(250):
        path = f"{base}/{i:04d}"
        create, write, read, last = (results[4 * i + k].get(20) for k in range(4))
        assert create == path and write.version == 1 and read[0] == str(i).encode()
        assert read[1].mzxid == write.mzxid
        assert last is True if i % 2 else last == read[1]
    assert len(client.get_children(base)) == 125


def test_errors_keep_their_place_in_the_pipeline(client, base):
    results = []
    for i in range(100):
        results.append(client.create_async(f"{base}/{i}"))
        results.append(client.create_async(f"{base}/{i}"))
        results.append(client.get_async(f"{base}/{i}/none"))
    for i in range(100):
        assert results[3 * i].get(10) == f"{base}/{i}"
        assert type(results[3 * i + 1].exception or _error(results[3 * i + 1])).__name__ == "NodeExistsError"
        assert type(results[3 * i + 2].exception or _error(results[3 * i + 2])).__name__ == "NoNodeError"


def _error(result):
    try:
        result.get(10)
    except Exception as error:
        return error
    return None


def test_server_version(client):
    assert client.server_version() >= (3, 9)


def test_command(client):
    assert client.command(b"ruok") == "imok"
