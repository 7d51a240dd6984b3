"""Who may do what: world, digest, auth, ip, the super user."""

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError, BadVersionError, InvalidACLError, NoAuthError, NoNodeError,
)
from kazoo.security import (
    ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, Id, Permissions, make_acl,
    make_digest_acl, make_digest_acl_credential,
)

from harness.settings import SUPER


@pytest.fixture
def alice(connect):
    return connect(auth_data=[("digest", "alice:secret")])


def test_a_digest_keeps_others_out(client, alice, base):
    alice.create(base + "/a", b"private", acl=[make_digest_acl("alice", "secret", all=True)])
    client.sync(base)
    for refused in (
        lambda: client.get(base + "/a"),
        lambda: client.set(base + "/a", b""),
        lambda: client.get_children(base + "/a"),
        lambda: client.create(base + "/a/b"),
        lambda: client.set_acls(base + "/a", OPEN_ACL_UNSAFE),
        lambda: client.exists(base + "/a"),
    ):
        with pytest.raises(NoAuthError):
            refused()
    assert alice.get(base + "/a")[0] == b"private"


def test_auth_can_be_added_later(client, alice, base):
    alice.create(base + "/a", b"private", acl=[make_digest_acl("alice", "secret", all=True)])
    client.sync(base)
    client.add_auth("digest", "alice:secret")
    assert client.get(base + "/a")[0] == b"private"


def test_the_wrong_password_is_another_identity(client, alice, base):
    alice.create(base + "/a", acl=[make_digest_acl("alice", "secret", all=True)])
    client.sync(base)
    client.add_auth("digest", "alice:wrong")
    with pytest.raises(NoAuthError):
        client.get(base + "/a")


def test_identities_add_up(connect, alice, base):
    alice.create(base + "/a", acl=[make_digest_acl("alice", "secret", all=True)])
    alice.create(base + "/b", acl=[make_digest_acl("bob", "word", all=True)])
    both = connect(auth_data=[("digest", "alice:secret"), ("digest", "bob:word")])
    both.sync(base)
    assert both.get(base + "/a") and both.get(base + "/b")


def test_an_unknown_scheme_fails(client):
    with pytest.raises(AuthFailedError):
        client.add_auth("nosuchscheme", "x:y")


def test_creator_all_becomes_the_digest(alice, base):
    alice.create(base + "/a", acl=CREATOR_ALL_ACL)
    acls, _ = alice.get_acls(base + "/a")
    assert acls == [ACL(31, Id("digest", make_digest_acl_credential("alice", "secret")))]


def test_creator_all_without_an_identity_is_invalid(client, base):
    with pytest.raises(InvalidACLError):
        client.create(base + "/a", acl=CREATOR_ALL_ACL)


def test_creator_all_with_two_identities(connect, base):
    both = connect(auth_data=[("digest", "alice:secret"), ("digest", "bob:word")])
    both.create(base + "/a", acl=CREATOR_ALL_ACL)
    assert len(both.get_acls(base + "/a")[0]) == 2


@pytest.mark.parametrize("permission, allowed", [
    (Permissions.READ, {"get", "children", "acls", "exists"}),
    (Permissions.WRITE, {"set"}),
    (Permissions.CREATE, {"create"}),
    (Permissions.DELETE, {"delete"}),
    (Permissions.ADMIN, {"set_acls", "acls"}),
])
def test_each_permission_allows_its_own(client, alice, base, permission, allowed):
    path = base + "/a"
    everything = make_digest_acl("alice", "secret", all=True)
    alice.create(path, acl=[everything])
    alice.create(path + "/old", acl=OPEN_ACL_UNSAFE)
    alice.set_acls(path, [everything, ACL(permission, Id("world", "anyone"))])
    client.sync(path)
    calls = {
        "get": lambda: client.get(path),
        "exists": lambda: client.exists(path),
        "children": lambda: client.get_children(path),
        "acls": lambda: client.get_acls(path),
        "set": lambda: client.set(path, b"x"),
        "create": lambda: client.create(path + "/new"),
        "delete": lambda: client.delete(path + "/old"),
        "set_acls": lambda: client.set_acls(path, [everything]),
    }
    worked = set()
    for name, call in calls.items():
        try:
            call()
            worked.add(name)
        except NoAuthError:
            pass
    assert worked == allowed


