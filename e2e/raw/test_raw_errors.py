"""Each error code, by the request that causes it."""

import pytest

from harness.raw import (
    AUTH_FAILED, BAD_ARGUMENTS, BAD_VERSION, CHECK_WATCHES, CREATE, CREATE2, CREATE_CONTAINER,
    CREATE_TTL, DELETE, DELETE_CONTAINER, EPHEMERAL, EXISTS, GET_ACL, GET_ALL_CHILDREN_NUMBER,
    GET_CHILDREN, GET_CHILDREN2, GET_DATA, INVALID_ACL, NODE_EXISTS, NOT_EMPTY, NO_AUTH,
    NO_CHILDREN_FOR_EPHEMERALS, NO_NODE, NO_WATCHER, OPEN, QUOTA_EXCEEDED, RECONFIG,
    REMOVE_WATCHES, SET_ACL, SET_DATA, TTL, UNIMPLEMENTED, acl, buffer, flag, i32, i64, text,
)
from harness.settings import SUPER


def create_body(path, entries=OPEN, mode=0, data=b""):
    return text(path) + buffer(data) + acl(entries) + i32(mode)


@pytest.mark.parametrize("op, body", [
    (DELETE, lambda p: text(p) + i32(-1)),
    (EXISTS, lambda p: text(p) + flag(False)),
    (GET_DATA, lambda p: text(p) + flag(False)),
    (SET_DATA, lambda p: text(p) + buffer(b"") + i32(-1)),
    (GET_ACL, lambda p: text(p)),
    (SET_ACL, lambda p: text(p) + acl() + i32(-1)),
    (GET_CHILDREN, lambda p: text(p) + flag(False)),
    (GET_CHILDREN2, lambda p: text(p) + flag(False)),
    (GET_ALL_CHILDREN_NUMBER, lambda p: text(p)),
    (CREATE, lambda p: create_body(p + "/child")),
    (CREATE2, lambda p: create_body(p + "/child")),
    (CREATE_CONTAINER, lambda p: create_body(p + "/child", mode=4)),
    (CREATE_TTL, lambda p: create_body(p + "/child", mode=TTL) + i64(1000)),
], ids=lambda v: str(v) if isinstance(v, int) else "")
def test_no_node(raw, base, op, body):
    assert raw().error(op, body(base + "/none")) == NO_NODE


@pytest.mark.parametrize("op, mode, rest", [
    (CREATE, 0, b""), (CREATE2, 0, b""), (CREATE_CONTAINER, 4, b""), (CREATE_TTL, 5, i64(1000)),
])
def test_node_exists(raw, base, op, mode, rest):
    assert raw().error(op, create_body(base, mode=mode) + rest) == NODE_EXISTS


def test_not_empty(raw, base):
    c = raw()
    c.create(base + "/a")
    assert c.error(DELETE, text(base) + i32(-1)) == NOT_EMPTY


def test_bad_version(raw, base):
    c = raw()
    assert c.error(DELETE, text(base) + i32(5)) == BAD_VERSION
    assert c.error(SET_DATA, text(base) + buffer(b"") + i32(5)) == BAD_VERSION
    assert c.error(SET_ACL, text(base) + acl() + i32(5)) == BAD_VERSION


def test_bad_version_comes_before_not_empty(raw, base):
    c = raw()
    c.create(base + "/a")
    assert c.error(DELETE, text(base) + i32(5)) == BAD_VERSION


def test_no_children_for_ephemerals(raw, base):
    c = raw()
    c.create(base + "/e", mode=EPHEMERAL)
    assert c.error(CREATE, create_body(base + "/e/x")) == NO_CHILDREN_FOR_EPHEMERALS


@pytest.mark.parametrize("path", [
    "", "relative", "//", "/.", "/..", "/a\0b", "/a\x01b", "/a\x1fb", "/a\x7fb", "/a\x9fb", "/zz/",
])
def test_paths_against_the_rules(raw, path):
    c = raw()
    if path == "/zz/":
        c.create("/zz")
    assert c.error(CREATE, create_body(path)) == BAD_ARGUMENTS


@pytest.mark.parametrize("path", ["/none//b", "/none/./b", "/none/../b", "/none/"])
def test_a_missing_parent_comes_before_the_rules(raw, path):
    assert raw().error(CREATE, create_body(path)) == NO_NODE


@pytest.mark.parametrize("path", ["relative", "/a//b", "/a/"])
def test_paths_against_the_rules_do_not_exist(raw, path):
    c = raw()
    assert c.error(EXISTS, text(path) + flag(False)) in (NO_NODE, BAD_ARGUMENTS)
    assert c.error(SET_DATA, text(path) + buffer(b"") + i32(-1)) in (NO_NODE, BAD_ARGUMENTS)


def test_the_root_cannot_be_deleted(raw):
    assert raw().error(DELETE, text("/") + i32(-1)) == BAD_ARGUMENTS


def test_the_root_cannot_be_created(raw):
    assert raw().error(CREATE, create_body("/")) == NODE_EXISTS


