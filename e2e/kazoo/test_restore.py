"""Backups put back into a running cluster: by `polyport restore`, and by the admin server."""

import http.client
import itertools
import json
import socket
import struct
import subprocess
import threading

import pytest
from kazoo.client import KazooClient, KazooState
from kazoo.security import make_digest_acl

from harness.node import environment
from harness.paths import polyport_binary
from harness.ports import free_port, give_back
from harness.settings import Settings
from harness.wait import until

pytestmark = pytest.mark.timeout(180)
_names = itertools.count(1)
AUTH = {"Authorization": "digest super:test"}


@pytest.fixture(scope="module")
def own(make_cluster, server_kind):
    if server_kind == "zookeeper":
        pytest.skip("its own tools do it differently")
    return make_cluster(settings=Settings(transfer_interval_ms=0), name="restore")


@pytest.fixture
def join(own):
    made = []

    def make(node=None, **options):
        options.setdefault("timeout", 10)
        client = KazooClient(node.address if node else own.hosts, **options)
        made.append(client)
        client.start(15)
        return client

    yield make
    for client in made:
        client.stop()
        client.close()


@pytest.fixture
def top(join):
    path = f"/restore-{next(_names)}"
    join().create(path, b"then")
    return path


def polyport(command, file, node, *more):
    line = [polyport_binary(), command, file, "--config", node.folder / "polyport.toml", *more]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment())


def backup(node, file):
    file.unlink(missing_ok=True)
    made = polyport("backup", file, node)
    assert made.returncode == 0, made.stderr
    return file


def replace(node, file):
    done = polyport("restore", file, node, "--replace-everything")
    assert done.returncode == 0, done.stderr
    return done.stdout


