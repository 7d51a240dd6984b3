"""The first frames: sessions asked for, resumed, refused."""

import pytest

from harness.raw import AUTH, EPHEMERAL, PING, Closed, Reader, buffer, flag, i32, i64
from harness.settings import SUPER


def test_with_the_read_only_byte(raw):
    c = raw(read_only=False)
    assert c.session != 0 and len(c.password) == 16
    assert c.read_only is False


def test_without_the_read_only_byte(raw):
    """Clients older than 3.4 send none; their answer may carry it or not."""
    c = raw(read_only=None)
    assert c.session != 0
    assert c.exists("/")


def test_the_answer_echoes_protocol_zero(raw):
    c = raw(handshake=False)
    c.send_frame(i32(0) + i64(0) + i32(5000) + i64(0) + buffer(b"\0" * 16) + flag(False))
    frame = Reader(c.receive_frame())
    assert frame.i32() == 0 and frame.i32() == 5000
    c.session = frame.i64()


@pytest.mark.parametrize("asked, given", [(1, 400), (399, 400), (401, 401), (5000, 5000),
                                          (3600000, 40000)])
def test_the_timeout_is_bounded(raw, asked, given):
    assert raw(timeout_ms=asked).timeout_ms == given


def test_a_password_of_any_length_is_read(raw):
    c = raw(password=b"")
    assert c.session != 0 and len(c.password) == 16


def test_passwords_differ(raw):
    assert raw().password != raw().password


def test_a_session_is_resumed(raw, base):
    first = raw()
    first.create(base + "/e", mode=EPHEMERAL)
    first.drop()
    second = raw(session=first.session, password=first.password)
    assert second.session == first.session and second.password == first.password
    assert second.exists(base + "/e").ephemeral_owner == first.session


def test_resuming_negotiates_the_timeout_anew(raw):
    first = raw(timeout_ms=10000)
    first.drop()
    assert raw(session=first.session, password=first.password, timeout_ms=3000).timeout_ms == 3000


def test_the_wrong_password_is_answered_with_zeros_and_closed(raw):
    first = raw()
    thief = raw(session=first.session, password=b"\1" * 16)
    assert (thief.session, thief.timeout_ms, thief.password) == (0, 0, b"\0" * 16)
    assert thief.is_closed()


def test_an_unknown_session_is_answered_with_zeros_and_closed(raw):
    ghost = raw(session=0x1234567890abcdef, password=b"\1" * 16)
    assert (ghost.session, ghost.timeout_ms) == (0, 0)
    assert ghost.is_closed()


def test_a_closed_session_cannot_be_resumed(raw):
    first = raw()
    first.close()
    assert raw(session=first.session, password=first.password).session == 0


def test_a_moved_session_closes_the_old_connection(raw):
    old = raw()
    new = raw(session=old.session, password=old.password)
    assert new.session == old.session
    assert old.is_closed()
    assert new.exists("/")


def test_a_client_from_the_future_is_refused(raw):
    """Its last zxid is above the server's: this server lags, another may serve it."""
    c = raw(handshake=False)
    c.send_frame(i32(0) + i64(0x7fffffff00000000) + i32(5000) + i64(0) + buffer(b"\0" * 16) + flag(False))
    with pytest.raises(Closed):
        c.receive_frame()


def test_a_client_of_the_present_is_not(raw, base):
    first = raw()
    stat = first.set(base, b"x")
    assert raw(last_zxid=stat.mzxid).session != 0


def test_requests_sent_with_the_handshake_are_served(raw):
    """A client may pipeline from its first byte on."""
    c = raw(handshake=False)
    hello = i32(0) + i64(0) + i32(5000) + i64(0) + buffer(b"\0" * 16) + flag(False)
    ask = i32(1) + i32(3) + buffer(b"/") + flag(False)
    c.sock.sendall(i32(len(hello)) + hello + i32(len(ask)) + ask)
    c.receive_frame()
    frame = Reader(c.receive_frame())
    assert (frame.i32(), frame.i64() >= 0, frame.i32()) == (1, True, 0)


def test_the_handshake_in_single_bytes(raw):
    c = raw(handshake=False)
    hello = i32(0) + i64(0) + i32(5000) + i64(0) + buffer(b"\0" * 16) + flag(False)
    for byte in i32(len(hello)) + hello:
        c.sock.sendall(bytes([byte]))
    frame = Reader(c.receive_frame())
    frame.i32()
    assert frame.i32() == 5000
    c.session = frame.i64()
    assert c.exists("/")


def test_a_ping_is_answered(raw):
    answer = raw().reply(PING, xid=-2)
    assert answer.error == 0 and answer.zxid >= 0
    answer.body.end()


def test_auth_with_the_super_user(raw):
    c = raw()
    assert c.auth("digest", SUPER.encode()) == 0
    assert c.exists("/")


def test_auth_is_answered_with_the_xid_it_came_with(raw):
    """Most clients send -4; the Go client counts on."""
    assert raw().reply(AUTH, i32(0) + buffer(b"digest") + buffer(b"a:b"), xid=77).error == 0


def test_auth_with_an_unknown_scheme_closes(raw):
    c = raw()
    assert c.auth("nosuchscheme", b"x") == -115
    assert c.is_closed()


def test_close_is_answered_and_then_the_connection_ends(raw):
    c = raw()
    c.send(-11)
    assert c.receive().error == 0
    with pytest.raises(Closed):
        c.receive_frame()
    c.session = None


def test_after_close_the_ephemerals_are_gone_for_the_closer(raw, base):
    c, other = raw(), raw()
    c.create(base + "/e", mode=EPHEMERAL)
    c.close()
    other.sync(base)
    assert other.exists(base + "/e") is None


def test_a_session_outlives_its_connection_until_the_timeout(raw, base):
    c, other = raw(timeout_ms=2000), raw()
    c.create(base + "/e", mode=EPHEMERAL)
    c.drop()
    other.sync(base)
    assert other.exists(base + "/e", watch=True)
    assert other.next_event(10).path == base + "/e"


def test_an_expired_session_is_refused(raw, base):
    c, other = raw(timeout_ms=400), raw()
    c.create(base + "/e", mode=EPHEMERAL)
    other.sync(base)
    assert other.exists(base + "/e", watch=True)
    c.drop()
    other.next_event(10)
    assert raw(session=c.session, password=c.password).session == 0


def test_an_idle_connection_is_expired_and_closed(raw):
    assert raw(timeout_ms=400).is_closed(5)
