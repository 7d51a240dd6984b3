"""What each operation answers, to the byte."""

import pytest

from harness.raw import (
    ALL, BAD_VERSION, CHECK, CONTAINER, CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE,
    EPHEMERAL, EPHEMERAL_SEQUENTIAL, EXISTS, GET_ALL_CHILDREN_NUMBER, GET_CHILDREN, GET_CHILDREN2,
    GET_DATA, GET_EPHEMERALS, MULTI_READ, NODE_EXISTS, NO_AUTH, NO_NODE, PING,
    RUNTIME_INCONSISTENCY, SEQUENTIAL, SET_DATA, SYNC, TTL, TTL_SEQUENTIAL, WHO_AM_I,
    acl, buffer, check_op, create_op, delete_op, flag, i32, set_op, text,
)
from harness.settings import SUPER
from harness.wait import until


def test_create_answers_the_path(raw, base):
    assert raw().create(base + "/a") == base + "/a"


def test_create2_answers_path_and_stat(raw, base):
    c = raw()
    path, stat = c.create2(base + "/a", b"abc")
    assert path == base + "/a" and stat == c.exists(path)


@pytest.mark.parametrize("mode", range(4))
def test_every_mode_of_create(raw, base, mode):
    c = raw()
    path, stat = c.create2(base + "/n", mode=mode)
    assert path == base + ("/n0000000000" if mode in (SEQUENTIAL, EPHEMERAL_SEQUENTIAL) else "/n")
    assert stat.ephemeral_owner == (c.session if mode in (EPHEMERAL, EPHEMERAL_SEQUENTIAL) else 0)


def test_null_data_is_kept_as_null(raw, base):
    c = raw()
    c.call(CREATE, text(base + "/a") + i32(-1) + acl() + i32(0))
    value, stat = c.get(base + "/a")
    assert not value and stat.data_length == 0


def test_the_stat_of_a_fresh_node(raw, base):
    c = raw()
    _, stat = c.create2(base + "/a", b"12")
    assert stat.czxid == stat.mzxid == stat.pzxid == c.last_zxid
    assert stat.ctime == stat.mtime
    assert (stat.version, stat.cversion, stat.aversion) == (0, 0, 0)
    assert (stat.data_length, stat.num_children, stat.ephemeral_owner) == (2, 0, 0)


def test_the_stats_of_reserved_nodes(raw):
    c = raw()
    for path, children in (("/zookeeper", 2), ("/zookeeper/quota", None)):
        stat = c.exists(path)
        assert stat.czxid == 0 and stat.ctime == 0
        if children is not None:
            assert stat.num_children == children and stat.cversion == -1 + 1 - 1 + (stat.cversion + 1)
    assert c.exists("/").czxid == 0


def test_every_child_moves_cversion_and_pzxid(raw, base):
    c = raw()
    c.create(base + "/a")
    one = c.exists(base)
    assert (one.cversion, one.num_children, one.pzxid) == (1, 1, c.exists(base + "/a").czxid)
    c.set(base + "/a", b"x")
    assert c.exists(base) == one
    c.delete(base + "/a")
    two = c.exists(base)
    assert (two.cversion, two.num_children) == (2, 0) and two.pzxid == c.last_zxid


def test_get_children2_carries_the_stat(raw, base):
    c = raw()
    c.create(base + "/a")
    body = c.call(GET_CHILDREN2, text(base) + flag(False))
    assert body.texts() == ["a"] and body.stat() == c.exists(base)
    body.end()


def test_sync_answers_the_path(raw, base):
    assert raw().sync(base) == base


def test_whoami_names_the_address(raw):
    body = raw().call(WHO_AM_I)
    infos = body.vector(lambda r: (r.text(), r.text()))
    body.end()
    assert infos == [("ip", "127.0.0.1")]


def test_whoami_names_every_identity(raw):
    c = raw()
    c.auth("digest", b"alice:secret")
    infos = c.call(WHO_AM_I).vector(lambda r: (r.text(), r.text()))
    assert sorted(infos) == [("digest", "alice"), ("ip", "127.0.0.1")]


def test_get_ephemerals(raw, base):
    c, other = raw(), raw()
    for name in ("a", "b"):
        c.create(f"{base}/{name}", mode=EPHEMERAL)
    other.create(base + "/other", mode=EPHEMERAL)

    def ephemerals(connection, prefix):
        return sorted(connection.call(GET_EPHEMERALS, text(prefix)).texts())

    assert ephemerals(c, "/") == ephemerals(c, base) == [base + "/a", base + "/b"]
    assert ephemerals(c, base + "/b") == [base + "/b"]
    assert ephemerals(c, "/none") == []
    assert ephemerals(other, "/") == [base + "/other"]