@pytest.mark.parametrize("path", ["/zookeeper", "/zookeeper/quota", "/zookeeper/config"])
def test_reserved_nodes_cannot_be_deleted(raw, path):
    c = raw()
    assert c.error(DELETE, text(path) + i32(-1)) in (BAD_ARGUMENTS, NOT_EMPTY, NO_AUTH)
    assert c.exists(path)


def test_config_belongs_to_the_super_user(raw):
    assert raw().error(SET_DATA, text("/zookeeper/config") + buffer(b"x") + i32(-1)) == NO_AUTH


@pytest.mark.parametrize("mode", [7, 8, 100, -1, -2147483648])
def test_unknown_create_modes(raw, base, mode):
    assert raw().error(CREATE, create_body(base + "/a", mode=mode)) == BAD_ARGUMENTS


def test_a_container_by_the_wrong_operation(raw, base):
    """The flag alone makes no container of a plain create: it takes its own operation."""
    c = raw()
    assert c.error(CREATE, create_body(base + "/c", mode=4)) in (0, BAD_ARGUMENTS)


@pytest.mark.parametrize("ttl", [0, -1, -9223372036854775808, 1 << 40, 9223372036854775807])
def test_impossible_ttls(raw, base, ttl):
    assert raw().error(CREATE_TTL, create_body(base + "/t", mode=TTL) + i64(ttl)) == BAD_ARGUMENTS


@pytest.mark.parametrize("entries", [
    (), ((31, "nosuchscheme", "x"),), ((31, "ip", "1.2.3"),), ((31, "world", "x"),),
    ((31, "auth", ""),), ((31, "digest", "x"),),
], ids=["empty", "scheme", "ip", "world", "auth", "digest"])
def test_invalid_acls(raw, base, entries):
    c = raw()
    assert c.error(CREATE, create_body(base + "/a", entries)) == INVALID_ACL
    assert c.error(SET_ACL, text(base) + acl(entries) + i32(-1)) == INVALID_ACL


def test_a_null_acl_is_invalid(raw, base):
    assert raw().error(CREATE, text(base + "/a") + buffer(b"") + i32(-1) + i32(0)) == INVALID_ACL


def test_no_auth(raw, base):
    c = raw()
    closed = ((31, "digest", "nobody:x"),)
    c.create(base + "/a", b"x", entries=closed)
    path = base + "/a"
    for op, body in (
        (GET_DATA, text(path) + flag(False)), (SET_DATA, text(path) + buffer(b"") + i32(-1)),
        (GET_CHILDREN, text(path) + flag(False)), (CREATE, create_body(path + "/x")),
        (SET_ACL, text(path) + acl() + i32(-1)), (GET_ACL, text(path)),
        (GET_ALL_CHILDREN_NUMBER, text(path)), (EXISTS, text(path) + flag(False)),
        (GET_CHILDREN2, text(path) + flag(False)),
    ):
        assert c.error(op, body) == NO_AUTH, op


def test_auth_failed(raw):
    assert raw().auth("nosuchscheme", b"") == AUTH_FAILED


def test_no_watcher(raw, base):
    c = raw()
    for op in CHECK_WATCHES, REMOVE_WATCHES:
        for kind in 1, 2, 3:
            assert c.error(op, text(base) + i32(kind)) == NO_WATCHER


def test_quota_exceeded(raw, base):
    c = raw()
    path = "/zookeeper/quota"
    for name in base.strip("/").split("/"):
        path += "/" + name
        c.create(path)
    c.create(path + "/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=-1")
    c.create(path + "/zookeeper_stats", b"count=1,bytes=0")
    assert c.set(base, b"12345").data_length == 5
    assert c.error(SET_DATA, text(base) + buffer(b"123456") + i32(-1)) == QUOTA_EXCEEDED
    assert c.error(CREATE, create_body(base + "/x", data=b"1")) == QUOTA_EXCEEDED


def test_delete_container_is_not_for_clients(raw, base):
    c = raw()
    c.create2(base + "/c", mode=4, op=CREATE_CONTAINER)
    try:
        c.error(DELETE_CONTAINER, text(base + "/c"))
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def reconfig_body(joining=None, leaving=None, members=None, config=-1):
    return text(joining) + text(leaving) + text(members) + i64(config)


def test_reconfig_needs_the_right(raw, cluster):
    assert raw().error(RECONFIG, reconfig_body(leaving="3")) in (NO_AUTH, UNIMPLEMENTED)


@pytest.mark.single
def test_reconfig_of_a_standalone_server(raw, request):
    """ZooKeeper cannot; a Polyport node alone is an ensemble of one (COMPAT.md): that a server leaves
    that never was there is no error to either ensemble."""
    c = raw()
    c.auth("digest", SUPER.encode())
    expected = {"zookeeper": UNIMPLEMENTED, "polyport": 0}[request.config.getoption("--server")]
    assert c.error(RECONFIG, reconfig_body(leaving="3")) == expected


def test_an_error_takes_no_zxid_back(raw, base):
    """A failed write is a transaction too: its reply's zxid is not below the last."""
    c = raw()
    first = c.reply(SET_DATA, text(base) + buffer(b"") + i32(-1))
    failed = c.reply(SET_DATA, text(base) + buffer(b"") + i32(9))
    assert failed.error == BAD_VERSION and failed.zxid >= first.zxid
