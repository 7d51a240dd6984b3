"""The four-letter words on the client port."""

import re

import pytest

from harness.four_letter import four_letter
from harness.raw import Raw
from harness.settings import Settings


def keys(answer, separator):
    return [line.split(separator)[0] for line in answer.strip().splitlines() if separator in line]


def test_ruok(cluster):
    assert cluster[0].words("ruok") == "imok"


def test_srvr(cluster):
    answer = cluster[0].words("srvr")
    assert answer.startswith("Zookeeper version: 3.9")
    assert keys(answer, ":") == [
        "Zookeeper version", "Latency min/avg/max", "Received", "Sent", "Connections",
        "Outstanding", "Zxid", "Mode", "Node count",
    ] or keys(answer, ":")[-1] == "Proposal sizes last/min/max"
    assert re.search(r"^Zxid: 0x[0-9a-f]+$", answer, re.M)
    assert re.search(r"^Latency min/avg/max: \d+/\d+\.\d+/\d+$", answer, re.M)


def test_stat_lists_the_clients(cluster, raw):
    raw()
    answer = cluster[0].words("stat")
    assert "Clients:\n" in answer
    assert re.search(r"^ /127\.0\.0\.1:\d+\[\d\]\(queued=\d+,recved=\d+,sent=\d+\)$", answer, re.M)


def test_conf(cluster):
    answer = cluster[0].words("conf")
    want = ["clientPort", "secureClientPort", "dataDir", "dataDirSize", "dataLogDir", "dataLogSize",
            "tickTime", "maxClientCnxns", "minSessionTimeout", "maxSessionTimeout",
            "clientPortListenBacklog", "serverId"]
    assert keys(answer, "=")[:len(want)] == want
    assert f"clientPort={cluster[0].ports['client']}\n" in answer
    assert "tickTime=200\n" in answer and "minSessionTimeout=400\n" in answer
    assert "secureClientPort=-1\n" in answer and "clientPortListenBacklog=-1\n" in answer
    if len(cluster) == 1:
        # It reads no myid.
        assert answer.endswith("\nserverId=0\n")


@pytest.mark.ensemble
def test_conf_of_an_ensemble(make_cluster):
    made = make_cluster(nodes=3, settings=Settings(observers=(3,)), name="conf")
    try:
        for node in made:
            answer = node.words("conf")
            own = answer[answer.index("serverId="):]
            lines = own.splitlines()
            member = next(line for line in lines if line.startswith(f"server.{node.number}="))
            quorum, election = re.match(r"server\.\d=127\.0\.0\.1:(\d+):(\d+):", member).groups()
            peer_type = "1" if node.mode() == "observer" else "0"
            assert lines[:8] == [
                f"serverId={node.number}", "initLimit=50", "syncLimit=25", "electionAlg=3",
                f"electionPort={election}", f"quorumPort={quorum}", f"peerType={peer_type}",
                "membership: ",
            ]
            with Raw(node.address) as connection:
                config = connection.get("/zookeeper/config")[0].decode()
            assert own.split("membership: \n")[1] == config
    finally:
        for node in made:
            node.kill()


def test_envi(cluster):
    answer = cluster[0].words("envi")
    assert answer.startswith("Environment:\n")
    assert "zookeeper.version=3.9" in answer
    for key in ("host.name", "os.name", "os.arch", "os.version", "user.name", "user.home", "user.dir"):
        assert f"\n{key}=" in answer


def test_cons(cluster, raw):
    c = raw()
    answer = cluster[0].words("cons")
    assert f"sid=0x{c.session & (2**64 - 1):x}" in answer
    assert re.search(r"lop=SESS|lop=GETD|lop=PING|est=\d+,to=\d+", answer)


def test_dump(cluster, raw, base):
    c = raw(cluster.leader().address)
    c.create(base + "/e", mode=1)
    answer = cluster.leader().words("dump")
    assert answer.startswith("SessionTracker dump:\n")
    assert f"0x{c.session:x}" in answer
    assert "ephemeral nodes dump:" in answer and f"\t{base}/e" in answer


def test_wchs_wchc_wchp(cluster, raw, base):
    c = raw()
    c.sync(base)
    c.get(base, watch=True)
    assert re.search(r"\d+ connections watching \d+ paths\nTotal watches:\d+", cluster[0].words("wchs"))
    assert re.search(rf"^0x{c.session:x}\n(\t\S+\n)*\t{base}$", cluster[0].words("wchc"), re.M)
    assert re.search(rf"^{base}\n(\t0x\w+\n)*\t0x{c.session:x}$", cluster[0].words("wchp"), re.M)


def test_mntr(cluster):
    answer = cluster[0].words("mntr")
    lines = dict(line.split("\t", 1) for line in answer.strip().splitlines())
    for key in ("zk_version", "zk_server_state", "zk_num_alive_connections", "zk_outstanding_requests",
                "zk_znode_count", "zk_watch_count", "zk_ephemerals_count", "zk_approximate_data_size",
                "zk_open_file_descriptor_count", "zk_max_file_descriptor_count", "zk_avg_latency",
                "zk_max_latency", "zk_min_latency", "zk_packets_received", "zk_packets_sent",
                "zk_peer_state", "zk_global_sessions", "zk_local_sessions", "zk_uptime"):
        if key == "zk_peer_state" and len(cluster) == 1:
            continue
        assert key in lines, key
    assert lines["zk_server_state"] == cluster[0].mode()
    if cluster[0].mode() == "leader":
        assert lines["zk_synced_followers"] == "2"


def test_mntr_counts_nodes(cluster, raw, base):
    def count():
        answer = cluster[0].words("mntr")
        return int(re.search(r"^zk_znode_count\t(\d+)", answer, re.M)[1])
    c = raw()
    before = count()
    for i in range(7):
        c.create(f"{base}/{i}")
    assert count() == before + 7


def test_isro(cluster):
    assert cluster[0].words("isro") == "rw"


def test_gtmk_stmk(cluster):
    assert cluster[0].words("gtmk").strip().lstrip("-").isdigit()


def test_hash(cluster):
    answer = cluster[0].words("hash")
    assert answer == "" or re.match(r"[\[{]?", answer)


def test_srst_and_crst(cluster):
    assert cluster[0].words("srst") == "Server stats reset.\n"
    assert cluster[0].words("crst") == "Connection stats reset.\n"


def test_reqs_and_dirs(cluster):
    assert cluster[0].words("reqs") == "" or cluster[0].words("reqs")
    answer = cluster[0].words("dirs")
    assert keys(answer, ":") == ["datadir_size", "logdir_size"]


def test_a_word_that_is_none_closes(cluster):
    assert four_letter(cluster[0].address, "abcd") == ""


def test_the_whitelist(make_cluster):
    limited = make_cluster(nodes=1, settings=Settings(four_letter_words=("conf", "stat", "ruok", "isro", "srvr")),
                           name="whitelist")
    node = limited[0]
    try:
        assert node.words("ruok") == "imok"
        for word in ("mntr", "envi", "cons", "dump", "wchs", "wchc", "wchp", "crst", "srst"):
            assert node.words(word) == f"{word} is not executed because it is not in the whitelist.\n"
    finally:
        node.kill()


@pytest.mark.ensemble
def test_modes_of_an_ensemble(cluster):
    assert sorted(node.mode() for node in cluster) == ["follower", "follower", "leader"]
