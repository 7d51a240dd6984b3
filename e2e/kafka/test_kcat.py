"""kcat, as operators type it."""

import json
import shutil
import subprocess

import pytest

pytestmark = [pytest.mark.timeout(60),
              pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed")]


@pytest.fixture
def kcat(bootstrap):
    def run(*arguments, text="", fails=False):
        done = subprocess.run(["kcat", "-b", bootstrap, *map(str, arguments)], input=text, text=True,
                              capture_output=True, timeout=30)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout
    return run


def test_lines_go_in_and_come_out(kcat, topic):
    kcat("-P", "-t", topic, text="one\ntwo\nthree\n")
    assert kcat("-C", "-t", topic, "-e", "-q") == "one\ntwo\nthree\n"
    assert kcat("-C", "-t", topic, "-e", "-q", "-o", 1, "-c", 1) == "two\n"
    assert kcat("-C", "-t", topic, "-e", "-q", "-o", -1) == "three\n"


def test_keys_headers_and_formats(kcat, topic):
    kcat("-P", "-t", topic, "-K", ":", "-H", "h=1", "-H", "g=2", text="k1:v1\nk2:v2\n")
    got = kcat("-C", "-t", topic, "-e", "-q", "-f", "%o %p %k %s %h %S\n")
    assert got == "0 0 k1 v1 h=1,g=2 2\n1 0 k2 v2 h=1,g=2 2\n"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressions(kcat, topic, codec):
    text = "".join(f"line {n}\n" for n in range(300))
    kcat("-P", "-t", topic, "-z", codec, text=text)
    assert kcat("-C", "-t", topic, "-e", "-q") == text


def test_metadata_lists_brokers_and_topics(kcat, make_topic, bootstrap):
    topic = make_topic(3)
    seen = json.loads(kcat("-L", "-J", "-t", topic))
    assert [broker["name"] for broker in seen["brokers"]] == [bootstrap]
    assert seen["controllerid"] == seen["brokers"][0]["id"]
    assert [p["partition"] for p in seen["topics"][0]["partitions"]] == [0, 1, 2]
    assert f'topic "{topic}" with 3 partitions:' in kcat("-L")


def test_offsets_are_asked_by_time(kcat, topic):
    kcat("-P", "-t", topic, text="a\nb\n")
    assert kcat("-Q", "-t", f"{topic}:0:-1") == f"{topic} [0] offset 2\n"
    assert kcat("-Q", "-t", f"{topic}:0:-2") == f"{topic} [0] offset 0\n"
    assert kcat("-Q", "-t", f"{topic}:0:1") == f"{topic} [0] offset 0\n"


def test_a_group_reads_all_partitions_and_commits(kcat, make_topic, name):
    topic = make_topic(3)
    for partition in range(3):
        kcat("-P", "-t", topic, "-p", partition, text=f"in {partition}\n")
    group = ("-G", name, "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000")
    assert sorted(kcat(*group, "-e", "-q", topic).splitlines()) == ["in 0", "in 1", "in 2"]
    kcat("-P", "-t", topic, "-p", 1, text="later\n")
    assert kcat(*group, "-e", "-q", topic) == "later\n"


@pytest.mark.transactions
def test_a_transactional_producer(kcat, topic, name):
    kcat("-P", "-t", topic, "-X", f"transactional.id={name}", text="all\nor\nnothing\n")
    assert kcat("-C", "-t", topic, "-e", "-q", "-X", "isolation.level=read_committed"
                ) == "all\nor\nnothing\n"


def test_an_unknown_topic_is_said(kcat, name):
    assert "Unknown topic or partition" in kcat("-C", "-t", name, "-e", fails=True)
