"""Bytes no client sends: Kafka's error code or the end of the connection, and nothing else."""

import os
import random
import struct

import pytest

from harness.kafka import PEER
from harness.kafka_raw import (
    API_VERSIONS, FETCH, FIND_COORDINATOR, JOIN_GROUP, LIST_OFFSETS, METADATA, OFFSET_COMMIT,
    PRODUCE, Wire, array, batch, blob, i8, i16, i32, i64, message_set, record, text,
    unsigned, varint,
)
from harness.wait import until

pytestmark = pytest.mark.timeout(60)

NONE, OFFSET_OUT_OF_RANGE, CORRUPT, UNKNOWN_TOPIC, TOO_LARGE = 0, 1, 2, 3, 10
INVALID_ACKS, UNSUPPORTED_VERSION, INVALID_REQUEST, UNSUPPORTED_FORMAT = 21, 35, 42, 43
OUT_OF_SEQUENCE, INVALID_EPOCH, UNSUPPORTED_CODEC, INVALID_RECORD = 45, 47, 76, 87
INVALID_TXN_STATE, NO_TRANSACTIONAL_ID = 48, 53


@pytest.fixture
def wire(bootstrap):
    """Makes connections that end with the test."""
    made = []

    def make():
        connection = Wire(bootstrap)
        made.append(connection)
        return connection

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def witness(wire):
    """A client that must not notice anything."""
    c = wire()
    assert c.lives()
    yield c
    assert c.lives()


# frames

@pytest.mark.parametrize("start", [
    i32(-1), i32(-2147483648), i32(2147483647), i32(104857601), b"\xff" * 64,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
], ids=["-1", "min", "max", "over-the-limit", "ff", "http", "tls"])
def test_a_bad_length_closes(wire, witness, start):
    c = wire()
    c.sock.sendall(start)
    assert c.is_closed()


@pytest.mark.parametrize("body", [
    b"", b"\0", i16(METADATA), i16(METADATA) + i16(1), i16(METADATA) + i16(1) + i32(1),
    i16(METADATA) + i16(1) + i32(1) + i16(100) + b"short",
    i16(METADATA) + i16(1) + i32(1) + i16(-2),
], ids=["empty", "1", "key", "version", "correlation", "client-cut", "client-negative"])
def test_a_frame_without_a_whole_header_closes(wire, witness, body):
    c = wire()
    c.send_frame(body)
    assert c.is_closed()


def test_half_a_frame_is_waited_for(wire):
    c = wire()
    body = i16(API_VERSIONS) + i16(0) + i32(77) + text("slow")
    whole = i32(len(body)) + body
    for n in range(len(whole)):
        c.sock.sendall(whole[n:n + 1])
    assert c.receive_frame()[:4] == i32(77)


def test_many_requests_of_one_packet_are_answered_in_order(wire):
    c = wire()
    frames = b""
    for n in range(50):
        body = i16(API_VERSIONS) + i16(0) + i32(n) + text("many")
        frames += i32(len(body)) + body
    c.sock.sendall(frames)
    assert [struct.unpack(">i", c.receive_frame()[:4])[0] for _ in range(50)] == list(range(50))


def test_a_frame_announced_and_never_sent_takes_no_memory(broker, wire, witness):
    if not hasattr(broker, "resident_kib"):
        pytest.skip("somebody else's broker")
    before = broker.resident_kib()
    idle = [wire() for _ in range(100)]
    for c in idle:
        c.sock.sendall(i32(100 * 1024 * 1024) + i16(PRODUCE))
    assert witness.lives()
    # Ten gigabytes were announced.
    grown = broker.resident_kib() - before
    assert grown < 300 * 1024, f"{grown} KiB for nothing"


def test_many_connections_that_say_nothing(wire, witness):
    assert len([wire() for _ in range(200)]) == 200
    assert witness.lives()


# keys and versions

