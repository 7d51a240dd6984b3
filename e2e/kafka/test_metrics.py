"""The metrics page of a node that clients have used, and the names that the documentation promises."""

import pathlib
import re
import urllib.request

import pytest
from confluent_kafka import TopicPartition

from harness.kafka import PEER
from librdkafka import consumer, producer, send, take

pytestmark = pytest.mark.skipif(PEER != "polyport", reason="the real one has JMX")
ROOT = pathlib.Path(__file__).parents[2]


def page(broker):
    with urllib.request.urlopen(f"http://{broker.host}:{broker.ports['metrics']}/metrics",
                                timeout=10) as answer:
        return answer.read().decode()


def numbers(broker):
    """Every line's name with its labels, and its number."""
    lines = (line.rsplit(" ", 1) for line in page(broker).splitlines() if line[0] != "#")
    return {name: float(number) for name, number in lines}


@pytest.fixture(scope="module")
def watched(start_broker):
    return start_broker({"num.partitions": 2}, "metrics")


def test_records_bytes_requests_and_lag_are_told(watched, name):
    bootstrap = watched.address
    values = [b"%04d" % number for number in range(50)]
    send(producer(bootstrap), name, values, partition=0)
    group = f"{name}-group"
    reads = consumer(bootstrap, group)
    reads.assign([TopicPartition(name, 0, 0)])
    take(reads, 50)
    reads.commit(offsets=[TopicPartition(name, 0, 20)], asynchronous=False)
    reads.close()

    told = numbers(watched)
    topic = f'{{topic="{name}"}}'
    place = f'topic="{name}",partition="0"'
    assert told[f"kafka_server_brokertopicmetrics_messagesin_total{topic}"] == 50
    assert told[f"kafka_server_brokertopicmetrics_bytesin_total{topic}"] > 200
    assert told[f"kafka_server_brokertopicmetrics_bytesout_total{topic}"] > 200
    assert told["kafka_server_brokertopicmetrics_messagesin_total"] >= 50
    assert told[f"kafka_log_log_logendoffset{{{place}}}"] == 50
    assert told[f'kafka_consumergroup_current_offset{{consumergroup="{group}",{place}}}'] == 20
    assert told[f'kafka_consumergroup_lag{{consumergroup="{group}",{place}}}'] == 30
    assert told['kafka_network_requestmetrics_requests_total{request="Produce"}'] >= 1
    assert told['kafka_network_requestmetrics_totaltimems_count{request="Produce"}'] >= 1
    assert told["kafka_controller_kafkacontroller_activecontrollercount"] == 1
    assert told["kafka_server_replicamanager_underreplicatedpartitions"] == 0


def test_every_name_of_the_documentation_and_of_the_rules_is_on_the_page(watched, name):
    send(producer(watched.address), name, [b"x"])
    on_page = re.findall(r"^# TYPE (\S+) (\S+)$", page(watched), re.M)
    names = [found for found, _ in on_page]
    assert len(names) == len(set(names)), "ZooKeeper's names and Kafka's are different ones"
    names += [found + end for found, kind in on_page if kind == "summary"
              for end in ("_sum", "_count")]
    for file in ("docs/metrics.md", "deploy/prometheus-kafka-rules.yml"):
        text = (ROOT / file).read_text()
        said = set(re.findall(r"\b(?:kafka|polyport|process)_[a-z_]+[a-z]\b(?!\*)", text))
        assert said - {"kafka_exporter", "kafka_topic_partition"} - set(names) == set(), file
