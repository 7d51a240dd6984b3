"""The recipes that ship with kazoo."""

import queue
import threading
import time
import uuid

import pytest
from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeCache, TreeEvent

from harness.wait import until


def run(*functions):
    """Each in a thread; waits for all and raises what one raised."""
    failures = []

    def guarded(function):
        try:
            function()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(f,), daemon=True) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
        assert not t.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


def test_lock_excludes(connect, base):
    inside, most, lock_guard = [0], [0], threading.Lock()

    def work(c):
        def body():
            for _ in range(5):
                with c.Lock(base + "/lock", "me"):
                    with lock_guard:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                    time.sleep(0.005)
                    with lock_guard:
                        inside[0] -= 1
        return body

    run(*[work(connect()) for _ in range(4)])
    assert most == [1]


def test_lock_not_blocking(connect, base):
    a, b = connect(), connect()
    first, second = a.Lock(base + "/l", "a"), b.Lock(base + "/l", "b")
    assert first.acquire()
    assert second.acquire(blocking=False) is False
    first.release()
    assert second.acquire(timeout=5)
    second.release()


def test_lock_timeout(connect, base):
    a, b = connect(), connect()
    with a.Lock(base + "/l", "a"):
        with pytest.raises(LockTimeout):
            b.Lock(base + "/l", "b").acquire(timeout=0.3)


def test_lock_contenders(connect, base):
    a, b = connect(), connect()
    with a.Lock(base + "/l", "first"):
        waiting = b.Lock(base + "/l", "second")
        thread = threading.Thread(target=waiting.acquire, daemon=True)
        thread.start()
        watcher = a.Lock(base + "/l", "watcher")
        until(lambda: watcher.contenders() == ["first", "second"], 5)
    thread.join(10)
    assert waiting.is_acquired
    waiting.release()


def test_lock_cancel(connect, base):
    a, b = connect(), connect()
    with a.Lock(base + "/l", "a"):
        waiting, outcome = b.Lock(base + "/l", "b"), queue.Queue()

        def wait():
            try:
                waiting.acquire()
            except CancelledError:
                outcome.put("cancelled")
        threading.Thread(target=wait, daemon=True).start()
        until(lambda: "b" in waiting.contenders(), 5)
        waiting.cancel()
        assert outcome.get(timeout=5) == "cancelled"


def test_lock_of_an_expired_session_is_free(connect, end_session, base):
    a, b = connect(timeout=1.0), connect()
    assert a.Lock(base + "/l", "a").acquire()
    end_session(a.client_id)
    assert b.Lock(base + "/l", "b").acquire(timeout=10)


def test_read_locks_share_and_write_locks_do_not(connect, base):
    a, b, c = connect(), connect(), connect()
    first, second = a.ReadLock(base + "/l", "a"), b.ReadLock(base + "/l", "b")
    writer = c.WriteLock(base + "/l", "c")
    assert first.acquire(timeout=5) and second.acquire(timeout=5)
    assert writer.acquire(blocking=False) is False
    first.release()
    second.release()
    assert writer.acquire(timeout=5)
    assert a.ReadLock(base + "/l", "a").acquire(blocking=False) is False
    writer.release()


def test_semaphore_counts(connect, base):
    clients = [connect() for _ in range(3)]
    leases = [c.Semaphore(base + "/s", f"c{i}", max_leases=2) for i, c in enumerate(clients)]
    assert leases[0].acquire() and leases[1].acquire()
    assert leases[2].acquire(blocking=False) is False
    assert leases[0].lease_holders() and len(leases[0].lease_holders()) == 2
    leases[0].release()
    assert leases[2].acquire(timeout=5)
    leases[1].release()
    leases[2].release()


def test_semaphore_with_another_count_is_refused(connect, base):
    a, b = connect(), connect()
    assert a.Semaphore(base + "/s", max_leases=2).acquire()
    with pytest.raises(ValueError):
        b.Semaphore(base + "/s", max_leases=3).acquire(timeout=2)


def test_election_passes_on(connect, base):
    led, order = queue.Queue(), []
    clients = [connect() for _ in range(3)]
    elections = [c.Election(base + "/e", f"c{i}") for i, c in enumerate(clients)]
    release = [threading.Event() for _ in clients]

    def lead(i):
        order.append(i)
        led.put(i)
        release[i].wait(10)

    threads = [threading.Thread(target=e.run, args=(lead, i), daemon=True)
               for i, e in enumerate(elections)]
    for i, t in enumerate(threads):
        t.start()
        until(lambda: len(elections[0].contenders()) == i + 1, 10)
    assert elections[0].contenders() == ["c0", "c1", "c2"]
    for i in range(3):
        assert led.get(timeout=10) == i
        release[i].set()
    for t in threads:
        t.join(10)
    assert order == [0, 1, 2]


def test_barrier_waits(connect, base):
    a, b = connect(), connect()
    barrier = a.Barrier(base + "/b")
    barrier.create()
    other = b.Barrier(base + "/b")
    b.sync(base)
    assert other.wait(0.2) is False
    passed = queue.Queue()
    threading.Thread(target=lambda: passed.put(other.wait(10)), daemon=True).start()
    assert barrier.remove() is True
    assert passed.get(timeout=10) is True
    assert barrier.remove() is False


def test_double_barrier_meets(connect, base):
    log, guard = [], threading.Lock()

    def member(c):
        def body():
            barrier = c.DoubleBarrier(base + "/d", 3)
            barrier.enter()
            with guard:
                log.append("in")
            barrier.leave()
            with guard:
                log.append("out")
        return body

    run(*[member(connect()) for _ in range(3)])
    assert sorted(log) == ["in"] * 3 + ["out"] * 3
    assert log[:1] == ["in"]