def admin(node, method, name, body=None, headers=None):
    connection = http.client.HTTPConnection(node.host, node.ports["admin"], timeout=60)
    try:
        connection.request(method, f"/commands/{name}", body, AUTH if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def seen_by_all(own, join, path):
    """What every node shows of a path: (data, children), None where there is nothing."""
    shown = []
    for node in own:
        client = join(node)
        client.sync("/")
        there = client.exists(path)
        shown.append((client.get(path)[0], client.get_children(path)) if there else None)
    assert all(one == shown[0] for one in shown), shown
    return shown[0]


def test_all_nodes_show_the_backup_again(own, join, top, tmp_path):
    writer = join()
    writer.create(top + "/kept", b"x")
    file = backup(own[0], tmp_path / "b")
    writer.delete(top + "/kept")
    writer.set(top, b"now")
    writer.create(top + "/later")
    before = writer.exists(top).mzxid
    members = writer.get("/zookeeper/config")[0]
    said = replace(own[len(own) - 1], file)
    assert "sessions ended" in said
    assert seen_by_all(own, join, top) == (b"then", ["kept"])
    after = join()
    assert after.set(top, b"on").mzxid > before
    assert after.get("/zookeeper/config")[0] == members
    # And a node that starts anew knows it too.
    own[0].stop()
    own[0].start()
    own[0].wait_ready()
    assert seen_by_all(own, join, top) == (b"on", ["kept"])


def test_clients_learn_that_their_session_is_over(own, join, top, tmp_path):
    clients = [join(node) for node in own]
    lost = [threading.Event() for _ in clients]
    events = []
    for number, (client, gone) in enumerate(zip(clients, lost)):
        client.create(f"{top}/e{number}", ephemeral=True)
        client.get(top, watch=events.append)
        def listen(state, gone=gone):
            if state == KazooState.LOST:
                gone.set()
        client.add_listener(listen)
    sessions = [client.client_id[0] for client in clients]
    # The ephemerals and their sessions are in the backup.
    file = backup(own[0], tmp_path / "b")
    for client in clients:
        client.create(f"{top}/later-{client.client_id[0]:x}", ephemeral=True)
    replace(own[0], file)
    for client, gone, session in zip(clients, lost, sessions):
        until(gone.is_set, 30, "the word that the session is over")
        until(lambda: client.connected, 30, "a new session")
        assert client.client_id[0] != session
    assert seen_by_all(own, join, top) == (b"then", [])
    # A watch ends with its session: told of that, and of nothing else.
    assert {event.type for event in events} <= {"NONE"}
    clients[0].create(top + "/new", ephemeral=True)
    assert seen_by_all(own, join, top) == (b"then", ["new"])


@pytest.mark.ensemble
@pytest.mark.parametrize("wiped", [False, True])
def test_a_node_that_was_away_catches_up_with_it(own, join, top, tmp_path, wiped):
    file = backup(own[0], tmp_path / "b")
    join().set(top, b"now")
    away = own.followers()[0]
    away.wipe() if wiped else away.kill()
    replace(own.leader(), file)
    away.start()
    away.wait_ready()
    assert seen_by_all(own, join, top) == (b"then", [])


@pytest.mark.ensemble
def test_a_large_backup_comes_while_clients_write_and_the_leader_dies(own, join, top, tmp_path):
    client = join()
    for start in range(0, 3000, 100):
        together = client.transaction()
        for number in range(start, start + 100):
            together.create(f"{top}/{number}", b"x" * 4096)
        assert len(together.commit()) == 100
    leader, follower = own.leader(), own.followers()[0]
    client.sync("/")
    join(follower).sync("/")
    file = backup(follower, tmp_path / "b")
    client.set(top, b"now")
    stop = threading.Event()

    def write(node):
        writer = join(node)
        while not stop.is_set():
            try:
                writer.create(f"{top}/by-{node.number}-", sequence=True)
            except Exception:
                # Its session or its node is gone for a while: that is what this is about.
                stop.wait(0.05)

    writers = [threading.Thread(target=write, args=[node]) for node in own]
    for writer in writers:
        writer.start()
    line = [polyport_binary(), "restore", file, "--config", follower.folder / "polyport.toml",
            "--replace-everything"]
    try:
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment()) as doing:
            while "the cluster of" not in doing.stdout.readline():
                assert doing.poll() is None
            leader.kill()
            said = doing.stdout.read()
            assert doing.wait(90) == 0
        assert "restored: " in said
    finally:
        stop.set()
        leader.start()
        leader.wait_ready()
        for writer in writers:
            writer.join(60)
            assert not writer.is_alive()
    data, children = seen_by_all(own, join, top)
    assert data == b"then"
    assert {name for name in children if not name.startswith("by-")} == set(map(str, range(3000)))


def test_an_empty_node_is_filled_where_nothing_runs(own, tmp_path):
    file = backup(own[0], tmp_path / "b")
    port = free_port()
    elsewhere = ["--set", f"data_dir={tmp_path / 'data'}", "--set", f"node.listen=127.0.0.1:{port}"]
    try:
        line = [polyport_binary(), "restore", file, *elsewhere]
        again = [subprocess.run(line, capture_output=True, text=True, timeout=60,
                                env=environment()) for _ in range(2)]
    finally:
        give_back([port])
    assert again[0].returncode == 0 and "filled" in again[0].stdout, again[0].stderr
    assert again[1].returncode == 1 and "not empty" in again[1].stderr


def test_another_secret_restores_nothing(own, join, top, tmp_path):
    file = backup(own[0], tmp_path / "b")
    client = join()
    client.set(top, b"now")
    refused = polyport("restore", file, own[0], "--replace-everything",
                       "--set", "cluster.secret=another")
    assert refused.returncode == 1 and "does not answer" in refused.stderr
    assert client.get(top)[0] == b"now"


def test_without_the_flag_nothing_is_changed(own, join, top, tmp_path):
    file = backup(own[0], tmp_path / "b")
    client = join()
    session = client.client_id
    client.set(top, b"now")
    looked = polyport("restore", file, own[0])
    assert looked.returncode == 2, looked.stderr
    assert "--replace-everything" in looked.stdout and " znodes, " in looked.stdout
    assert client.get(top)[0] == b"now" and client.client_id == session