@pytest.mark.parametrize("key", [-1, 5000, 32767, -32768])
def test_an_unknown_key_closes(wire, witness, key):
    c = wire()
    c.send(key, 0)
    assert c.is_closed()


@pytest.mark.parametrize("key, version", [
    (PRODUCE, 99), (FETCH, 99), (METADATA, 99), (METADATA, -1), (JOIN_GROUP, 1000),
])
def test_an_unknown_version_closes(wire, witness, key, version):
    c = wire()
    c.send(key, version, b"\0" * 20)
    assert c.is_closed()


@pytest.mark.parametrize("version", [5, 99, 32767])
def test_an_unknown_version_of_api_versions_is_answered_as_version_0(wire, version):
    c = wire()
    answer = c.ask(API_VERSIONS, version, b"\1\1\0")
    code, count = struct.unpack(">hi", answer[:6])
    assert code == UNSUPPORTED_VERSION
    # Only that of ApiVersions itself need be told; all may be.
    keys = [struct.unpack(">hhh", answer[6 + n * 6:12 + n * 6]) for n in range(count)]
    assert len(answer) == 6 + 6 * count
    assert any(key == API_VERSIONS and most >= 3 for key, _, most in keys)
    assert c.lives()


def test_api_versions_3_wants_a_decent_name(wire):
    c = wire()
    compact = lambda s: unsigned(len(s) + 1) + s
    flexible = b"\0"
    ok = c.ask(API_VERSIONS, 3, flexible + compact(b"e2e") + compact(b"1.0") + flexible)
    assert ok[:2] == i16(NONE)
    bad = c.ask(API_VERSIONS, 3, flexible + compact(b"a b;") + compact(b"-") + flexible)
    assert bad[:2] == i16(INVALID_REQUEST)


# The oldest and newest versions that 3.9 offers and clients use: (key, least, most at least).
OFFERED = [(0, 0, 11), (1, 0, 17), (2, 0, 9), (3, 0, 12), (8, 0, 9), (9, 0, 9), (10, 0, 6),
           (11, 0, 9), (12, 0, 4), (13, 0, 5), (14, 0, 5), (15, 0, 5), (16, 0, 5),
           (18, 0, 4), (19, 0, 7), (20, 0, 6), (21, 0, 2), (22, 0, 5), (23, 0, 4), (32, 0, 4),
           (33, 0, 2), (35, 0, 4), (37, 0, 3), (42, 0, 2), (44, 0, 1),
           (47, 0, 0), (60, 0, 1), (61, 0, 0), (75, 0, 0)]


def offered(wire):
    answer = wire().ask(API_VERSIONS, 0)
    count = struct.unpack(">i", answer[2:6])[0]
    triples = (struct.unpack(">hhh", answer[6 + n * 6:12 + n * 6]) for n in range(count))
    return {key: (least, most) for key, least, most in triples}


def test_every_api_that_clients_use_is_offered(wire):
    told = offered(wire)
    missing = [(key, most, told.get(key)) for key, _, most in OFFERED
               if key not in told or told[key][1] < most]
    if PEER == "zookeeper":
        missing = [m for m in missing if m[0] != 75]
    assert not missing


@pytest.mark.old_versions
def test_the_versions_of_the_oldest_clients_are_offered(wire):
    told = offered(wire)
    assert not [(key, least, told.get(key)) for key, least, _ in OFFERED
                if key in told and told[key][0] > least]


@pytest.mark.transactions
def test_every_api_of_transactions_is_offered(wire):
    told = offered(wire)
    wanted = [(22, 5), (24, 5), (25, 4), (26, 4), (28, 4), (65, 0), (66, 1)]
    assert not [(key, most, told.get(key)) for key, most in wanted
                if key not in told or told[key][1] < most]


