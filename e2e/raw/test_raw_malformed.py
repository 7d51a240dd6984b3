"""Bytes no client sends: the connection ends, nothing else does."""

import os
import random

import pytest

from harness.raw import (
    BAD_ARGUMENTS, CREATE, EXISTS, GET_DATA, MARSHALLING_ERROR, PING, SET_DATA, UNIMPLEMENTED,
    acl, buffer, flag, i32, i64, text,
)

HELLO = i32(0) + i64(0) + i32(5000) + i64(0) + buffer(b"\0" * 16) + flag(False)


@pytest.fixture
def target(cluster):
    """The node that is sent bad bytes: the last, so that an ensemble's other nodes can tell."""
    return cluster.nodes[-1]


# A member of a real 3.9.3 ensemble, leader or not, answers no more writes after a truncated one;
# a standalone server takes it well.
stops_a_real_ensemble = pytest.mark.polyport_ensemble_only


@pytest.fixture
def raw(raw, target):
    return lambda **options: raw(target.address, **options)


@pytest.fixture
def witness(raw, base):
    """A client that must not notice anything."""
    c = raw()
    c.sync(base)
    yield c
    assert c.set(base, b"still here").data_length == 10


@pytest.mark.parametrize("start", [
    i32(-1), i32(-2147483648), i32(2147483647), i32(1048576 + 4096), b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n",
    i32(0),
], ids=["-1", "min", "max", "over-the-limit", "ff", "http", "empty"])
def test_a_bad_length_before_the_handshake_closes(raw, witness, start):
    c = raw(handshake=False)
    c.sock.sendall(start)
    assert c.is_closed()


@pytest.mark.parametrize("length", [-1, -2147483648, 2147483647, 1048576 + 4096])
def test_a_bad_length_in_a_session_closes(raw, witness, length):
    c = raw()
    c.sock.sendall(i32(length))
    assert c.is_closed()


def test_the_session_of_a_bad_frame_lives_on(raw, witness, base):
    c = raw()
    c.sync(base)
    c.create(base + "/e", mode=1)
    c.sock.sendall(i32(-1))
    assert c.is_closed()
    again = raw(session=c.session, password=c.password)
    assert again.exists(base + "/e").ephemeral_owner == c.session


@pytest.mark.parametrize("hello", [
    HELLO[:3], HELLO[:15], HELLO[:27],
    i32(0) + i64(0) + i32(5000) + i64(0) + i32(100000) + b"\0" * 16,
], ids=["3", "15", "27", "password-too-long"])
def test_a_truncated_handshake_closes(raw, witness, hello):
    c = raw(handshake=False)
    c.send_frame(hello)
    assert c.is_closed()


def test_half_a_frame_is_waited_for(raw):
    c = raw()
    body = i32(1) + i32(EXISTS) + text("/") + flag(False)
    c.sock.sendall(i32(len(body)) + body[:7])
    with pytest.raises((TimeoutError, OSError)):
        c.sock.settimeout(0.3)
        c.receive_frame()
    c.sock.settimeout(5)
    c.sock.sendall(body[7:])
    assert c.receive().error == 0


@pytest.mark.parametrize("body", [
    b"", i32(1), i32(1) + b"\0\0",
], ids=["nothing", "xid", "half-an-op"])
def test_a_frame_without_a_whole_header_closes(raw, witness, body):
    c = raw()
    c.send_frame(body)
    assert c.is_closed()


@stops_a_real_ensemble
@pytest.mark.parametrize("op, body", [
    (GET_DATA, b""),
    (GET_DATA, i32(100) + b"/short"),
    (GET_DATA, i32(-5)),
    (EXISTS, text("/")),
    (CREATE, text("/x") + buffer(b"")),
    (CREATE, text("/x") + buffer(b"") + i32(2000000000)),
    (SET_DATA, text("/x") + i32(2000000000)),
], ids=["get-empty", "get-long-path", "get-negative-path", "exists-cut", "create-cut",
        "create-many-acls", "set-long-data"])
def test_a_truncated_body_is_refused(raw, witness, op, body):
    """By an error or by the end of the connection; never by silence."""
    c = raw()
    c.send(op, body)
    try:
        assert c.receive().error in (MARSHALLING_ERROR, BAD_ARGUMENTS, -114, -101)
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


@pytest.mark.parametrize("op", [10, 23, 99, 108, 1000, -1, -3, 2147483647])
def test_an_unknown_operation_is_unimplemented_or_ends_it(raw, witness, op):
    c = raw()
    c.send(op, text("/"))
    try:
        answer = c.receive()
        assert answer.error == UNIMPLEMENTED
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def test_internal_operations_are_not_for_clients(raw, witness):
    """createSession (-10) and error (-1) only ever come from inside."""
    c = raw()
    c.send(-10, i32(5000))
    try:
        assert c.receive().error != 0
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def test_more_bytes_than_the_request_needs_do_no_harm(raw):
    c = raw()
    assert c.reply(EXISTS, text("/") + flag(False) + b"more").error == 0
    assert c.exists("/")


def test_a_path_that_is_not_utf8(raw, witness, base):
    c = raw()
    try:
        c.reply(CREATE, text(base.encode() + b"/\xff\xfe") + buffer(b"") + acl() + i32(0))
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def test_many_connections_that_say_nothing(raw, witness):
    silent = [raw(handshake=False) for _ in range(50)]
    assert witness.exists("/")
    assert len(silent) == 50


def test_noise(target, raw, witness):
    """Random frames of every size; the server answers its other clients throughout."""
    seed = int(os.environ.get("E2E_SEED", "1"))
    noise = random.Random(seed)
    for _ in range(100):
        c = raw(handshake=bool(noise.randrange(2)))
        c.session = None
        body = noise.randbytes(noise.choice([1, 4, 8, 12, 60, 500]))
        try:
            for _ in range(3):
                c.send_frame(body)
        except OSError:
            pass
        c.drop()
    assert witness.exists("/")
    assert target.words("ruok") == "imok"


@stops_a_real_ensemble
def test_frames_shaped_like_requests_with_random_bodies(target, raw, witness):
    seed = int(os.environ.get("E2E_SEED", "1"))
    noise = random.Random(seed)
    ops = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102,
           103, 104, 105, 106, 107]
    for op in ops * 4:
        c = raw()
        c.send(op, noise.randbytes(noise.randrange(0, 40)))
        c.send(PING, xid=-2)
        c.drop()
    assert witness.exists("/")
    assert target.words("ruok") == "imok"
