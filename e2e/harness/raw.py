"""ZooKeeper's protocol at its lowest: frames, jute and a connection that hides nothing."""

import collections
import itertools
import select
import socket
import struct
import time

# Operations (ZooDefs.OpCode).
CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN = range(1, 9)
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 9, 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL = 17, 18, 19, 20, 21
MULTI_READ, AUTH, SET_WATCHES, SASL, GET_EPHEMERALS = 22, 100, 101, 102, 103
GET_ALL_CHILDREN_NUMBER, SET_WATCHES2, ADD_WATCH, WHO_AM_I = 104, 105, 106, 107
CLOSE_SESSION = -11

# Errors (KeeperException.Code).
OK, SYSTEM_ERROR, MARSHALLING_ERROR, UNIMPLEMENTED, BAD_ARGUMENTS = 0, -1, -5, -6, -8
RUNTIME_INCONSISTENCY = -2
UNKNOWN_SESSION, NEW_CONFIG_NO_QUORUM, RECONFIG_IN_PROGRESS = -12, -13, -14
NO_NODE, NO_AUTH, BAD_VERSION, NO_CHILDREN_FOR_EPHEMERALS = -101, -102, -103, -108
NODE_EXISTS, NOT_EMPTY, SESSION_EXPIRED, INVALID_CALLBACK, INVALID_ACL = -110, -111, -112, -113, -114
AUTH_FAILED, SESSION_MOVED, NOT_READ_ONLY, NO_WATCHER = -115, -118, -119, -121
RECONFIG_DISABLED, QUOTA_EXCEEDED, THROTTLED = -123, -125, -127

# Events (Watcher.Event.EventType).
NODE_CREATED, NODE_DELETED, DATA_CHANGED, CHILDREN_CHANGED = 1, 2, 3, 4
DATA_WATCH_REMOVED, CHILD_WATCH_REMOVED, PERSISTENT_WATCH_REMOVED = 5, 6, 7

# Create modes (CreateMode's flag).
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL, CONTAINER, TTL, TTL_SEQUENTIAL = range(7)

ALL = 31
OPEN = ((ALL, "world", "anyone"),)

Stat = collections.namedtuple(
    "Stat", "czxid mzxid ctime mtime version cversion aversion ephemeral_owner "
            "data_length num_children pzxid")
Event = collections.namedtuple("Event", "type state path zxid")
Reply = collections.namedtuple("Reply", "xid zxid error body")


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def flag(value):
    return b"\1" if value else b"\0"


def buffer(value):
    return i32(-1) if value is None else i32(len(value)) + value


def text(value):
    return buffer(value if isinstance(value, (bytes, type(None))) else value.encode())


def vector(items, write):
    return i32(len(items)) + b"".join(write(item) for item in items)


def acl(entries=OPEN):
    return vector(entries, lambda e: i32(e[0]) + text(e[1]) + text(e[2]))


