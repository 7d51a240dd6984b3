// Fills a running ZooKeeper with content of every kind of transaction, writes down what the server
// answers about it, and leaves with its sessions open, so that ephemeral znodes stay behind.
//
// Usage: java -cp JARS Make.java HOST:PORT full|small|reconfig EXPECTED_FILE
// The server needs extendedTypesEnabled and the super user "super:secret".
// EXPECTED_FILE: one line a znode (path, data in hex or -, acl, eleven stat fields), then sessions.

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

public class Make {
    static final List<ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static ZooKeeper connect(String server, int timeout) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(server, timeout, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return client;
    }

    static void full(ZooKeeper zk, ZooKeeper other, String server) throws Exception {
        zk.create("/plain", bytes("one"), OPEN, CreateMode.PERSISTENT);
        for (int i = 0; i < 5; i++) {
            zk.setData("/plain", bytes("value " + i), i);
        }
        zk.create("/empty", new byte[0], OPEN, CreateMode.PERSISTENT);
        zk.create("/null", null, OPEN, CreateMode.PERSISTENT);
        zk.create("/\u4e2d\u6587", bytes("\u6570\u636e"), OPEN, CreateMode.PERSISTENT, new Stat());
        zk.create("/sequence", null, OPEN, CreateMode.PERSISTENT);
        for (int i = 0; i < 12; i++) {
            zk.create("/sequence/n-", bytes("" + i), OPEN, CreateMode.PERSISTENT_SEQUENTIAL);
        }
        for (int i = 0; i < 12; i += 3) {
            zk.delete("/sequence/n-" + String.format("%010d", i), -1);
        }
        zk.create("/acl", bytes("secret"), Arrays.asList(
            new ACL(ZooDefs.Perms.ALL, new Id("digest", "bob:WCzaLm4NAKkAiYUyZWbzLYzlPfk=")),
            new ACL(ZooDefs.Perms.READ, new Id("ip", "10.0.0.0/8"))), CreateMode.PERSISTENT);
        zk.create("/acl/changed", null, OPEN, CreateMode.PERSISTENT);
        zk.setACL("/acl/changed", ZooDefs.Ids.READ_ACL_UNSAFE, 0);
        zk.setACL("/acl/changed", Arrays.asList(
            new ACL(ZooDefs.Perms.ALL, new Id("auth", ""))), 1);

        zk.create("/container", null, OPEN, CreateMode.CONTAINER);
        zk.create("/container/child", null, OPEN, CreateMode.PERSISTENT);
        zk.create("/ttl", bytes("soon"), OPEN, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 86_400_000);
        zk.create("/ttl-", null, OPEN, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, new Stat(), 3_600_000);

        zk.create("/live", null, OPEN, CreateMode.PERSISTENT);
        other.create("/live/ephemeral", bytes("mine"), OPEN, CreateMode.EPHEMERAL);
        other.create("/live/e-", null, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL, new Stat());
        for (int i = 0; i < 3; i++) {
            ZooKeeper gone = connect(server, 30_000);
            gone.create("/live/gone-" + i, null, OPEN, CreateMode.EPHEMERAL);
            gone.create("/live/gone-again-" + i, null, OPEN, CreateMode.EPHEMERAL);
            gone.close();
        }

        zk.create("/multi", null, OPEN, CreateMode.PERSISTENT);
        zk.multi(Arrays.asList(
            Op.create("/multi/a", bytes("a"), OPEN, CreateMode.PERSISTENT),
            Op.create("/multi/b", bytes("b"), OPEN, CreateMode.PERSISTENT),
            Op.create("/multi/c", null, OPEN, CreateMode.CONTAINER),
            Op.create("/multi/t", null, OPEN, CreateMode.PERSISTENT_WITH_TTL, 5_000_000),
            Op.create("/multi/s-", null, OPEN, CreateMode.EPHEMERAL_SEQUENTIAL),
            Op.check("/multi", 0),
            Op.setData("/multi/a", bytes("a2"), 0),
            Op.delete("/multi/b", 0)));
        try {
            zk.multi(Arrays.asList(
                Op.create("/multi/never", null, OPEN, CreateMode.PERSISTENT),
                Op.check("/multi/a", 7)));
            throw new IllegalStateException("the multi must fail");
        } catch (KeeperException.BadVersionException expected) {
            // Logged as a multi of errors.
        }
        try {
            zk.delete("/no/such/node", -1);
        } catch (KeeperException.NoNodeException expected) {
            // Logged as an error.
        }
        zk.create("/deep", null, OPEN, CreateMode.PERSISTENT);
        String path = "/deep";
        for (int i = 0; i < 10; i++) {
            path += "/" + i;
            zk.create(path, bytes(path), OPEN, CreateMode.PERSISTENT);
        }
        zk.delete(path, -1);
        zk.create("/big", new byte[500], OPEN, CreateMode.PERSISTENT);
        for (int i = 0; i < 30; i++) {
            zk.setData("/plain", bytes("again " + i), -1);
        }
    }

