"""Transactions: all or nothing, each operation with its own answer."""

import pytest
from kazoo.exceptions import (
    BadVersionError, NoChildrenForEphemeralsError, NodeExistsError, NoNodeError, NotEmptyError,
    RolledBackError, RuntimeInconsistency,
)


def errors(results):
    return [type(r) for r in results]


def test_all_kinds_at_once(client, base):
    client.create(base + "/old")
    client.create(base + "/gone")
    t = client.transaction()
    t.create(base + "/new", b"n")
    t.set_data(base + "/old", b"s")
    t.delete(base + "/gone")
    t.check(base + "/old", 1)
    path, stat, deleted, checked = t.commit()
    assert path == base + "/new" and stat.version == 1 and deleted is True and checked is True
    assert client.get(base + "/old")[0] == b"s"
    assert sorted(client.get_children(base)) == ["new", "old"]


def test_an_empty_one(client):
    assert client.transaction().commit() == []


def test_one_zxid_for_all(client, base):
    t = client.transaction()
    for name in "abc":
        t.create(f"{base}/{name}")
    t.commit()
    assert len({client.exists(f"{base}/{name}").czxid for name in "abc"}) == 1


def test_later_operations_see_the_earlier(client, base):
    t = client.transaction()
    t.create(base + "/a")
    t.create(base + "/a/b")
    t.set_data(base + "/a/b", b"x", version=0)
    t.check(base + "/a/b", 1)
    t.delete(base + "/a/b")
    t.create(base + "/a/c")
    assert not any(isinstance(r, Exception) for r in t.commit())
    assert client.get_children(base + "/a") == ["c"]


def test_the_failed_one_rolls_back_the_rest(client, base):
    t = client.transaction()
    t.create(base + "/a")
    t.create(base + "/b")
    t.create(base + "/none/c")
    t.create(base + "/d")
    assert errors(t.commit()) == [RolledBackError, RolledBackError, NoNodeError, RuntimeInconsistency]
    assert client.get_children(base) == []


def test_a_rolled_back_one_changes_no_counter(client, base):
    before = client.exists(base)
    t = client.transaction()
    t.create(base + "/s-", sequence=True)
    t.check(base, 99)
    t.commit()
    after = client.exists(base)
    assert (after.cversion, after.pzxid, after.version) == (before.cversion, before.pzxid, before.version)
    assert client.create(base + "/s-", sequence=True).endswith("s-0000000000")


@pytest.mark.parametrize("add, error", [
    (lambda t, b: t.create(b), NodeExistsError),
    (lambda t, b: t.create(b + "/e/x"), NoChildrenForEphemeralsError),
    (lambda t, b: t.delete(b + "/p"), NotEmptyError),
    (lambda t, b: t.delete(b + "/none"), NoNodeError),
    (lambda t, b: t.delete(b + "/e", 7), BadVersionError),
    (lambda t, b: t.set_data(b + "/none", b""), NoNodeError),
    (lambda t, b: t.set_data(b + "/e", b"", 7), BadVersionError),
    (lambda t, b: t.check(b + "/none", 0), NoNodeError),
    (lambda t, b: t.check(b + "/e", 7), BadVersionError),
])
def test_each_error_by_itself(client, base, add, error):
    client.create(base + "/p/child", makepath=True)
    client.create(base + "/e", ephemeral=True)
    t = client.transaction()
    t.create(base + "/first")
    add(t, base)
    t.create(base + "/last")
    assert errors(t.commit()) == [RolledBackError, error, RuntimeInconsistency]
    assert client.exists(base + "/first") is None


def test_the_first_fails(client, base):
    t = client.transaction()
    t.check(base, 5)
    t.create(base + "/a")
    assert errors(t.commit()) == [BadVersionError, RuntimeInconsistency]


def test_ephemeral_and_sequential(client, base):
    t = client.transaction()
    t.create(base + "/e", ephemeral=True)
    t.create(base + "/s-", sequence=True)
    t.create(base + "/s-", sequence=True)
    results = t.commit()
    assert results == [base + "/e", base + "/s-0000000001", base + "/s-0000000002"]
    assert client.exists(base + "/e").ephemeralOwner == client.client_id[0]


def test_delete_and_create_again(client, base):
    client.create(base + "/a", b"old")
    client.set(base + "/a", b"older")
    t = client.transaction()
    t.delete(base + "/a")
    t.create(base + "/a", b"new")
    t.commit()
    value, stat = client.get(base + "/a")
    assert value == b"new" and stat.version == 0


def test_as_a_context(client, base):
    with client.transaction() as t:
        t.create(base + "/a")
        t.set_data(base + "/a", b"x")
    assert client.get(base + "/a")[0] == b"x"


def test_in_a_chroot(rooted, client, base):
    t = rooted.transaction()
    t.create("/a")
    t.create("/a/s-", sequence=True)
    assert t.commit() == ["/a", "/a/s-0000000000"]
    client.sync(base)
    assert client.get_children(base + "/a") == ["s-0000000000"]


def test_five_hundred_operations(client, base):
    t = client.transaction()
    for i in range(500):
        t.create(f"{base}/{i}")
    assert len(t.commit()) == 500
    assert client.exists(base).numChildren == 500


def test_events_of_a_transaction_come_once_each(client, base):
    seen = []
    client.create(base + "/a")
    client.get(base + "/a", watch=seen.append)
    client.get_children(base, watch=seen.append)
    t = client.transaction()
    t.set_data(base + "/a", b"1")
    t.set_data(base + "/a", b"2")
    t.create(base + "/b")
    t.create(base + "/c")
    t.commit()
    client.sync(base)
    client.exists(base)
    from harness.wait import until
    until(lambda: len(seen) >= 2)
    assert sorted((e.type, e.path) for e in seen) == [("CHANGED", base + "/a"), ("CHILD", base)]


def test_concurrent_compare_and_set(connect, base):
    clients = [connect() for _ in range(4)]
    wins = []
    for round_number in range(10):
        transactions = []
        for i, c in enumerate(clients):
            t = c.transaction()
            t.check(base, round_number)
            t.set_data(base, str(i).encode())
            transactions.append(t.commit_async())
        results = [t.get(10) for t in transactions]
        wins.append(sum(not isinstance(r[0], Exception) for r in results))
    assert wins == [1] * 10
