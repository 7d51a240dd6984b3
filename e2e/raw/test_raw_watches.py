"""Watches at the protocol: which events, how often, in what place among the replies."""

import pytest

from harness.raw import (
    ADD_WATCH, CHECK_WATCHES, CHILDREN_CHANGED, CHILD_WATCH_REMOVED, DATA_CHANGED,
    DATA_WATCH_REMOVED, EPHEMERAL, NODE_CREATED, NODE_DELETED, NO_WATCHER,
    PERSISTENT_WATCH_REMOVED, REMOVE_WATCHES, SET_WATCHES, SET_WATCHES2, Failed, create_op, i32,
    i64, set_op, text, vector,
)

CHILDREN, DATA, ANY, PERSISTENT, RECURSIVE = 1, 2, 3, 4, 5


def remove(c, path, kind):
    return c.reply(REMOVE_WATCHES, text(path) + i32(kind)).error


def check(c, path, kind):
    return c.reply(CHECK_WATCHES, text(path) + i32(kind)).error


def test_an_event_has_the_right_header(raw, base):
    c, writer = raw(), raw()
    c.sync(base)
    c.get(base, watch=True)
    zxid = writer.set(base, b"x").mzxid
    event = c.next_event()
    # Since 3.9 the header carries the change's zxid; before, -1.
    assert (event.type, event.state, event.path) == (DATA_CHANGED, 3, base)
    assert event.zxid in (-1, zxid)


def test_the_own_event_comes_before_the_own_reply(raw, base):
    c = raw()
    c.get(base, watch=True)
    c.set(base, b"x")
    assert [(e.type, e.path) for e in c.events] == [(DATA_CHANGED, base)]


def test_events_come_before_the_reply_that_shows_the_change(raw, base):
    c, writer = raw(), raw()
    c.sync(base)
    for i in range(50):
        before, _ = c.get(base, watch=True)
        writer.set(base, str(i).encode())
        while True:
            value, _ = c.get(base)
            if value != before:
                break
        assert [(e.type, e.path) for e in c.events] == [(DATA_CHANGED, base)]
        c.events.clear()


def test_delete_fires_data_and_child_watches_of_the_node_and_its_parent(raw, base):
    c = raw()
    c.create(base + "/a")
    c.get(base + "/a", watch=True)
    c.children(base + "/a", watch=True)
    c.children(base, watch=True)
    c.delete(base + "/a")
    assert c.take_events() == [(NODE_DELETED, base + "/a"), (CHILDREN_CHANGED, base)]


def test_create_fires_exists_and_the_parents_children(raw, base):
    c = raw()
    c.exists(base + "/a", watch=True)
    c.children(base, watch=True)
    c.create(base + "/a")
    assert c.take_events() == [(NODE_CREATED, base + "/a"), (CHILDREN_CHANGED, base)]


def test_two_watches_of_one_kind_are_one(raw, base):
    c = raw()
    c.get(base, watch=True)
    c.get(base, watch=True)
    c.exists(base, watch=True)
    c.set(base, b"x")
    c.set(base, b"y")
    assert c.take_events() == [(DATA_CHANGED, base)]


def test_a_watch_is_of_its_session(raw, base):
    one, two = raw(), raw()
    two.sync(base)
    two.get(base, watch=True)
    one.set(base, b"x")
    assert one.take_events() == []
    assert two.next_event().type == DATA_CHANGED


def test_an_acl_change_fires_nothing(raw, base):
    c = raw()
    c.get(base, watch=True)
    c.children(base, watch=True)
    c.set_acl(base, [(31, "world", "anyone")])
    assert c.take_events() == []


def test_set_watches_fires_what_was_missed(raw, base):
    c = raw()
    c.create(base + "/data")
    c.create(base + "/gone")
    c.create(base + "/parent")
    zxid = c.last_zxid
    c.set(base + "/data", b"x")
    c.delete(base + "/gone")
    c.create(base + "/parent/new")
    c.create(base + "/appeared")
    again = raw()
    again.sync(base)
    again.call(SET_WATCHES, i64(zxid)
               + vector([base + "/data", base + "/gone", base], text)
               + vector([base + "/appeared", base + "/never"], text)
               + vector([base + "/parent", base + "/gone"], text), xid=-8).end()
    assert sorted(again.take_events()) == sorted([
        (DATA_CHANGED, base + "/data"), (NODE_DELETED, base + "/gone"),
        (NODE_CREATED, base + "/appeared"), (CHILDREN_CHANGED, base + "/parent"),
        (NODE_DELETED, base + "/gone"),
    ])
    again.create(base + "/never")
    assert again.take_events() == [(NODE_CREATED, base + "/never")]
    again.set(base, b"now")
    assert again.take_events() == [(DATA_CHANGED, base)]


