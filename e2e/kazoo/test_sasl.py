"""SASL DIGEST-MD5."""

import pytest
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl

from harness.wait import until

GOOD = {"mechanism": "DIGEST-MD5", "username": "jaasuser", "password": "jaas_password"}


def test_the_right_password(connect, client, base):
    known = connect(sasl_options=GOOD)
    known.create(base + "/a", b"sasl", acl=[make_acl("sasl", "jaasuser", all=True)])
    client.sync(base)
    with pytest.raises(NoAuthError):
        client.get(base + "/a")
    assert known.get(base + "/a")[0] == b"sasl"


def refused(connect, caplog, **changes):
    """kazoo's start() calls a connection that was refused before it looked a time-out, and its state
    is gone soon after: what it logs is what it saw."""
    c = connect(start=False, sasl_options={**GOOD, **changes})
    c.start_async()
    until(lambda: "AUTH_FAILED closing" in caplog.text, 15, "the refusal")
    until(lambda: not c.connected, 5, "the end of the connection")


def test_the_wrong_password(connect, caplog):
    refused(connect, caplog, password="wrong")


def test_an_unknown_user(connect, caplog):
    refused(connect, caplog, username="nobody")


def test_another_user_is_kept_out(connect, base):
    known = connect(sasl_options=GOOD)
    other = connect(sasl_options={**GOOD, "username": "other", "password": "other_password"})
    known.create(base + "/a", acl=[make_acl("sasl", "jaasuser", all=True)])
    other.sync(base)
    with pytest.raises(NoAuthError):
        other.get(base + "/a")


def test_the_super_user_may_all(connect, base):
    known = connect(sasl_options=GOOD)
    root = connect(sasl_options={**GOOD, "username": "super", "password": "super_secret"})
    known.create(base + "/a", b"sasl", acl=[make_acl("sasl", "jaasuser", all=True)])
    root.sync(base)
    assert root.get(base + "/a")[0] == b"sasl"


def test_a_reconnection_authenticates_again(connect, base):
    known = connect(sasl_options=GOOD)
    known.create(base + "/a", b"sasl", acl=[make_acl("sasl", "jaasuser", all=True)])
    known._connection._socket.shutdown(2)
    assert known.retry(known.get, base + "/a")[0] == b"sasl"
