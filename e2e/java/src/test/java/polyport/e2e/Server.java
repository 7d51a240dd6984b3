package polyport.e2e;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

/** The server under test, and clients on it. */
final class Server {
    static final String CONNECT = System.getProperty("e2e.connect", "127.0.0.1:2181");
    static final int NODES = CONNECT.split(",").length;
    static final int TIMEOUT_MS = 10_000;
    private static final AtomicInteger NAMES = new AtomicInteger();

    private Server() {}

    /** A path nobody else uses; not yet created. */
    static String path(String what) {
        return "/java-" + what + "-" + ProcessHandle.current().pid() + "-" + NAMES.incrementAndGet();
    }

    static CuratorFramework curator() throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(CONNECT)
                .sessionTimeoutMs(TIMEOUT_MS)
                .connectionTimeoutMs(TIMEOUT_MS)
                .retryPolicy(new RetryOneTime(200))
                .build();
        client.start();
        if (!client.blockUntilConnected(15, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no connection to " + CONNECT);
        }
        return client;
    }

    static ZooKeeper client() throws Exception {
        return client(event -> {});
    }

    static ZooKeeper client(Watcher watcher) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(CONNECT, TIMEOUT_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
            if (event.getPath() != null) {
                watcher.process(event);
            }
        });
        if (!connected.await(15, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no connection to " + CONNECT);
        }
        return client;
    }

    static <T> T take(BlockingQueue<T> queue) throws InterruptedException {
        T item = queue.poll(10, TimeUnit.SECONDS);
        if (item == null) {
            throw new AssertionError("nothing came in 10 s");
        }
        return item;
    }

    static void until(Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(15).toNanos();
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("the condition did not come about in 15 s");
            }
            Thread.sleep(20);
        }
    }
}