class Reader:
    """Takes jute values off the front of some bytes."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise AssertionError(f"reply ends early: {self.data!r} at {self.at}+{count}")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def flag(self):
        return self.take(1) != b"\0"

    def buffer(self):
        length = self.i32()
        return None if length < 0 else self.take(length)

    def text(self):
        value = self.buffer()
        return None if value is None else value.decode()

    def vector(self, read):
        return [read(self) for _ in range(max(0, self.i32()))]

    def texts(self):
        return self.vector(Reader.text)

    def stat(self):
        return Stat(*struct.unpack(">qqqqiiiqiiq", self.take(68)))

    def acls(self):
        return self.vector(lambda r: (r.i32(), r.text(), r.text()))

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes left over"


class Failed(Exception):
    """A reply with an error code."""

    def __init__(self, error):
        super().__init__(f"error {error}")
        self.error = error


class Closed(Exception):
    """The server ended the connection."""


class Raw:
    """One connection. `call` awaits its reply; `send`/`receive` leave the order to the test."""

    def __init__(self, address, timeout_ms=10000, session=0, password=b"\0" * 16, last_zxid=0,
                 read_only=False, handshake=True, seconds=10.0):
        host, port = address.rsplit(":", 1)
        self.seconds = seconds
        self.sock = socket.create_connection((host, int(port)), seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(seconds)
        self.pending = b""
        self.events = []
        self.xids = itertools.count(1)
        self.last_zxid = last_zxid
        self.session = self.timeout_ms = self.password = None
        if handshake:
            self.handshake(timeout_ms, session, password, last_zxid, read_only)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # frames

    def send_frame(self, body):
        self.sock.sendall(i32(len(body)) + body)

    def receive_frame(self):
        def fill(count):
            while len(self.pending) < count:
                try:
                    part = self.sock.recv(1 << 16)
                except ConnectionResetError:
                    part = b""
                if not part:
                    raise Closed()
                self.pending += part
        fill(4)
        length = struct.unpack(">i", self.pending[:4])[0]
        fill(4 + length)
        frame = self.pending[4:4 + length]
        self.pending = self.pending[4 + length:]
        return frame

    def is_closed(self, seconds=5.0):
        """Whether the server ends the connection in that time (whatever it sends before)."""
        self.sock.settimeout(seconds)
        try:
            while True:
                self.receive_frame()
        except Closed:
            return True
        except (socket.timeout, TimeoutError):
            return False
        except BrokenPipeError:
            return True
        finally:
            self.sock.settimeout(self.seconds)

    def drop(self):
        """Ends the connection without a word, as a crash does; the session lives on."""
        self.sock.close()

    def close(self):
        """Closes the session in order, where that is still possible."""
        if self.sock.fileno() < 0:
            return
        try:
            if self.session:
                self.sock.settimeout(2)
                self.send(CLOSE_SESSION)
                while self.receive_frame():
                    pass
        except (OSError, Closed):
            pass
        self.sock.close()

    # the session

    def handshake(self, timeout_ms=10000, session=0, password=b"\0" * 16, last_zxid=0,
                  read_only=False):
        body = i32(0) + i64(last_zxid) + i32(timeout_ms) + i64(session) + buffer(password)
        if read_only is not None:
            body += flag(read_only)
        self.send_frame(body)
        frame = Reader(self.receive_frame())
        frame.i32()
        self.timeout_ms = frame.i32()
        self.session = frame.i64()
        self.password = frame.buffer()
        self.read_only = frame.flag() if frame.at < len(frame.data) else None
        frame.end()
        return self

    # requests

    def send(self, op, body=b"", xid=None):
        if xid is None:
            xid = next(self.xids)
        self.send_frame(i32(xid) + i32(op) + body)
        return xid

    def receive(self):
        """The next reply; notifications that come before it are kept in `events`."""
        while True:
            frame = Reader(self.receive_frame())
            xid, zxid, error = frame.i32(), frame.i64(), frame.i32()
            if xid == -1:
                self.events.append(Event(frame.i32(), frame.i32(), frame.text(), zxid))
                continue
            return Reply(xid, zxid, error, frame)

    def reply(self, op, body=b"", xid=None):
        sent = self.send(op, body, xid)
        answer = self.receive()
        assert answer.xid == sent, f"sent {sent}, answered {answer.xid}"
        self.last_zxid = max(self.last_zxid, answer.zxid)
        return answer

    def call(self, op, body=b"", xid=None):
        answer = self.reply(op, body, xid)
        if answer.error != OK:
            raise Failed(answer.error)
        return answer.body

    def error(self, op, body=b"", xid=None):
        """The reply's error code; a body after an error is itself an error."""
        answer = self.reply(op, body, xid)
        if answer.error != OK:
            answer.body.end()
        return answer.error

    def next_event(self, seconds=5.0):
        """The oldest notification not yet taken."""
        end = time.monotonic() + seconds
        while not self.events:
            left = max(0.0, end - time.monotonic())
            if len(self.pending) < 4 and not select.select([self.sock], [], [], left)[0]:
                raise AssertionError(f"no event in {seconds} s")
            frame = Reader(self.receive_frame())
            xid, zxid, _ = frame.i32(), frame.i64(), frame.i32()
            assert xid == -1, f"a reply where an event was awaited: {xid}"
            self.events.append(Event(frame.i32(), frame.i32(), frame.text(), zxid))
        return self.events.pop(0)

    def take_events(self):
        """All notifications of what was done before: a ping's answer comes after them."""
        self.call(PING, xid=-2)
        events, self.events = self.events, []
        return [(event.type, event.path) for event in events]

    # the everyday ones

    def create(self, path, data=b"", mode=PERSISTENT, entries=OPEN):
        body = self.call(CREATE, text(path) + buffer(data) + acl(entries) + i32(mode))
        made = body.text()
        body.end()
        return made

    def create2(self, path, data=b"", mode=PERSISTENT, entries=OPEN, op=CREATE2, ttl=None):
        request = text(path) + buffer(data) + acl(entries) + i32(mode)
        if ttl is not None:
            request, op = request + i64(ttl), CREATE_TTL
        body = self.call(op, request)
        made = body.text(), body.stat()
        body.end()
        return made

    def delete(self, path, version=-1):
        self.call(DELETE, text(path) + i32(version)).end()

    def exists(self, path, watch=False):
        answer = self.reply(EXISTS, text(path) + flag(watch))
        if answer.error == NO_NODE:
            return None
        if answer.error:
            raise Failed(answer.error)
        return answer.body.stat()

    def get(self, path, watch=False):
        body = self.call(GET_DATA, text(path) + flag(watch))
        value = body.buffer(), body.stat()
        body.end()
        return value

    def set(self, path, data, version=-1):
        body = self.call(SET_DATA, text(path) + buffer(data) + i32(version))
        stat = body.stat()
        body.end()
        return stat

    def children(self, path, watch=False):
        body = self.call(GET_CHILDREN, text(path) + flag(watch))
        names = body.texts()
        body.end()
        return names

    def sync(self, path="/"):
        return self.call(SYNC, text(path)).text()

    def auth(self, scheme, credential):
        """The reply's error; the connection may be closed after it."""
        return self.reply(AUTH, i32(0) + text(scheme) + buffer(credential), xid=-4).error

    def add_watch(self, path, mode):
        self.call(ADD_WATCH, text(path) + i32(mode))

    def get_acl(self, path):
        body = self.call(GET_ACL, text(path))
        value = body.acls(), body.stat()
        body.end()
        return value

    def set_acl(self, path, entries, version=-1):
        body = self.call(SET_ACL, text(path) + acl(entries) + i32(version))
        return body.stat()

    def multi(self, operations, op=MULTI):
        """`operations` are (op, body); the results (op, error, Reader at the result)."""
        body = b"".join(i32(o) + flag(False) + i32(-1) + b for o, b in operations)
        answer = self.reply(op, body + i32(-1) + flag(True) + i32(-1))
        reader, results = answer.body, []
        while True:
            kind, done, error = reader.i32(), reader.flag(), reader.i32()
            if done:
                reader.end()
                return answer, results
            if kind == -1:
                results.append((kind, reader.i32(), None))
                assert error in (results[-1][1], OK), (error, results[-1])
            elif kind in (CREATE, ):
                results.append((kind, error, reader.text()))
            elif kind in (CREATE2, CREATE_CONTAINER, CREATE_TTL):
                results.append((kind, error, (reader.text(), reader.stat())))
            elif kind == SET_DATA:
                results.append((kind, error, reader.stat()))
            elif kind == GET_DATA:
                results.append((kind, error, (reader.buffer(), reader.stat())))
            elif kind == GET_CHILDREN:
                results.append((kind, error, reader.texts()))
            else:
                results.append((kind, error, None))


def create_op(path, data=b"", mode=PERSISTENT, entries=OPEN, op=CREATE):
    return op, text(path) + buffer(data) + acl(entries) + i32(mode)


def delete_op(path, version=-1):
    return DELETE, text(path) + i32(version)


def set_op(path, data, version=-1):
    return SET_DATA, text(path) + buffer(data) + i32(version)


def check_op(path, version):
    return CHECK, text(path) + i32(version)
