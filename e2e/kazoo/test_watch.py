"""One-shot watches and the helpers kazoo builds on them."""

import queue
import threading

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.protocol.states import EventType

from harness.wait import until


class Events(queue.Queue):
    """A watcher that keeps what it is given."""

    def __call__(self, event):
        self.put((event.type, event.path))

    def next(self):
        return self.get(timeout=5)

    def none(self, client):
        """No event, after everything before has been answered."""
        client.exists("/")
        client.handler.callback_queue.put(lambda: self.put("end"))
        return self.get(timeout=5) == "end"


def test_get_sees_a_change(client, base):
    events = Events()
    client.get(base, watch=events)
    client.set(base, b"x")
    assert events.next() == (EventType.CHANGED, base)


def test_get_sees_a_delete(client, base):
    events = Events()
    client.create(base + "/a")
    client.get(base + "/a", watch=events)
    client.delete(base + "/a")
    assert events.next() == (EventType.DELETED, base + "/a")


def test_exists_sees_a_create(client, base):
    events = Events()
    assert client.exists(base + "/a", watch=events) is None
    client.create(base + "/a")
    assert events.next() == (EventType.CREATED, base + "/a")


def test_exists_sees_a_change(client, base):
    events = Events()
    client.exists(base, watch=events)
    client.set(base, b"x")
    assert events.next() == (EventType.CHANGED, base)


def test_children_see_a_create_and_a_delete(client, base):
    events = Events()
    client.get_children(base, watch=events)
    client.create(base + "/a")
    assert events.next() == (EventType.CHILD, base)
    client.get_children(base, watch=events)
    client.delete(base + "/a")
    assert events.next() == (EventType.CHILD, base)


def test_children_see_the_parent_go(client, base):
    events = Events()
    client.create(base + "/a")
    client.get_children(base + "/a", watch=events)
    client.delete(base + "/a")
    assert events.next() == (EventType.DELETED, base + "/a")


def test_children_do_not_see_data(client, base):
    events = Events()
    client.create(base + "/a")
    client.get_children(base, watch=events)
    client.set(base, b"x")
    client.set(base + "/a", b"x")
    assert events.none(client)


def test_data_does_not_see_children(client, base):
    events = Events()
    client.get(base, watch=events)
    client.create(base + "/a")
    assert events.none(client)


def test_a_watch_fires_once(client, base):
    events = Events()
    client.get(base, watch=events)
    client.set(base, b"1")
    client.set(base, b"2")
    assert events.next() == (EventType.CHANGED, base)
    assert events.none(client)


def test_get_of_nothing_leaves_no_watch(client, base):
    events = Events()
    with pytest.raises(NoNodeError):
        client.get(base + "/a", watch=events)
    client.create(base + "/a")
    assert events.none(client)


def test_a_failed_write_fires_nothing(client, base):
    events = Events()
    client.get(base, watch=events)
    with pytest.raises(Exception):
        client.set(base, b"x", version=9)
    assert events.none(client)


def test_others_are_told(client, connect, base):
    events = Events()
    other = connect()
    other.sync(base)
    other.get(base, watch=events)
    client.set(base, b"x")
    assert events.next() == (EventType.CHANGED, base)


def test_the_event_comes_before_the_new_data(client, connect, base):
    """A client never sees a change before it has been told of it."""
    other = connect()
    other.sync(base)
    for i in range(30):
        told = threading.Event()
        value, _ = other.get(base, watch=lambda _: told.set())
        client.set(base, str(i).encode())
        until(lambda: other.get(base)[0] != value, what="the new value")
        assert told.wait(2)


def test_many_watchers_of_one_node(connect, base):
    clients = [connect() for _ in range(10)]
    events = Events()
    for c in clients:
        c.sync(base)
        c.get(base, watch=events)
    clients[0].set(base, b"x")
    assert [events.next() for _ in clients] == [(EventType.CHANGED, base)] * 10


def test_an_ephemeral_of_a_closed_session_fires(client, connect, base):
    events = Events()
    other = connect()
    other.create(base + "/e", ephemeral=True)
    client.sync(base)
    client.exists(base + "/e", watch=events)
    client.get_children(base, watch=events)
    other.stop()
    assert {events.next(), events.next()} == {
        (EventType.DELETED, base + "/e"), (EventType.CHILD, base)}


def test_a_data_watch_survives_a_reconnection(client, base):
    seen = queue.Queue()
    client.DataWatch(base, lambda data, stat: seen.put(data))
    client._connection._socket.shutdown(2)
    client.retry(client.exists, base)
    client.set(base, b"x")
    until(lambda: b"x" in list(seen.queue))


def test_a_watch_in_a_chroot_says_the_short_path(rooted):
    events = Events()
    rooted.create("/a")
    rooted.get("/a", watch=events)
    rooted.set("/a", b"x")
    assert events.next() == (EventType.CHANGED, "/a")


def test_a_thousand_watches(client, base):
    events = Events()
    for i in range(1000):
        client.create_async(f"{base}/{i}")
    for result in [client.get_async(f"{base}/{i}", watch=events) for i in range(1000)]:
        result.get(20)
    for i in range(1000):
        client.set_async(f"{base}/{i}", b"x")
    seen = [events.next()[1] for _ in range(1000)]
    assert seen == [f"{base}/{i}" for i in range(1000)]


def test_data_watch_follows(client, base):
    seen = queue.Queue()
    client.DataWatch(base + "/a", lambda data, stat: seen.put(data))
    assert seen.get(timeout=5) is None
    client.create(base + "/a", b"1")
    assert seen.get(timeout=5) == b"1"
    client.set(base + "/a", b"2")
    assert seen.get(timeout=5) == b"2"
    client.delete(base + "/a")
    assert seen.get(timeout=5) is None


def test_data_watch_ends_with_false(client, base):
    calls = []

    @client.DataWatch(base)
    def watch(data, stat):
        calls.append(data)
        return False

    client.set(base, b"1")
    client.get(base)
    assert calls == [b""]


def test_data_watch_with_the_event(client, base):
    seen = queue.Queue()
    client.DataWatch(base, lambda data, stat, event: seen.put(event and event.type))
    assert seen.get(timeout=5) is None
    client.set(base, b"1")
    assert seen.get(timeout=5) == EventType.CHANGED


def test_children_watch_follows(client, base):
    seen = queue.Queue()
    client.ChildrenWatch(base, lambda names: seen.put(sorted(names)))
    assert seen.get(timeout=5) == []
    client.create(base + "/a")
    assert seen.get(timeout=5) == ["a"]
    client.create(base + "/b")
    assert seen.get(timeout=5) == ["a", "b"]
    client.delete(base + "/a")
    assert seen.get(timeout=5) == ["b"]


def test_data_watch_over_an_expiry(client, base):
    seen = queue.Queue()
    client.DataWatch(base, lambda data, stat: seen.put(data))
    assert seen.get(timeout=5) == b""
    from kazoo.protocol.connection import _SESSION_EXPIRED
    client._call(_SESSION_EXPIRED, None)
    client.retry(client.set, base, b"after")
    until(lambda: b"after" in list(seen.queue))