@pytest.mark.parametrize("key, version, body", [
    (METADATA, 1, b""), (METADATA, 1, i32(5)), (METADATA, 1, i32(2_000_000_000)),
    (METADATA, 1, array(i16(-5))), (METADATA, 1, array(i16(500) + b"x")),
    (PRODUCE, 3, text(None) + i16(1)), (FETCH, 4, i32(-1)), (LIST_OFFSETS, 1, i32(-1) + i32(1 << 30)),
    (JOIN_GROUP, 0, text("g")), (OFFSET_COMMIT, 2, text("g") + i32(1)),
    (PRODUCE, 3, text(None) + i16(1) + i32(1000) + array(text("t") + array(i32(0) + i32(1 << 30)))),
    (METADATA, 9, b"\0" + b"\xff" * 5 + b"\x0f"), (METADATA, 12, b"\0\2" + b"\0" * 10),
    (FIND_COORDINATOR, 1, i16(3) + b"g"),
], ids=lambda v: v.hex()[:20] if isinstance(v, bytes) else str(v))
def test_a_truncated_body_closes(wire, witness, key, version, body):
    c = wire()
    c.send(key, version, body)
    assert c.is_closed()


# records

def test_a_good_batch_and_what_comes_back(wire, topic):
    c = wire()
    sent = batch([record(b"one"), record(b"two", b"k", 1)])
    assert c.produce(topic, sent) == (NONE, 0)
    assert c.produce(topic, sent) == (NONE, 2)
    code, watermark, got = c.fetch(topic, 2)
    assert (code, watermark) == (NONE, 4)
    # As sent, but for the base offset and the leader epoch.
    assert got[-len(sent):][:8] == i64(2)
    assert got[-len(sent):][16:] == sent[16:]


@pytest.mark.parametrize("bad, codes", [
    (lambda: batch([record(b"x")], crc=12345), {CORRUPT}),
    (lambda: batch([record(b"x")])[:-3] + b"zzz", {CORRUPT}),
    (lambda: batch([record(b"x")], magic=3), {UNSUPPORTED_FORMAT, CORRUPT, INVALID_RECORD}),
    (lambda: batch([record(b"x")], magic=-1), {UNSUPPORTED_FORMAT, CORRUPT, INVALID_RECORD}),
    (lambda: batch([record(b"x")], count=2, last_delta=1), {INVALID_RECORD}),
    (lambda: batch([record(b"x")], count=0, last_delta=0), {INVALID_RECORD}),
    (lambda: batch([record(b"x")], count=-1), {INVALID_RECORD}),
    (lambda: batch([record(b"x")], last_delta=5), {INVALID_RECORD, CORRUPT}),
    (lambda: batch([record(b"x")], last_delta=-1), {INVALID_RECORD, CORRUPT}),
    (lambda: batch([record(b"x", offset_delta=3)]), {INVALID_RECORD, NONE}),
    (lambda: batch([record(b"x")], attributes=0x20), {INVALID_RECORD}),
    (lambda: batch([record(b"x")], attributes=7), {CORRUPT, UNSUPPORTED_CODEC, INVALID_RECORD, -1}),
    (lambda: batch([record(b"x")]) * 2, {INVALID_RECORD}),
    (lambda: batch([record(b"x")]) + b"\0" * 7, {INVALID_RECORD, CORRUPT, NONE}),
    (lambda: batch([record(b"x")])[:40], {CORRUPT, INVALID_RECORD}),
    (lambda: batch(varint(1000) + b"x"), {CORRUPT, INVALID_RECORD}),
    (lambda: batch(varint(-5) + b"x"), {CORRUPT, INVALID_RECORD}),
    (lambda: batch(varint(6) + b"\0\0\0\x01\xfe\xff\xff\xff\x0f"), {CORRUPT, INVALID_RECORD}),
    (lambda: batch(b"this is no gzip", attributes=1), {CORRUPT, INVALID_RECORD, -1}),
    (lambda: batch(b"this is no zstd", attributes=4), {CORRUPT, INVALID_RECORD, -1}),
    (lambda: batch(b"\xff" * 10, attributes=2), {CORRUPT, INVALID_RECORD, -1}),
    (lambda: batch(b"this is no lz4", attributes=3), {CORRUPT, INVALID_RECORD, -1}),
    (lambda: message_set(b"old"), {NONE, INVALID_RECORD, UNSUPPORTED_FORMAT}),
    (lambda: b"", {INVALID_RECORD, CORRUPT, NONE}),
], ids=["crc", "changed", "magic-3", "magic-negative", "count-more", "count-0", "count-negative",
        "last-delta-more", "last-delta-negative", "delta-gap", "control", "codec-7", "two-batches",
        "garbage-after", "cut", "record-longer", "record-negative", "key-huge", "gzip", "zstd", "snappy",
        "lz4", "old-format", "empty"])