def test_get_all_children_number(raw, base):
    c = raw()
    for path in ("/a", "/a/b", "/a/b/c", "/d"):
        c.create(base + path)

    def number(path):
        body = c.call(GET_ALL_CHILDREN_NUMBER, text(path))
        value = body.i32()
        body.end()
        return value

    assert number(base) == 4 and number(base + "/a") == 2 and number(base + "/d") == 0
    assert number("/") >= 8


def test_a_container_goes_when_its_last_child_does(raw, base):
    c = raw()
    path, stat = c.create2(base + "/c", mode=CONTAINER, op=CREATE_CONTAINER)
    assert stat.ephemeral_owner == 0 or stat.ephemeral_owner == -(1 << 63)
    c.create(path + "/child")
    c.delete(path + "/child")
    until(lambda: c.exists(path) is None, 10, "the container's end")


def test_a_container_never_used_stays(raw, base):
    c = raw()
    c.create2(base + "/c", mode=CONTAINER, op=CREATE_CONTAINER)
    c.create2(base + "/t", mode=CONTAINER, op=CREATE_CONTAINER)
    c.create(base + "/t/x")
    c.delete(base + "/t/x")
    until(lambda: c.exists(base + "/t") is None, 10)
    assert c.exists(base + "/c")


def test_a_ttl_node_goes_when_idle(raw, base):
    c = raw()
    path, stat = c.create2(base + "/t", mode=TTL, ttl=300)
    assert stat.ephemeral_owner == 0 or stat.ephemeral_owner >> 56 == -1
    c.create2(base + "/long", mode=TTL, ttl=600000)
    until(lambda: c.exists(path) is None, 10, "the TTL node's end")
    assert c.exists(base + "/long")


def test_a_ttl_node_with_children_stays(raw, base):
    c = raw()
    c.create2(base + "/t", mode=TTL, ttl=200)
    c.create(base + "/t/child")
    c.create2(base + "/other", mode=TTL, ttl=400)
    until(lambda: c.exists(base + "/other") is None, 10)
    assert c.exists(base + "/t")


def test_ttl_sequential(raw, base):
    path, _ = raw().create2(base + "/t-", mode=TTL_SEQUENTIAL, ttl=60000)
    assert path == base + "/t-0000000000"


@pytest.mark.parametrize("op", [CREATE, CREATE2])
def test_sequences_follow_the_parents_changes(raw, base, op):
    c = raw()
    c.create(base + "/a")
    c.create(base + "/b")
    c.delete(base + "/b")
    body = c.call(op, text(base + "/s") + buffer(b"") + acl() + i32(SEQUENTIAL))
    # Two creates; a delete does not count.
    assert body.text() == base + "/s0000000002"


def test_multi_of_each_kind(raw, base):
    c = raw()
    c.create(base + "/s")
    c.create(base + "/d")
    answer, results = c.multi([
        create_op(base + "/1"),
        create_op(base + "/2", b"two", op=CREATE2),
        create_op(base + "/3", mode=CONTAINER, op=CREATE_CONTAINER),
        create_op(base + "/4-", mode=SEQUENTIAL),
        set_op(base + "/s", b"new"),
        delete_op(base + "/d"),
        check_op(base + "/s", 1),
    ])
    assert answer.error == 0
    # Containers are answered as create2; the Java client knows no other answer for them.
    assert [r[0] for r in results] == [CREATE, CREATE2, CREATE2, CREATE, SET_DATA, DELETE, CHECK]
    assert results[0][2] == base + "/1"
    assert results[1][2][0] == base + "/2" and results[1][2][1].data_length == 3
    assert results[4][2].version == 1 and results[4][2].mzxid == answer.zxid


def test_multi_with_a_ttl(raw, base):
    from harness.raw import i64
    c = raw()
    kind, body = create_op(base + "/t", mode=TTL, op=CREATE_TTL)
    _, results = c.multi([(kind, body + i64(60000))])
    assert results[0][0] == CREATE2 and results[0][2][0] == base + "/t"


def test_multi_that_fails(raw, base):
    c = raw()
    answer, results = c.multi([
        create_op(base + "/1"), check_op(base, 9), create_op(base + "/2"), delete_op(base + "/none"),
    ])
    assert answer.error == 0
    assert [r[:2] for r in results] == [
        (-1, 0), (-1, BAD_VERSION), (-1, RUNTIME_INCONSISTENCY), (-1, RUNTIME_INCONSISTENCY)]
    assert c.children(base) == []


def test_multi_with_nothing(raw):
    answer, results = raw().multi([])
    assert answer.error == 0 and results == []


def test_multi_with_an_operation_that_has_no_place_there(raw, base):
    c = raw()
    c.send(14, i32(GET_DATA) + flag(False) + i32(-1) + text(base) + flag(False)
           + i32(-1) + flag(True) + i32(-1))
    try:
        assert c.receive().error != 0
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def read_op(op, path):
    return op, text(path) + flag(False)


