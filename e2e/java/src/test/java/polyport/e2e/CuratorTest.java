package polyport.e2e;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.async.AsyncCuratorFramework;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.data.Stat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Curator's recipes, each as an application uses it. */
@Timeout(60)
class CuratorTest {
    private final List<CuratorFramework> clients = new ArrayList<>();
    private CuratorFramework client;

    @BeforeEach
    void connect() throws Exception {
        client = another();
    }

    @AfterEach
    void close() {
        clients.forEach(CuratorFramework::close);
    }

    private CuratorFramework another() throws Exception {
        CuratorFramework made = Server.curator();
        clients.add(made);
        return made;
    }

    private void sync(CuratorFramework who, String path) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        who.sync().inBackground((c, e) -> done.countDown()).forPath(path);
        assertTrue(done.await(10, TimeUnit.SECONDS));
    }

    @Test
    void createsReadsWritesAndDeletes() throws Exception {
        String path = Server.path("crud");
        assertEquals(path + "/a/b", client.create().creatingParentsIfNeeded().forPath(path + "/a/b", "x".getBytes()));
        Stat stat = new Stat();
        assertArrayEquals("x".getBytes(), client.getData().storingStatIn(stat).forPath(path + "/a/b"));
        assertEquals(0, stat.getVersion());
        assertEquals(1, client.setData().withVersion(0).forPath(path + "/a/b", "y".getBytes()).getVersion());
        assertThrows(KeeperException.BadVersionException.class,
                () -> client.setData().withVersion(0).forPath(path + "/a/b", "z".getBytes()));
        assertEquals(List.of("a"), client.getChildren().forPath(path));
        client.delete().deletingChildrenIfNeeded().forPath(path);
        assertNull(client.checkExists().forPath(path));
    }

    @Test
    void createsWithEveryMode() throws Exception {
        String path = Server.path("modes");
        client.create().forPath(path);
        for (CreateMode mode : CreateMode.values()) {
            String made = mode.isTTL()
                    ? client.create().withTtl(600_000).withMode(mode).forPath(path + "/" + mode)
                    : client.create().withMode(mode).forPath(path + "/" + mode);
            assertEquals(mode.isSequential(), !made.equals(path + "/" + mode), made);
            Stat stat = client.checkExists().forPath(made);
            assertEquals(mode.isEphemeral() ? client.getZookeeperClient().getZooKeeper().getSessionId() : 0,
                    mode.isEphemeral() ? stat.getEphemeralOwner() : 0);
        }
    }

    @Test
    void createsParentsAsContainersThatGo() throws Exception {
        String path = Server.path("containers");
        client.create().creatingParentContainersIfNeeded().forPath(path + "/child");
        client.delete().forPath(path + "/child");
        Server.until(() -> client.checkExists().forPath(path) == null);
    }

    @Test
    void protectsSequentialCreates() throws Exception {
        String path = Server.path("protect");
        client.create().forPath(path);
        String made = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(path + "/n-");
        assertTrue(made.contains("_c_") && made.endsWith("n-0000000000"), made);
    }

    @Test
    void transactionsAreAllOrNothing() throws Exception {
        String path = Server.path("tx");
        List<CuratorTransactionResult> done = client.transaction().forOperations(
                client.transactionOp().create().forPath(path, "1".getBytes()),
                client.transactionOp().create().withMode(CreateMode.CONTAINER).forPath(path + "/c"),
                client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(path + "/s-"),
                client.transactionOp().setData().withVersion(0).forPath(path, "2".getBytes()),
                client.transactionOp().check().withVersion(1).forPath(path));
        assertEquals(5, done.size());
        assertEquals(path + "/s-0000000001", done.get(2).getResultPath());
        assertEquals(1, done.get(3).getResultStat().getVersion());
        KeeperException failed = assertThrows(KeeperException.class, () -> client.transaction().forOperations(
                client.transactionOp().create().forPath(path + "/no"),
                client.transactionOp().delete().withVersion(9).forPath(path),
                client.transactionOp().create().forPath(path + "/neither")));
        assertEquals(3, failed.getResults().size());
        assertNull(client.checkExists().forPath(path + "/no"));
    }

    @Test
    void leaderLatchPassesOn() throws Exception {
        String path = Server.path("latch");
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            LeaderLatch latch = new LeaderLatch(another(), path, "c" + i);
            latch.start();
            latches.add(latch);
        }
        for (int left = 3; left > 0; left--) {
            Server.until(() -> latches.stream().filter(LeaderLatch::hasLeadership).count() == 1);
            LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().orElseThrow();
            assertEquals(leader.getId(), leader.getLeader().getId());
            int alive = left;
            // Its server may not have heard of the last one yet.
            Server.until(() -> leader.getParticipants().size() == alive);
            leader.close();
            latches.remove(leader);
        }
    }

    @Test
    void leaderLatchMovesWhenTheLeaderCloses() throws Exception {
        String path = Server.path("latch-close");
        CuratorFramework first = another();
        LeaderLatch one = new LeaderLatch(first, path, "one");
        one.start();
        assertTrue(one.await(10, TimeUnit.SECONDS));
        LeaderLatch two = new LeaderLatch(another(), path, "two");
        two.start();
        first.close();
        assertTrue(two.await(20, TimeUnit.SECONDS));
        two.close();
    }

    @Test
    void leaderSelectorTakesTurns() throws Exception {
        String path = Server.path("selector");
        LinkedBlockingQueue<String> led = new LinkedBlockingQueue<>();
        AtomicInteger leading = new AtomicInteger();
        List<LeaderSelector> selectors = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            String name = "s" + i;
            LeaderSelector selector = new LeaderSelector(another(), path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework c) throws Exception {
                    led.add(leading.incrementAndGet() == 1 ? name : "two leaders");
                    Thread.sleep(20);
                    leading.decrementAndGet();
                }
            });
            selector.autoRequeue();
            selector.start();
            selectors.add(selector);
        }
        Set<String> seen = new HashSet<>();
        while (seen.size() < 3) {
            String name = Server.take(led);
            assertFalse(name.equals("two leaders"));
            seen.add(name);
        }
        selectors.forEach(LeaderSelector::close);
    }

    @Test
    void mutexExcludes() throws Exception {
        String path = Server.path("mutex");
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<?>> work = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            InterProcessMutex mutex = new InterProcessMutex(another(), path);
            work.add(pool.submit(() -> {
                for (int n = 0; n < 5; n++) {
                    mutex.acquire();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    Thread.sleep(2);
                    inside.decrementAndGet();
                    mutex.release();
                }
                return null;
            }));
        }
        for (Future<?> one : work) {
            one.get(40, TimeUnit.SECONDS);
        }
        pool.shutdown();
        assertEquals(1, most.get());
    }

    @Test
    void mutexIsReentrantAndTimesOut() throws Exception {
        String path = Server.path("mutex2");
        InterProcessMutex mine = new InterProcessMutex(client, path);
        InterProcessMutex other = new InterProcessMutex(another(), path);
        mine.acquire();
        mine.acquire();
        assertFalse(other.acquire(300, TimeUnit.MILLISECONDS));
        mine.release();
        assertFalse(other.acquire(100, TimeUnit.MILLISECONDS));
        mine.release();
        assertTrue(other.acquire(10, TimeUnit.SECONDS));
        other.release();
    }

    @Test
    void readersShareAndWritersDoNot() throws Exception {
        String path = Server.path("rw");
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(client, path);
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(another(), path);
        a.readLock().acquire();
        assertTrue(b.readLock().acquire(5, TimeUnit.SECONDS));
        assertFalse(b.writeLock().acquire(200, TimeUnit.MILLISECONDS));
        b.readLock().release();
        a.readLock().release();
        assertTrue(b.writeLock().acquire(5, TimeUnit.SECONDS));
        assertFalse(a.readLock().acquire(200, TimeUnit.MILLISECONDS));
        b.writeLock().release();
    }

    @Test
    void semaphoreCounts() throws Exception {
        String path = Server.path("semaphore");
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(client, path, 2);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(another(), path, 2);
        Collection<Lease> both = a.acquire(2);
        assertNull(b.acquire(200, TimeUnit.MILLISECONDS));
        a.returnAll(both);
        Lease one = b.acquire(10, TimeUnit.SECONDS);
        assertNotNull(one);
        b.returnLease(one);
    }

    @Test
    void atomicLongCounts() throws Exception {
        String path = Server.path("atomic");
        ExecutorService pool = Executors.newFixedThreadPool(3);
        List<Future<?>> work = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            DistributedAtomicLong number = new DistributedAtomicLong(another(), path, new RetryNTimes(1000, 1));
            work.add(pool.submit(() -> {
                for (int n = 0; n < 20; n++) {
                    assertTrue(number.increment().succeeded());
                }
                return null;
            }));
        }
        for (Future<?> one : work) {
            one.get(40, TimeUnit.SECONDS);
        }
        pool.shutdown();
        sync(client, path);
        assertEquals(60L, new DistributedAtomicLong(client, path, new RetryNTimes(3, 1)).get().postValue());
    }

    @Test
    void sharedCountIsSeenByAll() throws Exception {
        String path = Server.path("count");
        try (SharedCount a = new SharedCount(client, path, 7); SharedCount b = new SharedCount(another(), path, 7)) {
            a.start();
            b.start();
            a.setCount(8);
            Server.until(() -> b.getCount() == 8);
        }
    }

    @Test
    void curatorCacheFollows() throws Exception {
        String path = Server.path("cache");
        client.create().creatingParentsIfNeeded().forPath(path + "/a", "1".getBytes());
        LinkedBlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorFramework reader = another();
        sync(reader, path);
        CountDownLatch ready = new CountDownLatch(1);
        try (CuratorCache cache = CuratorCache.build(reader, path)) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forCreates(n -> events.add("+" + n.getPath()))
                    .forChanges((o, n) -> events.add("~" + n.getPath() + "=" + new String(n.getData())))
                    .forDeletes(n -> events.add("-" + n.getPath()))
                    .forInitialized(ready::countDown)
                    .build());
            cache.start();
            assertTrue(ready.await(10, TimeUnit.SECONDS));
            assertEquals(Set.of("+" + path, "+" + path + "/a"), Set.of(Server.take(events), Server.take(events)));
            client.setData().forPath(path + "/a", "2".getBytes());
            assertEquals("~" + path + "/a=2", Server.take(events));
            client.create().forPath(path + "/a/b");
            assertEquals("+" + path + "/a/b", Server.take(events));
            client.delete().forPath(path + "/a/b");
            assertEquals("-" + path + "/a/b", Server.take(events));
            assertEquals("2", new String(cache.get(path + "/a").orElseThrow().getData()));
        }
    }

    @Test
    void treeCacheFollows() throws Exception {
        String path = Server.path("treecache");
        client.create().creatingParentsIfNeeded().forPath(path + "/a/b");
        CuratorFramework reader = another();
        sync(reader, path);
        LinkedBlockingQueue<TreeCacheEvent> events = new LinkedBlockingQueue<>();
        try (TreeCache cache = new TreeCache(reader, path)) {
            cache.getListenable().addListener((c, e) -> events.add(e));
            cache.start();
            int added = 0;
            TreeCacheEvent event;
            while ((event = Server.take(events)).getType() != TreeCacheEvent.Type.INITIALIZED) {
                added++;
            }
            assertEquals(3, added);
            client.setData().forPath(path + "/a/b", "x".getBytes());
            assertEquals(TreeCacheEvent.Type.NODE_UPDATED, Server.take(events).getType());
            client.delete().forPath(path + "/a/b");
            assertEquals(TreeCacheEvent.Type.NODE_REMOVED, Server.take(events).getType());
        }
    }

    @Test
    void persistentNodeComesBack() throws Exception {
        String path = Server.path("pnode");
        try (PersistentNode node = new PersistentNode(client, CreateMode.EPHEMERAL, false, path, "here".getBytes())) {
            node.start();
            assertTrue(node.waitForInitialCreate(10, TimeUnit.SECONDS));
            CuratorFramework other = another();
            sync(other, path);
            other.delete().forPath(path);
            Server.until(() -> other.checkExists().forPath(path) != null);
        }
        Server.until(() -> client.checkExists().forPath(path) == null);
    }

    @Test
    void persistentTtlNodeIsTouched() throws Exception {
        String path = Server.path("ttl");
        try (PersistentTtlNode node = new PersistentTtlNode(client, path, 1000, "x".getBytes())) {
            node.start();
            assertTrue(node.waitForInitialCreate(10, TimeUnit.SECONDS));
            Thread.sleep(2500);
            assertNotNull(client.checkExists().forPath(path));
        }
        Server.until(() -> client.checkExists().forPath(path) == null);
    }

    @Test
    void groupMembersSeeEachOther() throws Exception {
        String path = Server.path("group");
        try (GroupMember a = new GroupMember(client, path, "a", "A".getBytes());
                GroupMember b = new GroupMember(another(), path, "b", "B".getBytes())) {
            a.start();
            b.start();
            Server.until(() -> a.getCurrentMembers().keySet().equals(Set.of("a", "b")));
            Server.until(() -> b.getCurrentMembers().keySet().equals(Set.of("a", "b")));
            b.setThisData("C".getBytes());
            Server.until(() -> new String(a.getCurrentMembers().get("b")).equals("C"));
        }
    }

    @Test
    void barrierHoldsAndLetsGo() throws Exception {
        String path = Server.path("barrier");
        DistributedBarrier barrier = new DistributedBarrier(client, path);
        barrier.setBarrier();
        CuratorFramework other = another();
        sync(other, path);
        DistributedBarrier waiting = new DistributedBarrier(other, path);
        assertFalse(waiting.waitOnBarrier(200, TimeUnit.MILLISECONDS));
        barrier.removeBarrier();
        assertTrue(waiting.waitOnBarrier(10, TimeUnit.SECONDS));
    }

    @Test
    void doubleBarrierMeets() throws Exception {
        String path = Server.path("double");
        ExecutorService pool = Executors.newFixedThreadPool(3);
        List<Future<Boolean>> work = new ArrayList<>();
        List<String> log = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 3; i++) {
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(another(), path, 3);
            work.add(pool.submit(() -> {
                boolean entered = barrier.enter(20, TimeUnit.SECONDS);
                log.add("in");
                return entered && barrier.leave(20, TimeUnit.SECONDS);
            }));
        }
        for (Future<Boolean> one : work) {
            assertTrue(one.get(40, TimeUnit.SECONDS));
        }
        assertEquals(3, log.size());
        pool.shutdown();
    }

    @Test
    void persistentWatcherSeesTheTree() throws Exception {
        String path = Server.path("pwatch");
        client.create().forPath(path);
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        try (PersistentWatcher watcher = new PersistentWatcher(client, path, true)) {
            watcher.getListenable().addListener(events::add);
            CountDownLatch set = new CountDownLatch(1);
            watcher.getResetListenable().addListener(set::countDown);
            watcher.start();
            assertTrue(set.await(10, TimeUnit.SECONDS));
            client.create().forPath(path + "/a");
            client.setData().forPath(path + "/a", "x".getBytes());
            client.delete().forPath(path + "/a");
            assertEquals(Watcher.Event.EventType.NodeCreated, Server.take(events).getType());
            assertEquals(Watcher.Event.EventType.NodeDataChanged, Server.take(events).getType());
            assertEquals(Watcher.Event.EventType.NodeDeleted, Server.take(events).getType());
        }
    }

    @Test
    void watchesAreRemoved() throws Exception {
        String path = Server.path("unwatch");
        client.create().forPath(path);
        LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        Watcher watcher = events::add;
        client.getData().usingWatcher(watcher).forPath(path);
        client.watchers().remove(watcher).forPath(path);
        assertEquals(Watcher.Event.EventType.DataWatchRemoved, Server.take(events).getType());
        client.setData().forPath(path, "x".getBytes());
        sync(client, path);
        assertTrue(events.isEmpty());
    }

    @Test
    void asyncStagesChain() throws Exception {
        String path = Server.path("async");
        AsyncCuratorFramework async = AsyncCuratorFramework.wrap(client);
        byte[] data = async.create().forPath(path, "1".getBytes())
                .thenCompose(made -> async.setData().forPath(path, "2".getBytes()))
                .thenCompose(stat -> async.getData().forPath(path))
                .toCompletableFuture().get(10, TimeUnit.SECONDS);
        assertArrayEquals("2".getBytes(), data);
    }

    @Test
    void namespacesArePrefixes() throws Exception {
        String path = Server.path("ns");
        CuratorFramework inside = client.usingNamespace(path.substring(1));
        inside.create().creatingParentsIfNeeded().forPath("/a");
        assertNotNull(client.checkExists().forPath(path + "/a"));
    }

    @Test
    void configurationIsRead() throws Exception {
        byte[] config = client.getConfig().forEnsemble();
        if (Server.NODES > 1) {
            assertEquals(Server.NODES, new String(config).lines().filter(l -> l.startsWith("server.")).count());
        }
    }
}