def test_set_watches2_restores_persistent_ones(raw, base):
    c = raw()
    c.create(base + "/p")
    c.create(base + "/r")
    again = raw()
    again.sync(base)
    again.call(SET_WATCHES2, i64(again.last_zxid) + vector([], text) * 3
               + vector([base + "/p"], text) + vector([base + "/r"], text), xid=-8).end()
    again.set(base + "/p", b"1")
    again.create(base + "/p/child")
    again.create(base + "/r/child")
    again.set(base + "/r/child", b"2")
    assert again.take_events() == [
        (DATA_CHANGED, base + "/p"), (CHILDREN_CHANGED, base + "/p"),
        (NODE_CREATED, base + "/r/child"), (DATA_CHANGED, base + "/r/child"),
    ]


def test_persistent_watches_stay(raw, base):
    c = raw()
    c.add_watch(base, 0)
    for i in range(3):
        c.set(base, b"x")
    c.create(base + "/a")
    c.set(base + "/a", b"not seen")
    c.create(base + "/a/b")
    c.delete(base + "/a/b")
    c.delete(base + "/a")
    assert c.take_events() == [(DATA_CHANGED, base)] * 3 + [(CHILDREN_CHANGED, base)] * 2


def test_persistent_watches_of_nothing_see_the_birth(raw, base):
    c = raw()
    c.add_watch(base + "/a", 0)
    c.create(base + "/a")
    c.delete(base + "/a")
    c.create(base + "/a")
    assert c.take_events() == [(NODE_CREATED, base + "/a"), (NODE_DELETED, base + "/a"),
                               (NODE_CREATED, base + "/a")]


def test_recursive_watches_see_the_whole_tree_but_no_child_events(raw, base):
    c = raw()
    c.add_watch(base, 1)
    c.create(base + "/a")
    c.create(base + "/a/b")
    c.set(base + "/a/b", b"x")
    c.set(base, b"x")
    c.delete(base + "/a/b")
    c.delete(base + "/a")
    assert c.take_events() == [
        (NODE_CREATED, base + "/a"), (NODE_CREATED, base + "/a/b"), (DATA_CHANGED, base + "/a/b"),
        (DATA_CHANGED, base), (NODE_DELETED, base + "/a/b"), (NODE_DELETED, base + "/a"),
    ]


def test_recursive_watches_do_not_see_neighbours(raw, base):
    c = raw()
    c.create(base + "/a")
    c.create(base + "/ab")
    c.add_watch(base + "/a", 1)
    c.set(base + "/ab", b"x")
    c.create(base + "/ab/c")
    assert c.take_events() == []


def test_a_recursive_watch_on_the_root(raw, base):
    c = raw()
    c.add_watch("/", 1)
    c.create(base + "/deep")
    assert (NODE_CREATED, base + "/deep") in c.take_events()


def test_both_modes_on_one_path(raw, base):
    """3.9: the one does not replace the other; each event comes once."""
    c = raw()
    c.add_watch(base, 0)
    c.add_watch(base, 1)
    c.create(base + "/a")
    c.set(base, b"x")
    events = c.take_events()
    assert (NODE_CREATED, base + "/a") in events and (CHILDREN_CHANGED, base) in events
    assert events.count((DATA_CHANGED, base)) == 1


def test_a_one_shot_and_a_persistent_watch_are_one_event(raw, base):
    c = raw()
    c.add_watch(base, 0)
    c.get(base, watch=True)
    c.set(base, b"x")
    c.set(base, b"y")
    assert c.take_events() == [(DATA_CHANGED, base)] * 2


@pytest.mark.parametrize("mode", [2, -1, 99])
def test_unknown_modes_are_refused(raw, base, mode):
    c = raw()
    c.send(ADD_WATCH, text(base) + i32(mode))
    try:
        assert c.receive().error != 0
    except Exception as ended:
        assert type(ended).__name__ == "Closed"


def test_check_watches(raw, base):
    c = raw()
    c.get(base, watch=True)
    assert check(c, base, DATA) == 0 and check(c, base, ANY) == 0
    assert check(c, base, CHILDREN) == NO_WATCHER
    c.children(base, watch=True)
    assert check(c, base, CHILDREN) == 0