def test_delete_asks_the_parent(client, alice, base):
    alice.create(base + "/p", acl=[make_digest_acl("alice", "secret", all=True)])
    alice.create(base + "/p/open", acl=OPEN_ACL_UNSAFE)
    client.sync(base)
    with pytest.raises(NoAuthError):
        client.delete(base + "/p/open")


def test_a_closed_child_of_an_open_parent_can_be_deleted(client, alice, base):
    alice.create(base + "/closed", acl=[make_digest_acl("alice", "secret", all=True)])
    client.sync(base)
    client.delete(base + "/closed")


def test_read_only_acl(client, base):
    client.create(base + "/a", b"r", acl=READ_ACL_UNSAFE)
    assert client.get(base + "/a")[0] == b"r"
    with pytest.raises(NoAuthError):
        client.set(base + "/a", b"w")


def test_set_acls_counts_aversion(client, base):
    client.create(base + "/a")
    assert client.set_acls(base + "/a", OPEN_ACL_UNSAFE).aversion == 1
    stat = client.exists(base + "/a")
    assert stat.aversion == 1 and stat.version == 0


def test_set_acls_with_the_version(client, base):
    client.create(base + "/a")
    client.set_acls(base + "/a", OPEN_ACL_UNSAFE, version=0)
    with pytest.raises(BadVersionError):
        client.set_acls(base + "/a", OPEN_ACL_UNSAFE, version=0)


def test_acls_of_nothing(client, base):
    with pytest.raises(NoNodeError):
        client.get_acls(base + "/none")
    with pytest.raises(NoNodeError):
        client.set_acls(base + "/none", OPEN_ACL_UNSAFE)


def test_the_digest_is_masked_without_admin(client, alice, base):
    alice.create(base + "/a", acl=[
        make_digest_acl("alice", "secret", all=True), ACL(Permissions.READ, Id("world", "anyone")),
    ])
    client.sync(base)
    acls, _ = client.get_acls(base + "/a")
    assert Id("digest", "alice:x") in [a.id for a in acls]
    assert Id("digest", make_digest_acl_credential("alice", "secret")) in \
        [a.id for a in alice.get_acls(base + "/a")[0]]


@pytest.mark.parametrize("address, works", [
    ("127.0.0.1", True), ("127.0.0.0/8", True), ("127.0.0.1/32", True), ("0.0.0.0/0", True),
    ("10.0.0.1", False), ("192.168.0.0/16", False),
])
def test_an_ip(client, base, address, works):
    client.create(base + "/a", b"ip", acl=[make_acl("ip", address, all=True)])
    if works:
        assert client.get(base + "/a")[0] == b"ip"
    else:
        with pytest.raises(NoAuthError):
            client.get(base + "/a")


@pytest.mark.parametrize("scheme, name", [
    ("ip", "not-an-address"), ("ip", "127.0.0.1/33"), ("world", "somebody"), ("digest", "nocolon"),
    ("nosuchscheme", "x"), ("digest", "a:b:c"),
])
def test_impossible_acls_are_refused(client, base, scheme, name):
    with pytest.raises(InvalidACLError):
        client.create(base + "/a", acl=[make_acl(scheme, name, all=True)])
    with pytest.raises(InvalidACLError):
        client.set_acls(base, [make_acl(scheme, name, all=True)])


def test_the_super_user_may_all(connect, alice, base):
    alice.create(base + "/a", b"private", acl=[make_digest_acl("alice", "secret", all=True)])
    root = connect(auth_data=[("digest", SUPER)])
    root.sync(base)
    assert root.get(base + "/a")[0] == b"private"
    root.set_acls(base + "/a", OPEN_ACL_UNSAFE)
    root.set(base + "/a", b"taken")


def test_auth_survives_a_reconnection(alice, base):
    alice.create(base + "/a", b"private", acl=CREATOR_ALL_ACL)
    alice._connection._socket.shutdown(2)
    assert alice.retry(alice.get, base + "/a")[0] == b"private"


def test_auth_before_the_start(cluster, base):
    early = KazooClient(cluster.hosts, auth_data=[("digest", "x:y")])
    early.start(15)
    try:
        early.create(base + "/x", acl=CREATOR_ALL_ACL)
    finally:
        early.stop()
        early.close()


def test_acls_of_a_transaction(client, alice, base):
    alice.create(base + "/a", acl=CREATOR_ALL_ACL)
    client.sync(base)
    t = client.transaction()
    t.create(base + "/b")
    t.set_data(base + "/a", b"no")
    results = t.commit()
    assert isinstance(results[1], NoAuthError)
    assert client.exists(base + "/b") is None
