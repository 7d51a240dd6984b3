package polyport.e2e;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** ZooKeeper's own client, for what Curator does not pass on. */
@Timeout(60)
class ClientTest {
    private ZooKeeper client;
    private String base;

    @BeforeEach
    void connect() throws Exception {
        client = Server.client();
        base = Server.path("client");
        client.create(base, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    @AfterEach
    void close() throws Exception {
        client.close();
    }

    private String create(String name) throws Exception {
        return client.create(base + name, name.getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    @Test
    void createFillsTheStat() throws Exception {
        Stat made = new Stat();
        client.create(base + "/a", "abc".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, made);
        assertEquals(client.exists(base + "/a", false), made);
        assertEquals(3, made.getDataLength());
    }

    @Test
    void multiReturnsEachResult() throws Exception {
        create("/old");
        List<OpResult> results = client.multi(List.of(
                Op.check(base + "/old", 0),
                Op.create(base + "/new", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(base + "/e", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
                Op.create(base + "/c", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create(base + "/t", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
                Op.setData(base + "/old", "x".getBytes(), 0),
                Op.delete(base + "/old", 1)));
        assertEquals(7, results.size());
        assertEquals(base + "/new", ((OpResult.CreateResult) results.get(1)).getPath());
        assertEquals(1, ((OpResult.SetDataResult) results.get(5)).getStat().getVersion());
    }

    @Test
    void aFailedMultiNamesTheFailure() throws Exception {
        KeeperException failed = assertThrows(KeeperException.NoNodeException.class, () -> client.multi(List.of(
                Op.create(base + "/x", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.delete(base + "/none", -1),
                Op.create(base + "/y", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))));
        List<Integer> errors = failed.getResults().stream()
                .map(r -> ((OpResult.ErrorResult) r).getErr()).collect(Collectors.toList());
        assertEquals(List.of(0, KeeperException.Code.NONODE.intValue(),
                KeeperException.Code.RUNTIMEINCONSISTENCY.intValue()), errors);
        assertNull(client.exists(base + "/x", false));
    }

    @Test
    void multiReadAnswersEachByItself() throws Exception {
        create("/a");
        List<OpResult> results = client.multi(List.of(
                Op.getData(base + "/a"), Op.getChildren(base), Op.getData(base + "/none"), Op.getData(base)));
        assertArrayEquals("/a".getBytes(), ((OpResult.GetDataResult) results.get(0)).getData());
        assertEquals(List.of("a"), ((OpResult.GetChildrenResult) results.get(1)).getChildren());
        assertEquals(KeeperException.Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
        assertEquals(0, ((OpResult.GetDataResult) results.get(3)).getStat().getVersion());
    }

    @Test
    void transactionsBuildMultis() throws Exception {
        List<OpResult> results = client.transaction()
                .create(base + "/a", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
                .setData(base + "/a", "x".getBytes(), 0)
                .check(base + "/a", 1)
                .commit();
        assertEquals(3, results.size());
    }

    @Test
    void ttlNodesEnd() throws Exception {
        Stat stat = new Stat();
        client.create(base + "/t", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 300);
        Server.until(() -> client.exists(base + "/t", false) == null);
    }

    @Test
    void containersEnd() throws Exception {
        client.create(base + "/c", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        create("/c/x");
        client.delete(base + "/c/x", -1);
        Server.until(() -> client.exists(base + "/c", false) == null);
    }

    @Test
    void persistentWatches() throws Exception {
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        client.addWatch(base, events::add, AddWatchMode.PERSISTENT);
        client.setData(base, "1".getBytes(), -1);
        client.setData(base, "2".getBytes(), -1);
        create("/a");
        assertEquals(EventType.NodeDataChanged, Server.take(events).getType());
        assertEquals(EventType.NodeDataChanged, Server.take(events).getType());
        assertEquals(EventType.NodeChildrenChanged, Server.take(events).getType());
    }

    @Test
    void recursiveWatches() throws Exception {
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        client.addWatch(base, events::add, AddWatchMode.PERSISTENT_RECURSIVE);
        create("/a");
        create("/a/b");
        client.setData(base + "/a/b", "x".getBytes(), -1);
        client.delete(base + "/a/b", -1);
        List<String> seen = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            WatchedEvent event = Server.take(events);
            seen.add(event.getType() + " " + event.getPath().substring(base.length()));
        }
        assertEquals(List.of("NodeCreated /a", "NodeCreated /a/b", "NodeDataChanged /a/b", "NodeDeleted /a/b"), seen);
    }

    @Test
    void watchesAreRemovedByKind() throws Exception {
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        Watcher watcher = events::add;
        client.getData(base, watcher, null);
        client.getChildren(base, watcher);
        client.removeWatches(base, watcher, Watcher.WatcherType.Data, false);
        assertEquals(EventType.DataWatchRemoved, Server.take(events).getType());
        client.setData(base, "x".getBytes(), -1);
        create("/a");
        assertEquals(EventType.NodeChildrenChanged, Server.take(events).getType());
        assertThrows(KeeperException.NoWatcherException.class,
                () -> client.removeWatches(base, watcher, Watcher.WatcherType.Any, false));
    }

    @Test
    void allWatchesAreRemoved() throws Exception {
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        client.addWatch(base, events::add, AddWatchMode.PERSISTENT);
        client.removeAllWatches(base, Watcher.WatcherType.Any, false);
        assertEquals(EventType.PersistentWatchRemoved, Server.take(events).getType());
        client.setData(base, "x".getBytes(), -1);
        client.exists(base, false);
        assertTrue(events.isEmpty());
    }

    @Test
    void ephemeralsAreListed() throws Exception {
        client.create(base + "/e1", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        client.create(base + "/e2", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        assertEquals(Set.of(base + "/e1", base + "/e2"), Set.copyOf(client.getEphemerals()));
        assertEquals(List.of(base + "/e2"), client.getEphemerals(base + "/e2"));
    }

    @Test
    void allChildrenAreCounted() throws Exception {
        create("/a");
        create("/a/b");
        create("/c");
        assertEquals(3, client.getAllChildrenNumber(base));
    }

    @Test
    void whoAmI() throws Exception {
        client.addAuthInfo("digest", "alice:secret".getBytes());
        Set<String> schemes = client.whoAmI().stream().map(ClientInfo::getAuthScheme).collect(Collectors.toSet());
        assertEquals(Set.of("ip", "digest"), schemes);
    }

    @Test
    void aclsOfTheCreator() throws Exception {
        client.addAuthInfo("digest", "alice:secret".getBytes());
        client.create(base + "/p", new byte[0], Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        ZooKeeper other = Server.client();
        try {
            CountDownLatch synced = new CountDownLatch(1);
            other.sync(base, (rc, path, ctx) -> synced.countDown(), null);
            assertTrue(synced.await(10, TimeUnit.SECONDS));
            assertThrows(KeeperException.NoAuthException.class, () -> other.getData(base + "/p", false, null));
            other.addAuthInfo("digest", "alice:secret".getBytes());
            assertEquals(0, other.getData(base + "/p", false, null).length);
        } finally {
            other.close();
        }
    }

    @Test
    void asyncCallbacksComeInOrder() throws Exception {
        int count = 1000;
        List<Integer> order = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch done = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            switch (i % 4) {
                case 0 -> client.create(base + "/" + i, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (AsyncCallback.StringCallback) (rc, p, ctx, n) -> note(order, done, ctx), i);
                case 1 -> client.setData(base, new byte[0], -1, (rc, p, ctx, s) -> note(order, done, ctx), i);
                case 2 -> client.getData(base, false, (rc, p, ctx, d, s) -> note(order, done, ctx), i);
                default -> client.getChildren(base, false,
                        (AsyncCallback.ChildrenCallback) (rc, p, ctx, c) -> note(order, done, ctx), i);
            }
        }
        assertTrue(done.await(30, TimeUnit.SECONDS));
        for (int i = 0; i < count; i++) {
            assertEquals(i, order.get(i));
        }
    }

    private static void note(List<Integer> order, CountDownLatch done, Object context) {
        order.add((Integer) context);
        done.countDown();
    }

    @Test
    void aSessionIsTakenOver() throws Exception {
        client.create(base + "/e", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper second = new ZooKeeper(Server.CONNECT, Server.TIMEOUT_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        }, client.getSessionId(), client.getSessionPasswd());
        assertTrue(connected.await(15, TimeUnit.SECONDS));
        assertEquals(client.getSessionId(), second.getSessionId());
        second.close();
    }

    @Test
    void aClosedSessionIsExpired() throws Exception {
        ZooKeeper first = Server.client();
        long id = first.getSessionId();
        byte[] password = first.getSessionPasswd();
        first.close();
        CountDownLatch expired = new CountDownLatch(1);
        ZooKeeper second = new ZooKeeper(Server.CONNECT, Server.TIMEOUT_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.Expired) {
                expired.countDown();
            }
        }, id, password);
        assertTrue(expired.await(15, TimeUnit.SECONDS));
        second.close();
    }

    @Test
    void configAndReconfig() throws Exception {
        try (ZooKeeperAdmin admin = new ZooKeeperAdmin(Server.CONNECT, Server.TIMEOUT_MS, event -> {})) {
            admin.addAuthInfo("digest", "super:test".getBytes());
            Stat stat = new Stat();
            String config = new String(admin.getConfig(false, stat));
            if (Server.NODES == 1 && config.contains("server.1=")) {
                // A Polyport node alone is an ensemble of one (COMPAT.md).
                assertEquals(1, config.lines().filter(line -> line.startsWith("server.")).count());
                return;
            }
            if (Server.NODES == 1) {
                assertThrows(KeeperException.UnimplementedException.class,
                        () -> admin.reconfigure(null, "3", null, -1, null));
                return;
            }
            assertEquals(3, config.lines().filter(line -> line.startsWith("server.")).count());
            assertThrows(KeeperException.BadVersionException.class,
                    () -> admin.reconfigure(null, "3", null, 12345, null));
            assertThrows(KeeperException.BadArgumentsException.class,
                    () -> admin.reconfigure("server.9=nonsense", null, null, -1, null));
        }
    }

    @Test
    void reconfigNeedsTheRight() throws Exception {
        if (Server.NODES > 1) {
            try (ZooKeeperAdmin admin = new ZooKeeperAdmin(Server.CONNECT, Server.TIMEOUT_MS, event -> {})) {
                assertThrows(KeeperException.NoAuthException.class,
                        () -> admin.reconfigure(null, "3", null, -1, null));
            }
        }
    }

    @Test
    void largeDataAndItsLimit() throws Exception {
        byte[] large = new byte[1_000_000];
        client.setData(base, large, -1);
        assertEquals(large.length, client.getData(base, false, null).length);
        assertThrows(KeeperException.ConnectionLossException.class, () -> client.setData(base, new byte[1_100_000], -1));
        Server.until(() -> {
            try {
                return client.getData(base, false, null).length == large.length;
            } catch (KeeperException.ConnectionLossException stillDown) {
                return false;
            }
        });
    }

    @Test
    void ordinaryOperationsFailAsDocumented() throws Exception {
        assertThrows(KeeperException.NodeExistsException.class,
                () -> client.create(base, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        create("/a");
        assertThrows(KeeperException.NotEmptyException.class, () -> client.delete(base, -1));
        assertThrows(KeeperException.BadVersionException.class, () -> client.delete(base + "/a", 4));
        assertThrows(KeeperException.InvalidACLException.class,
                () -> client.create(base + "/b", new byte[0], Collections.emptyList(), CreateMode.PERSISTENT));
        assertFalse(client.getChildren(base, false).contains("b"));
        assertNotEquals(0, client.getSessionId());
    }
}