def test_remove_watches(raw, base):
    c = raw()
    c.get(base, watch=True)
    c.children(base, watch=True)
    assert remove(c, base, DATA) == 0
    assert check(c, base, DATA) == NO_WATCHER and check(c, base, CHILDREN) == 0
    c.set(base, b"x")
    assert c.take_events() == []
    c.create(base + "/a")
    assert c.take_events() == [(CHILDREN_CHANGED, base)]


def test_remove_any(raw, base):
    c = raw()
    c.get(base, watch=True)
    c.children(base, watch=True)
    assert remove(c, base, ANY) == 0
    c.set(base, b"x")
    c.create(base + "/a")
    assert c.take_events() == []
    assert remove(c, base, ANY) == NO_WATCHER


@pytest.mark.parametrize("mode, kind", [(0, PERSISTENT), (1, RECURSIVE), (0, ANY), (1, ANY)])
def test_remove_persistent(raw, base, mode, kind):
    c = raw()
    c.add_watch(base, mode)
    assert check(c, base, kind) == 0
    assert remove(c, base, kind) == 0
    c.set(base, b"x")
    assert c.take_events() == []
    assert check(c, base, kind) == NO_WATCHER


def test_the_removal_of_a_one_shot_watch_leaves_the_persistent(raw, base):
    c = raw()
    c.add_watch(base, 0)
    c.get(base, watch=True)
    remove(c, base, DATA)
    c.set(base, b"x")
    assert c.take_events() == [(DATA_CHANGED, base)]


def test_watches_end_with_the_connection(raw, base):
    c, other = raw(), raw()
    c.get(base, watch=True)
    c.add_watch(base, 0)
    c.drop()
    again = raw(session=c.session, password=c.password)
    other.set(base, b"x")
    again.sync(base)
    assert again.take_events() == []


def test_expiry_fires_the_deletes_of_ephemerals(raw, base):
    dying, c = raw(timeout_ms=400), raw()
    dying.create(base + "/e", mode=EPHEMERAL)
    c.sync(base)
    c.add_watch(base, 1)
    dying.drop()
    event = c.next_event(10)
    assert (event.type, event.path) == (NODE_DELETED, base + "/e")


def test_a_multi_fires_each_change_in_order(raw, base):
    c = raw()
    c.add_watch(base, 1)
    c.multi([create_op(base + "/1"), create_op(base + "/2"), set_op(base + "/1", b"x"),
             create_op(base + "/1/3")])
    assert c.take_events() == [(NODE_CREATED, base + "/1"), (NODE_CREATED, base + "/2"),
                               (DATA_CHANGED, base + "/1"), (NODE_CREATED, base + "/1/3")]


def test_a_failed_multi_fires_nothing(raw, base):
    c = raw()
    c.add_watch(base, 1)
    c.multi([create_op(base + "/1"), set_op(base + "/none", b"")])
    assert c.take_events() == []


def test_a_watch_needs_no_right_to_be_told_of_a_removal(raw, base):
    """A node closed after the watch was set: the event still comes, its data does not."""
    c = raw()
    c.create(base + "/a")
    c.get(base + "/a", watch=True)
    c.set_acl(base + "/a", [(31, "digest", "nobody:x")])
    with pytest.raises(Failed):
        c.get(base + "/a")
    c.delete(base + "/a")
    assert c.take_events() in ([(NODE_DELETED, base + "/a")], [])


def test_removal_events_have_no_place_on_the_wire(raw, base):
    """Types 5 to 7 are made by the Java client itself."""
    c = raw()
    c.get(base, watch=True)
    c.children(base, watch=True)
    c.add_watch(base, 0)
    remove(c, base, ANY)
    kinds = {kind for kind, _ in c.take_events()}
    assert not kinds & {DATA_WATCH_REMOVED, CHILD_WATCH_REMOVED, PERSISTENT_WATCH_REMOVED}


def test_thousands_of_watches_fire_in_the_order_of_changes(raw, base):
    c, writer = raw(), raw()
    c.sync(base)
    c.add_watch(base, 1)
    from harness.raw import CREATE, acl, buffer
    for i in range(2000):
        writer.send(CREATE, text(f"{base}/{i}") + buffer(b"") + acl() + i32(0))
    for _ in range(2000):
        assert writer.receive().error == 0
    assert [c.next_event().path for _ in range(2000)] == [f"{base}/{i}" for i in range(2000)]
