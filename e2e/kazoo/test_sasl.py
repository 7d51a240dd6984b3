"""SASL DIGEST-MD5."""

import pytest
from kazoo.exceptions import AuthFailedError, NoAuthError
from kazoo.security import make_acl

GOOD = {"mechanism": "DIGEST-MD5", "username": "jaasuser", "password": "jaas_password"}


def test_the_right_password(connect, client, base):
    known = connect(sasl_options=GOOD)
    known.create(base + "/a", b"sasl", acl=[make_acl("sasl", "jaasuser", all=True)])
    client.sync(base)
    with pytest.raises(NoAuthError):
        client.get(base + "/a")
    assert known.get(base + "/a")[0] == b"sasl"


def test_the_wrong_password(connect):
    with pytest.raises(AuthFailedError):
        connect(sasl_options={**GOOD, "password": "wrong"}).exists("/")


def test_an_unknown_user(connect):
    with pytest.raises(AuthFailedError):
        connect(sasl_options={**GOOD, "username": "nobody"}).exists("/")


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