def test_a_wrong_or_damaged_file_changes_nothing(own, join, top, tmp_path):
    whole = backup(own[0], tmp_path / "b").read_bytes()
    client = join()
    client.set(top, b"now")
    session = client.client_id
    (tmp_path / "text").write_bytes(b"not a backup at all" * 1000)
    (tmp_path / "short").write_bytes(whole[:-1])
    (tmp_path / "flipped").write_bytes(
        whole[:-60] + bytes([whole[-60] ^ 1]) + whole[-59:])
    for name in ["text", "short", "flipped"]:
        refused = polyport("restore", tmp_path / name, own[0], "--replace-everything")
        assert refused.returncode == 1 and "error: " in refused.stderr, name
        status, _, body = admin(own[0], "POST", "restore", (tmp_path / name).read_bytes())
        assert status == 500 and json.loads(body)["error"], name
    assert client.get(top)[0] == b"now" and client.client_id == session


def test_an_upload_that_breaks_off_leaves_the_way_free(own, join, top, tmp_path):
    whole = backup(own[0], tmp_path / "b").read_bytes()
    client = join()
    client.set(top, b"now")
    session = client.client_id
    with socket.create_connection((own[0].host, own[0].ports["admin"]), 10) as half:
        head = (f"POST /commands/restore HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n"
                "Authorization: digest super:test\r\n\r\n")
        half.sendall(head.encode() + whole[: len(whole) // 2])
        # Not a tidy end.
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert client.get(top)[0] == b"now" and client.client_id == session
    replace(own[0], tmp_path / "b")
    assert seen_by_all(own, join, top) == (b"then", [])


def test_the_admin_server_hands_out_and_takes_in(own, join, top):
    client = join()
    status, headers, body = admin(own[0], "GET", "snapshot?streaming=true")
    assert status == 200
    assert headers["content-type"] == "application/octet-stream"
    assert int(headers["snapshot_size"]) == len(body)
    assert int(headers["last_zxid"], 16) >= client.exists(top).mzxid
    client.set(top, b"now")
    newest = client.exists(top).mzxid
    status, headers, told = admin(own[len(own) - 1], "POST", "restore", body)
    assert status == 200, told
    told = json.loads(told)
    assert told["command"] == "restore" and told["error"] is None
    assert told["last_zxid"] > newest
    assert seen_by_all(own, join, top) == (b"then", [])
    status, headers, body = admin(own[0], "GET", "snap?streaming=false")
    assert (status, json.loads(body)) == (200, {"command": "snapshot", "error": None})
    assert int(headers["snapshot_size"]) > 0


def test_the_admin_server_asks_for_all_rights_on_the_root(own, join, tmp_path):
    file = backup(own[0], tmp_path / "b")
    client = join()
    client.add_auth("digest", "owner:secret")
    client.set_acls("/", [make_digest_acl("owner", "secret", all=True),
                          make_digest_acl("reader", "secret", read=True)])
    try:
        def status(header):
            headers = {} if header is None else {"Authorization": header}
            return admin(own[0], "GET", "snapshot?streaming=false", headers=headers)[0]

        if len(own) == 1:
            client.sync("/")
        else:
            until(lambda: status("digest reader:secret") == 403, 10, "the list on that node")
        assert status(None) == 401
        assert status("digest") == 401
        assert status("nonsense x") == 401
        assert status("digest reader:secret") == 403
        assert status("digest nobody:secret") == 403
        assert status("digest owner:secret") == 200
        assert status("digest super:test") == 200
        refused = admin(own[0], "POST", "restore", b"x",
                        {"Authorization": "digest reader:secret"})
        assert refused[0] == 403 and json.loads(refused[2])["error"] == "Not authorized"
    finally:
        # The old list is in the backup.
        replace(own[0], file)
