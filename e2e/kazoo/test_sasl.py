"""SASL DIGEST-MD5."""

import pytest
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.protocol.states import KeeperState
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


def refused(connect, **changes):
    """kazoo's start() calls a connection that was refused before it looked a time-out: not used."""
    c = connect(start=False, sasl_options={**GOOD, **changes})
    c.start_async()
    until(lambda: c.client_state == KeeperState.AUTH_FAILED, 15, "the refusal")
    with pytest.raises(AuthFailedError):
        c.exists("/")


def test_the_wrong_password(connect):
    refused(connect, password="wrong")


def test_an_unknown_user(connect):
    refused(connect, username="nobody")


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