def test_counter_by_many(connect, base):
    def add(c):
        def body():
            counter = c.Counter(base + "/c")
            for _ in range(10):
                counter += 1
        return body

    clients = [connect() for _ in range(3)]
    run(*[add(c) for c in clients])
    clients[0].sync(base)
    assert clients[0].Counter(base + "/c").value == 30


def test_counter_of_floats_and_defaults(client, base):
    counter = client.Counter(base + "/c", default=1.5)
    counter += 1.5
    counter -= 0.5
    assert counter.value == 2.5 and counter.post_value == 2.5


def test_queue_in_order(client, base):
    q = client.Queue(base + "/q")
    assert q.get() is None
    for value in (b"one", b"two", b"three"):
        q.put(value)
    assert len(q) == 3
    assert [q.get() for _ in range(3)] == [b"one", b"two", b"three"]


def test_queue_by_priority(client, base):
    q = client.Queue(base + "/q")
    q.put(b"low", priority=200)
    q.put(b"high", priority=1)
    q.put(b"middle")
    assert [q.get() for _ in range(3)] == [b"high", b"middle", b"low"]


def test_locking_queue_holds_and_consumes(connect, base):
    a, b = connect(), connect()
    q, other = a.LockingQueue(base + "/q"), b.LockingQueue(base + "/q")
    q.put(b"one")
    assert q.get(5) == b"one" and q.holds_lock()
    b.sync(base)
    assert other.get(0.3) is None
    assert q.consume() is True
    q.put_all([b"two", b"three"])
    assert other.get(5) == b"two"
    assert other.release() is True
    assert q.get(5) == b"two"
    q.consume()
    assert q.get(5) == b"three"
    q.consume()


def test_locking_queue_wakes_a_waiter(connect, base):
    a, b = connect(), connect()
    got = queue.Queue()
    threading.Thread(target=lambda: got.put(b.LockingQueue(base + "/q").get(10)), daemon=True).start()
    time.sleep(0.05)
    a.LockingQueue(base + "/q").put(b"late")
    assert got.get(timeout=10) == b"late"


@pytest.mark.parametrize("kind", ["Party", "ShallowParty"])
def test_parties(connect, base, kind):
    clients = [connect() for _ in range(3)]
    parties = [getattr(c, kind)(base + "/p", f"guest{i}") for i, c in enumerate(clients)]
    for party in parties:
        party.join()
    clients[0].sync(base)
    assert set(parties[0]) == {"guest0", "guest1", "guest2"} and len(parties[0]) == 3
    parties[1].leave()
    clients[2].stop()
    clients[0].sync(base)
    assert set(parties[0]) == {"guest0"}


def test_nonblocking_lease(connect, base):
    import datetime
    a, b = connect(), connect()
    assert a.NonBlockingLease(base + "/l", datetime.timedelta(seconds=30), identifier="a")
    b.sync(base)
    assert not b.NonBlockingLease(base + "/l", datetime.timedelta(seconds=30), identifier="b")
    assert a.NonBlockingLease(base + "/l", datetime.timedelta(seconds=30), identifier="a")


def test_multi_lease(connect, base):
    import datetime
    leases = []
    for i in range(3):
        c = connect()
        c.sync(base)
        leases.append(bool(c.MultiNonBlockingLease(2, base + "/m", datetime.timedelta(seconds=30),
                                                   identifier=str(i))))
    assert leases == [True, True, False]


def test_set_partitioner(connect, base):
    clients = [connect() for _ in range(2)]
    parts = [c.SetPartitioner(base + "/part", set=tuple(range(6)), time_boundary=0.2, identifier=str(i))
             for i, c in enumerate(clients)]

    def settled():
        for p in parts:
            if p.release:
                p.release_set()
            assert not p.failed
        return all(p.acquired for p in parts) and sum(len(list(p)) for p in parts) == 6

    until(settled, 20, "the partition")
    shares = [set(p) for p in parts]
    assert shares[0] | shares[1] == set(range(6)) and not shares[0] & shares[1]
    for p in parts:
        p.finish()


def test_tree_cache(client, connect, base):
    writer = connect()
    writer.create(base + "/a/b", b"1", makepath=True)
    client.sync(base)
    events = queue.Queue()
    cache = TreeCache(client, base)
    cache.listen(lambda e: events.put((e.event_type, e.event_data and e.event_data.path)))
    cache.start()
    try:
        seen = []
        while not seen or seen[-1][0] != TreeEvent.INITIALIZED:
            seen.append(events.get(timeout=10))
        assert {p for t, p in seen if t == TreeEvent.NODE_ADDED} == {base, base + "/a", base + "/a/b"}
        writer.set(base + "/a/b", b"2")
        assert events.get(timeout=10) == (TreeEvent.NODE_UPDATED, base + "/a/b")
        assert cache.get_data(base + "/a/b").data == b"2"
        writer.create(base + "/a/c")
        assert events.get(timeout=10) == (TreeEvent.NODE_ADDED, base + "/a/c")
        assert sorted(cache.get_children(base + "/a")) == ["b", "c"]
        writer.delete(base + "/a/c")
        assert events.get(timeout=10) == (TreeEvent.NODE_REMOVED, base + "/a/c")
    finally:
        cache.close()


def test_patient_children_watch(client, base):
    from kazoo.recipe.watchers import PatientChildrenWatch
    result = PatientChildrenWatch(client, base, time_boundary=0.2).start()
    names, again = result.get(10)
    assert names == []
    client.create(base + "/" + uuid.uuid4().hex)
    assert again.wait(5)
