"""Kafka's protocol at its lowest: frames, headers and a connection that hides nothing."""

import itertools
import socket
import struct
import time
import zlib

from crc32c import crc32c

from .raw import Closed

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
OFFSET_COMMIT, FIND_COORDINATOR, JOIN_GROUP, API_VERSIONS = 8, 10, 11, 18
INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN = 22, 24

i8, i16, i32, i64 = (struct.Struct(f).pack for f in (">b", ">h", ">i", ">q"))


def text(value):
    """A nullable string of an old version: its length in two bytes."""
    if value is None:
        return i16(-1)
    raw = value if isinstance(value, bytes) else value.encode()
    return i16(len(raw)) + raw


def blob(value):
    return i32(-1) if value is None else i32(len(value)) + value


def array(*items):
    return i32(len(items)) + b"".join(items)


def unsigned(value):
    """An unsigned varint."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def varint(value):
    """A signed, zig-zag one."""
    return unsigned(((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF)


def record(value, key=None, offset_delta=0, headers=b"\0"):
    def field(data):
        return varint(-1) if data is None else varint(len(data)) + data
    body = i8(0) + varint(0) + varint(offset_delta) + field(key) + field(value) + headers
    return varint(len(body)) + body


def batch(records, *, count=None, attributes=0, magic=2, crc=None, last_delta=None, length=None,
          producer=(-1, -1, -1), base_offset=0):
    """A record batch of version 2; what is given is said instead of what is true."""
    stamp = int(time.time() * 1000)
    number = len(records) if isinstance(records, list) else 1
    body = b"".join(records) if isinstance(records, list) else records
    tail = (i16(attributes) + i32(number - 1 if last_delta is None else last_delta) + i64(stamp)
            + i64(stamp) + i64(producer[0]) + i16(producer[1]) + i32(producer[2])
            + i32(number if count is None else count) + body)
    checked = crc32c(tail) if crc is None else crc
    rest = i32(-1) + i8(magic) + struct.pack(">I", checked) + tail
    return i64(base_offset) + i32(len(rest) if length is None else length) + rest


def message_set(value, magic=1, crc=None):
    """A message of the old formats."""
    body = i8(magic) + i8(0) + (i64(int(time.time() * 1000)) if magic else b"") + blob(None) + blob(value)
    whole = struct.pack(">I", zlib.crc32(body) if crc is None else crc) + body
    return i64(0) + i32(len(whole)) + whole


class Wire:
    """One connection."""

    def __init__(self, address, seconds=10.0):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), seconds)
        self.sock.settimeout(seconds)
        self.correlations = itertools.count(1)

    def close(self):
        self.sock.close()

    def send_frame(self, body):
        self.sock.sendall(i32(len(body)) + body)

    def read_exactly(self, count):
        got = b""
        while len(got) < count:
            try:
                part = self.sock.recv(count - len(got))
            except (ConnectionResetError, BrokenPipeError):
                part = b""
            if not part:
                raise Closed("the broker closed the connection")
            got += part
        return got

    def receive_frame(self):
        return self.read_exactly(struct.unpack(">i", self.read_exactly(4))[0])

    def send(self, key, version, body=b"", client="e2e"):
        correlation = next(self.correlations)
        self.send_frame(i16(key) + i16(version) + i32(correlation) + text(client) + body)
        return correlation

    def ask(self, key, version, body=b"", **options):
        """The answer's body, without its header."""
        correlation = self.send(key, version, body, **options)
        answer = self.receive_frame()
        assert struct.unpack(">i", answer[:4])[0] == correlation
        return answer[4:]

    def is_closed(self):
        """Whether the broker has ended the connection, waiting for it."""
        try:
            while True:
                self.read_exactly(1)
        except Closed:
            return True
        except TimeoutError:
            return False

    def lives(self):
        """Whether it still answers."""
        return len(self.ask(API_VERSIONS, 0)) > 6

    # whole conversations

    def produce(self, topic, records, acks=1, version=3, partition=0, transactional=None):
        """The error code and the base offset."""
        body = text(transactional) if version >= 3 else b""
        body += i16(acks) + i32(10000) + array(text(topic) + array(i32(partition) + blob(records)))
        answer = self.ask(PRODUCE, version, body)
        at = 4 + 2 + len(topic.encode()) + 4 + 4
        code, offset = struct.unpack(">hq", answer[at:at + 10])
        return code, offset

    def begin_transactions(self, transactional):
        """The producer id and epoch of a transactional id, once its coordinator gives them."""
        while True:
            self.ask(FIND_COORDINATOR, 1, text(transactional) + i8(1))
            answer = self.ask(INIT_PRODUCER_ID, 0, text(transactional) + i32(60000))
            code, producer, epoch = struct.unpack(">hqh", answer[4:16])
            if code == 0:
                return producer, epoch
            # Not yet loaded, not yet known, or the one before is being ended.
            assert code in (14, 15, 16, 51), code
            time.sleep(0.05)

    def add_to_transaction(self, transactional, producer, topic, partition=0):
        """The error code of one partition."""
        body = text(transactional) + i64(producer[0]) + i16(producer[1])
        body += array(text(topic) + array(i32(partition)))
        return struct.unpack(">h", self.ask(ADD_PARTITIONS_TO_TXN, 0, body)[-2:])[0]

    def fetch(self, topic, offset, version=4, most=1 << 20, partition=0, wait_ms=100):
        """The error code, the high watermark and the records' bytes."""
        body = i32(-1) + i32(wait_ms) + i32(1) + (i32(most) if version >= 3 else b"")
        body += i8(0) if version >= 4 else b""
        body += array(text(topic) + array(i32(partition) + i64(offset) + i32(most)))
        answer = self.ask(FETCH, version, body)
        at = (4 if version >= 1 else 0) + 4 + 2 + len(topic.encode()) + 4 + 4
        code, watermark = struct.unpack(">hq", answer[at:at + 10])
        at += 10
        if version >= 4:
            aborted = struct.unpack(">i", answer[at + 8:at + 12])[0]
            at += 12 + max(aborted, 0) * 16
        size = struct.unpack(">i", answer[at:at + 4])[0]
        return code, watermark, answer[at + 4:at + 4 + size]

    def metadata(self, *topics):
        return self.ask(METADATA, 1, array(*(text(topic) for topic in topics)))
