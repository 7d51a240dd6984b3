"""The audit log: the lines that the real server writes, for the same requests."""

import re

import pytest

from harness.raw import (
    BAD_VERSION, CONTAINER, CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, EPHEMERAL,
    EPHEMERAL_SEQUENTIAL, INVALID_ACL, NO_NODE, NODE_EXISTS, RECONFIG, SEQUENTIAL, SET_ACL, TTL,
    Raw, acl, buffer, check_op, create_op, delete_op, i32, i64, set_op, text,
)
from harness.settings import Settings
from harness.wait import until

IP = "user=127.0.0.1\tip=127.0.0.1"
LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|ERROR) \S*Slf4jAuditLogger: (.*)$")


@pytest.fixture
def audited(make_cluster):
    cluster = make_cluster(settings=Settings(audit=True), name="audit")
    yield cluster
    for node in cluster:
        node.kill()


def lines(node):
    """Level and fields of each line, with the server's own user and session ids by name."""
    found = []
    for line in node.audit_file().read_text().splitlines():
        level, fields = LINE.match(line).groups()
        fields = re.sub(r"session=0x[0-9a-f]+", "session=S", fields)
        # Whoever runs it.
        fields = re.sub(r"user=[^\t]+\toperation=(server|ephemeral)", r"user=SERVER\toperation=\1",
                        fields)
        found.append(f"{level} {fields}")
    return found


def script(connection):
    c = connection
    c.create("/a", b"1")
    assert c.error(CREATE, text("/a") + buffer(b"") + acl() + i32(0)) == NODE_EXISTS
    assert c.error(CREATE, text("/no/child") + buffer(b"") + acl() + i32(0)) == NO_NODE
    assert c.error(CREATE, text("/acl") + buffer(b"") + acl(()) + i32(0)) == INVALID_ACL
    c.create("/a/s-", mode=SEQUENTIAL)
    c.create2("/a/e", mode=EPHEMERAL)
    c.create2("/a/e-", mode=EPHEMERAL_SEQUENTIAL)
    c.create2("/a/c", mode=CONTAINER, op=CREATE_CONTAINER)
    c.create2("/two")
    c.set("/a", b"2")
    assert c.error(5, text("/a") + buffer(b"") + i32(7)) == BAD_VERSION
    c.get("/a")
    c.set_acl("/a", [(31, "world", "anyone"), (1, "ip", "10.0.0.0/8")])
    assert c.error(SET_ACL, text("/gone") + acl([(3, "world", "anyone")]) + i32(-1)) == NO_NODE
    c.delete("/two")
    assert c.error(2, text("/two") + i32(-1)) == NO_NODE
    c.multi([
        create_op("/m"), create_op("/m/s-", mode=SEQUENTIAL), create_op("/m/2", op=CREATE2),
        set_op("/m", b"x"), check_op("/m", 1), delete_op("/m/2"),
    ])
    c.multi([create_op("/never"), check_op("/m", 99)])
    c.sync("/")


OWN = f"session=S\t{IP}\toperation="
EXPECTED = [
    f"INFO {OWN}create\tznode=/a\tznode_type=persistent\tresult=success",
    f"ERROR {OWN}create\tznode=/a\tznode_type=persistent\tresult=failure",
    f"ERROR {OWN}create\tznode=/no/child\tznode_type=persistent\tresult=failure",
    f"ERROR {OWN}create\tznode=/acl\tznode_type=persistent\tresult=failure",
    f"INFO {OWN}create\tznode=/a/s-0000000000\tznode_type=persistent_sequential\tresult=success",
    f"INFO {OWN}create\tznode=/a/e\tznode_type=ephemeral\tresult=success",
    f"INFO {OWN}create\tznode=/a/e-0000000002\tznode_type=ephemeral_sequential\tresult=success",
    f"INFO {OWN}create\tznode=/a/c\tznode_type=container\tresult=success",
    f"INFO {OWN}create\tznode=/two\tznode_type=persistent\tresult=success",
    f"INFO {OWN}setData\tznode=/a\tresult=success",
    f"ERROR {OWN}setData\tznode=/a\tresult=failure",
    f"INFO {OWN}setAcl\tznode=/a\tacl=world:anyone:cdrwaip:10.0.0.0/8:r\tresult=success",
    f"ERROR {OWN}setAcl\tznode=/gone\tacl=world:anyone:rw\tresult=failure",
    f"INFO {OWN}delete\tznode=/two\tresult=success",
    f"ERROR {OWN}delete\tznode=/two\tresult=failure",
    f"INFO {OWN}create\tznode=/m\tznode_type=persistent\tresult=success",
    f"INFO {OWN}create\tznode=/m/s-0000000000\tresult=success",
    f"INFO {OWN}create\tznode=/m/2\tznode_type=persistent\tresult=success",
    f"INFO {OWN}setData\tznode=/m\tresult=success",
    f"INFO {OWN}delete\tznode=/m/2\tresult=success",
    f"ERROR {OWN}multiOperation\tresult=failure",
]
ENDED = [
    "INFO session=S\tuser=SERVER\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire"
    f"\tznode={path}\tresult=success" for path in ("/a/e", "/a/e-0000000002")
]
STARTED = "INFO user=SERVER\toperation=serverStart\tresult=success"


def test_each_change_is_a_line(audited):
    node = audited[-1]
    with Raw(node.address) as c:
        script(c)
    own = until(lambda: (found := lines(node)) and len(found) > len(EXPECTED) + 2 and found, 10,
                "the lines of the session's end")
    assert own[0] == STARTED
    assert own[1:1 + len(EXPECTED)] == EXPECTED
    assert sorted(own[1 + len(EXPECTED):]) == ENDED
    # Where the client was not, only what all servers do themselves.
    for other in audited:
        if other is not node:
            found = until(lambda: (f := lines(other)) and len(f) >= 3 and f, 10, "their ends")
            assert [found[0], *sorted(found[1:])] == [STARTED, *ENDED]
    assert node.stop() is not None
    assert lines(node)[-1] == "INFO user=SERVER\toperation=serverStop\tresult=invoked"


@pytest.mark.ensemble
def test_a_reconfiguration_is_a_line(audited):
    leader = audited.leader()
    body = text(None) + text("9") + text(None) + i64(-1)
    with Raw(leader.address) as c:
        c.auth("digest", b"super:test")
        c.error(RECONFIG, body)
        c.error(RECONFIG, text(None) + text("9") + text(None) + i64(0x7777))
    own = "session=S\tuser=super,127.0.0.1\tip=127.0.0.1\toperation=reconfig"
    found = [line.replace("user=127.0.0.1,super", "user=super,127.0.0.1")
             for line in lines(leader) if "reconfig" in line]
    assert found == [
        f"INFO {own}\tznode=/zookeeper/config\tresult=success",
        f"ERROR {own}\tresult=failure",
    ]


def test_a_creation_with_a_time_to_live_is_a_line(audited, server_kind):
    """The real server forgets it in 3.9.3; its later releases write it so."""
    with Raw(audited[0].address) as c:
        c.create2("/t", mode=TTL, op=CREATE_TTL, ttl=600000)
    found = [line for line in lines(audited[0]) if "znode=/t" in line]
    own = f"INFO {OWN}create\tznode=/t\tznode_type=persistent_with_ttl\tresult=success"
    assert found == ([own] if server_kind == "polyport" else [])
