"""create, in all the forms kazoo has."""

import pytest
from kazoo.exceptions import (
    BadArgumentsError, InvalidACLError, NoChildrenForEphemeralsError, NodeExistsError, NoNodeError,
)
from kazoo.security import OPEN_ACL_UNSAFE


def test_returns_the_path(client, base):
    assert client.create(base + "/a") == base + "/a"


def test_keeps_the_data(client, base):
    client.create(base + "/a", b"\x00\x01data\xff")
    assert client.get(base + "/a")[0] == b"\x00\x01data\xff"


def test_without_data_is_empty(client, base):
    client.create(base + "/a")
    value, stat = client.get(base + "/a")
    assert value == b"" and stat.data_length == 0


def test_twice_is_refused(client, base):
    client.create(base + "/a", b"first")
    with pytest.raises(NodeExistsError):
        client.create(base + "/a", b"second")
    assert client.get(base + "/a")[0] == b"first"


def test_without_a_parent_is_refused(client, base):
    with pytest.raises(NoNodeError):
        client.create(base + "/no/child")


def test_makepath_makes_the_parents(client, base):
    client.create(base + "/x/y/z", b"deep", makepath=True)
    assert client.get(base + "/x/y/z")[0] == b"deep"
    assert client.get(base + "/x")[0] == b""


def test_the_root_exists(client):
    with pytest.raises(NodeExistsError):
        client.create("/")


def test_include_data_gives_the_stat(client, base):
    path, stat = client.create(base + "/a", b"four", include_data=True)
    assert path == base + "/a"
    assert stat.data_length == 4 and stat.version == 0 and stat.numChildren == 0
    assert stat.czxid == stat.mzxid == stat.pzxid
    assert stat == client.exists(base + "/a")


def test_ephemeral_belongs_to_the_session(client, base):
    client.create(base + "/e", ephemeral=True)
    assert client.exists(base + "/e").ephemeralOwner == client.client_id[0]


def test_persistent_has_no_owner(client, base):
    client.create(base + "/p")
    assert client.exists(base + "/p").ephemeralOwner == 0


def test_ephemeral_has_no_children(client, base):
    client.create(base + "/e", ephemeral=True)
    with pytest.raises(NoChildrenForEphemeralsError):
        client.create(base + "/e/child")


def test_ephemeral_goes_with_close(client, connect, base):
    other = connect()
    other.create(base + "/e", ephemeral=True)
    other.stop()
    client.sync(base)
    assert client.exists(base + "/e") is None


def test_sequential_counts_in_ten_digits(client, base):
    made = [client.create(base + "/n-", sequence=True) for _ in range(3)]
    assert made == [f"{base}/n-{i:010d}" for i in range(3)]


def test_sequential_of_a_bare_parent(client, base):
    assert client.create(base + "/", sequence=True) == base + "/0000000000"


def test_the_counter_belongs_to_the_parent(client, base):
    client.create(base + "/a-", sequence=True)
    assert client.create(base + "/b-", sequence=True).endswith("b-0000000001")


def test_a_plain_create_moves_the_counter(client, base):
    client.create(base + "/plain")
    assert client.create(base + "/s-", sequence=True).endswith("s-0000000001")


def test_a_delete_does_not_move_the_counter_back(client, base):
    client.delete(client.create(base + "/s-", sequence=True))
    assert client.create(base + "/s-", sequence=True).endswith("s-0000000001")


def test_sequential_with_stat(client, base):
    path, stat = client.create(base + "/s-", b"x", sequence=True, include_data=True)
    assert path.endswith("s-0000000000") and stat.data_length == 1


def test_ephemeral_sequential_is_both(client, base):
    path = client.create(base + "/es-", ephemeral=True, sequence=True)
    assert path.endswith("es-0000000000")
    assert client.exists(path).ephemeralOwner == client.client_id[0]


def test_an_empty_acl_is_refused(client, base):
    with pytest.raises(InvalidACLError):
        client.create_async(base + "/a", acl=[_nobody()]).get()


def _nobody():
    from kazoo.security import ACL, Id
    return ACL(31, Id("nosuchscheme", "x"))


def test_acl_is_kept(client, base):
    client.create(base + "/a", acl=OPEN_ACL_UNSAFE)
    acls, _ = client.get_acls(base + "/a")
    assert acls == OPEN_ACL_UNSAFE


@pytest.mark.parametrize("name", ["ünï", "节点", "смысл", "with space", "a.b", "..c", "%41", "-"])
def test_names_may_be_unicode(client, base, name):
    path = f"{base}/{name}"
    assert client.create(path, name.encode()) == path
    assert client.get(path)[0] == name.encode()
    assert client.get_children(base) == [name]


@pytest.mark.parametrize("name", ["nul\0", "bell\x07", "del\x7f", "high\x9f", "rep\ufffe",
                                  "surrogates-\U0001f600"])
def test_characters_outside_the_rules_are_refused(client, base, name):
    with pytest.raises(BadArgumentsError):
        client.create(f"{base}/{name}")


def test_under_the_reserved_config(client):
    with pytest.raises((NodeExistsError,)):
        client.create("/zookeeper/config")


def test_ensure_path_is_idempotent(client, base):
    assert client.ensure_path(base + "/p/q") == base + "/p/q"
    assert client.ensure_path(base + "/p/q")
    assert client.exists(base + "/p/q").version == 0


def test_ensure_path_by_many_at_once(connect, base):
    clients = [connect() for _ in range(4)]
    results = [c.ensure_path_async(base + "/same/deep/path") for c in clients]
    assert all(r.get(10) for r in results)