    static void small(ZooKeeper zk, ZooKeeper other, String server) throws Exception {
        zk.create("/a", bytes("a"), OPEN, CreateMode.PERSISTENT);
        other.create("/a/e", null, OPEN, CreateMode.EPHEMERAL);
        ZooKeeper gone = connect(server, 30_000);
        gone.create("/a/gone", null, OPEN, CreateMode.EPHEMERAL);
        gone.close();
        for (int i = 0; i < 12; i++) {
            zk.setData("/a", bytes("a" + i), i);
        }
    }

    static void dump(ZooKeeper zk, String path, PrintWriter out) throws Exception {
        Stat s = new Stat();
        byte[] data = zk.getData(path, false, s);
        StringBuilder line = new StringBuilder(path).append('\t');
        if (data == null) {
            line.append('-');
        } else {
            for (byte b : data) {
                line.append(String.format("%02x", b));
            }
        }
        line.append('\t');
        for (ACL acl : zk.getACL(path, new Stat())) {
            line.append(acl.getPerms()).append(' ').append(acl.getId().getScheme()).append(' ')
                .append(acl.getId().getId()).append(';');
        }
        for (long field : new long[] {s.getCzxid(), s.getMzxid(), s.getCtime(), s.getMtime(),
                s.getVersion(), s.getCversion(), s.getAversion(), s.getEphemeralOwner(),
                s.getDataLength(), s.getNumChildren(), s.getPzxid()}) {
            line.append('\t').append(field);
        }
        out.println(line);
        List<String> children = new ArrayList<>(zk.getChildren(path, false));
        Collections.sort(children);
        for (String child : children) {
            dump(zk, path.equals("/") ? "/" + child : path + "/" + child, out);
        }
    }

    public static void main(String[] args) throws Exception {
        String server = args[0];
        ZooKeeper zk = connect(server, 40_000);
        zk.addAuthInfo("digest", bytes("super:secret"));
        ZooKeeper other = connect(server, 35_000);
        switch (args[1]) {
            case "full" -> full(zk, other, server);
            case "small" -> small(zk, other, server);
            default -> {
                small(zk, other, server);
                ZooKeeperAdmin admin = new ZooKeeperAdmin(server, 30_000, event -> { });
                admin.addAuthInfo("digest", bytes("super:secret"));
                admin.reconfigure("server.2=127.0.0.1:24818:24819:observer;127.0.0.1:24820", null,
                    null, -1, new Stat());
                admin.close();
            }
        }
        try (PrintWriter out = new PrintWriter(args[2], StandardCharsets.UTF_8)) {
            dump(zk, "/", out);
            for (ZooKeeper session : Arrays.asList(zk, other)) {
                out.println("session\t" + session.getSessionId() + "\t" + session.getSessionTimeout());
            }
        }
        // No close: the sessions are to be found in the files.
        Runtime.getRuntime().halt(0);
    }
}