def test_a_bad_batch_is_refused_by_its_code(wire, witness, topic, bad, codes):
    c = wire()
    # Zstandard came with version 7.
    code, _ = c.produce(topic, bad(), version=7)
    assert code in codes
    if code != NONE:
        assert end_of(wire, topic) == 0, "it was appended all the same"
    assert c.lives()


def end_of(wire, topic):
    """The high watermark, once the topic can be read."""
    return until(lambda: (got := wire().fetch(topic, 0))[0] == NONE and got[1:2], 10, "an answer")[0]


def test_a_small_bomb_is_not_unpacked_without_end(broker, wire, witness, topic):
    """A batch of a few kilobytes that unpacks to a gigabyte costs neither memory nor the broker."""
    import zstandard
    packed = zstandard.ZstdCompressor(level=19).compress(b"\0" * (256 << 20))
    assert len(packed) < 60_000
    c = wire()
    before = broker.resident_kib() if hasattr(broker, "resident_kib") else None
    assert c.produce(topic, batch(packed, attributes=4), version=7)[0] in (CORRUPT, INVALID_RECORD, -1)
    assert c.lives()
    if before is not None:
        assert broker.resident_kib() - before < 400 * 1024


def test_zstandard_is_for_those_who_know_it(wire, topic):
    assert wire().produce(topic, batch(b"any", attributes=4), version=6)[0] == UNSUPPORTED_CODEC


@pytest.mark.old_versions
def test_the_old_formats_are_taken_by_the_old_versions(wire, topic):
    c = wire()
    for magic in (0, 1):
        assert c.produce(topic, message_set(b"old", magic), version=2)[0] == NONE
    # And given back in them.
    code, watermark, got = c.fetch(topic, 0, version=2)
    assert (code, watermark) == (NONE, 2)
    assert got[16] == 1 and got.count(b"old") == 2
    code, _, got = c.fetch(topic, 0, version=0)
    assert code == NONE and got[16] == 0


@pytest.mark.old_versions
def test_a_wrong_crc_of_the_old_format(wire, topic):
    assert wire().produce(topic, message_set(b"x", crc=5), version=2)[0] == CORRUPT


@pytest.mark.parametrize("acks, code", [(2, INVALID_ACKS), (-2, INVALID_ACKS), (-1, NONE), (1, NONE)])
def test_acks_are_checked(wire, topic, acks, code):
    assert wire().produce(topic, batch([record(b"x")]), acks=acks)[0] == code


def test_acks_0_gets_no_answer_and_a_refusal_closes(wire, topic, name):
    c = wire()
    body = text(None) + i16(0) + i32(1000)
    good = batch([record(b"x")])
    c.send(PRODUCE, 3, body + array(text(topic) + array(i32(0) + blob(good))))
    assert c.lives()
    c.send(PRODUCE, 3, body + array(text(topic) + array(i32(0) + blob(batch([record(b"x")], crc=1)))))
    assert c.is_closed()