def test_multi_read(raw, base):
    c = raw()
    c.set(base, b"data")
    c.create(base + "/a")
    c.create(base + "/closed", entries=((ALL, "digest", "nobody:x"),))
    answer, results = c.multi([
        read_op(GET_DATA, base), read_op(GET_CHILDREN, base), read_op(GET_DATA, base + "/none"),
        read_op(GET_CHILDREN, base + "/none"), read_op(GET_DATA, base + "/closed"),
        read_op(GET_DATA, base + "/a"),
    ], op=MULTI_READ)
    assert answer.error == 0
    assert results[0][2][0] == b"data" and results[0][2][1] == c.exists(base)
    assert sorted(results[1][2]) == ["a", "closed"]
    assert [r[1] for r in results[2:5]] == [NO_NODE, NO_NODE, NO_AUTH]
    assert results[5][:2] == (GET_DATA, 0)


def test_config_lists_the_members(raw, cluster):
    value, stat = raw().get("/zookeeper/config")
    lines = value.decode().splitlines()
    if len(cluster) == 1:
        assert lines == [] or lines[-1].startswith("version=")
    else:
        assert len([line for line in lines if line.startswith("server.")]) == 3
        assert lines[-1].startswith("version=")


def test_acl_round_trip(raw, base):
    c = raw()
    entries = [(1, "world", "anyone"), (16, "ip", "127.0.0.1"), (3, "ip", "10.0.0.0/8")]
    c.create(base + "/a", entries=entries)
    acls, stat = c.get_acl(base + "/a")
    assert acls == entries and stat.aversion == 0
    assert c.set_acl(base + "/a", [(31, "ip", "127.0.0.1")]).aversion == 1
    assert c.get_acl(base + "/a")[0] == [(31, "ip", "127.0.0.1")]


def test_duplicate_acl_entries_are_one(raw, base):
    c = raw()
    c.create(base + "/a", entries=[(31, "world", "anyone"), (31, "world", "anyone")])
    assert c.get_acl(base + "/a")[0] == [(31, "world", "anyone")]


def test_replies_come_in_the_order_of_requests(raw, base):
    """1,000 of every kind, pipelined: xids in order, zxids never falling."""
    c = raw()
    kinds = [
        lambda i: (CREATE, text(f"{base}/n{i}") + buffer(b"") + acl() + i32(0)),
        lambda i: (GET_DATA, text(f"{base}/n{i - 1}") + flag(False)),
        lambda i: (SET_DATA, text(base) + buffer(str(i).encode()) + i32(-1)),
        lambda i: (GET_DATA, text(base) + flag(False)),
        lambda i: (EXISTS, text(base + "/none") + flag(True)),
        lambda i: (SYNC, text("/")),
        lambda i: (GET_CHILDREN, text(base) + flag(False)),
        lambda i: (DELETE, text(base + "/none") + i32(-1)),
        lambda i: (CREATE, text(base) + buffer(b"") + acl() + i32(0)),
        lambda i: (PING, b""),
    ]
    sent, errors = [], []
    for i in range(1000):
        op, body = kinds[i % 10](i)
        sent.append(c.send(op, body, -2 if op == PING else None))
        errors.append({4: NO_NODE, 7: NO_NODE, 8: NODE_EXISTS}.get(i % 10, 0))
    answers = [c.receive() for _ in range(1000)]
    assert [a.xid for a in answers] == sent
    assert [a.error for a in answers] == errors
    zxids = [a.zxid for a in answers]
    assert zxids == sorted(zxids)
    for i in range(3, 1000, 10):
        assert answers[i].body.buffer() == str(i - 1).encode()


def test_pipelined_sequences_count_on(raw, base):
    c = raw()
    for _ in range(200):
        c.send(CREATE, text(base + "/s") + buffer(b"") + acl() + i32(SEQUENTIAL))
    names = [c.receive().body.text() for _ in range(200)]
    assert names == [f"{base}/s{i:010d}" for i in range(200)]


def test_a_read_never_shows_an_older_state_than_its_zxid(raw, base):
    writer, reader = raw(), raw()
    for i in range(50):
        written = writer.set(base, b"x").mzxid
        reader.sync(base)
        answer = reader.reply(GET_DATA, text(base) + flag(False))
        answer.body.buffer()
        assert answer.body.stat().mzxid >= written and answer.zxid >= written


def test_the_super_user_reads_what_is_closed(raw, base):
    c = raw()
    c.create(base + "/a", b"x", entries=((ALL, "digest", "nobody:x"),))
    c.auth("digest", SUPER.encode())
    assert c.get(base + "/a")[0] == b"x"


def test_a_quota_node_counts(raw, base):
    c = raw()
    path = "/zookeeper/quota" + base
    c.create(path)
    c.create(path + "/zookeeper_limits", b"count=10,bytes=-1")
    c.create(path + "/zookeeper_stats", b"count=1,bytes=0")
    for i in range(3):
        c.create(f"{base}/{i}", b"ab")
    stats = c.get(path + "/zookeeper_stats")[0].decode()
    assert stats.startswith("count=4,bytes=6"), stats