def test_unknown_topics_and_partitions(wire, topic, name):
    c = wire()
    good = batch([record(b"x")])
    assert c.produce(name + "-none", good)[0] == UNKNOWN_TOPIC
    assert c.produce(topic, good, partition=7)[0] == UNKNOWN_TOPIC
    assert c.fetch(name + "-none", 0)[0] == UNKNOWN_TOPIC
    assert c.fetch(topic, 0, partition=-1)[0] == UNKNOWN_TOPIC
    assert c.lives()


def test_offsets_out_of_range(wire, topic):
    c = wire()
    c.produce(topic, batch([record(b"x")]))
    for offset in (2, -5, 1 << 62):
        assert c.fetch(topic, offset)[0] == OFFSET_OUT_OF_RANGE
    assert c.fetch(topic, 1)[0] == NONE


def test_a_batch_over_the_limit(wire, topic):
    c = wire()
    assert c.produce(topic, batch([record(b"x" * 1_100_000)]))[0] == TOO_LARGE
    assert c.lives()


def test_sequences_of_an_idempotent_producer(wire, topic):
    """Duplicates are told the first offset; a gap and an older epoch are refused (KIP-98)."""
    c = wire()
    # A producer id nobody was given: the broker takes what is new to it.
    sent = [batch([record(b"%d" % n)], producer=(987654321, 0, n)) for n in range(3)]
    assert [c.produce(topic, s, acks=-1) for s in sent] == [(NONE, 0), (NONE, 1), (NONE, 2)]
    assert c.produce(topic, sent[1], acks=-1) == (NONE, 1)
    gap = batch([record(b"x")], producer=(987654321, 0, 9))
    assert c.produce(topic, gap, acks=-1)[0] == OUT_OF_SEQUENCE
    newer = batch([record(b"x")], producer=(987654321, 1, 0))
    assert c.produce(topic, newer, acks=-1) == (NONE, 3)
    assert c.produce(topic, gap, acks=-1)[0] == INVALID_EPOCH
    assert c.fetch(topic, 0)[1] == 4


@pytest.mark.transactions
def test_a_transaction_is_not_begun_behind_its_coordinators_back(wire, topic, name):
    """Records of a partition that was not added would hold readers back for ever (KIP-890)."""
    c = wire()
    producer = c.begin_transactions(name)
    transactional = 16

    def sent(n, who=producer):
        return batch([record(b"%d" % n)], attributes=transactional, producer=(*who, n))

    assert c.produce(topic, sent(0), acks=-1, transactional=name)[0] == INVALID_TXN_STATE
    assert c.produce(topic, sent(0), acks=-1)[0] == NO_TRANSACTIONAL_ID
    assert c.add_to_transaction(name, producer, topic) == NONE
    assert c.produce(topic, sent(0), acks=-1, transactional=name) == (NONE, 0)
    assert c.produce(topic, sent(1), acks=-1, transactional=name) == (NONE, 1)


# noise

def test_noise(wire, witness):
    """Random frames of every size; the broker answers its other clients throughout."""
    noise = random.Random(int(os.environ.get("E2E_SEED", "1")))
    for _ in range(200):
        c = wire()
        try:
            for _ in range(3):
                c.send_frame(noise.randbytes(noise.choice([1, 4, 8, 12, 60, 500])))
        except OSError:
            pass
        c.close()
    assert witness.lives()


def test_random_bodies_of_every_request(wire, witness):
    noise = random.Random(int(os.environ.get("E2E_SEED", "1")))
    # Not those that change the cluster: noise must not be obeyed by chance.
    known = [key for key in offered(wire) if key not in (19, 20, 21, 29, 30, 31, 33, 37, 42, 44, 45,
                                                         47, 49, 51, 57, 64)]
    for key in known * 5:
        least, most = offered(wire)[key] if key == API_VERSIONS else (0, 0)
        c = wire()
        c.send(key, least if noise.random() < 0.5 else most, noise.randbytes(noise.randrange(0, 60)))
        c.close()
    assert witness.lives()
