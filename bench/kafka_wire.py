"""The few requests of Kafka's protocol by which the bench makes topics and asks whether all serve."""

import socket
import struct

# The replica id of a client.
CLIENT = -1
# The time that stands for the end of a partition.
LATEST = -1


class WireError(Exception):
    """An answer that says no; its text has Kafka's error code."""


def string(text):
    """A string, null for None."""
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    """An array of what is encoded already."""
    return struct.pack(">i", len(items)) + b"".join(items)


class Reader:
    """Reads an answer from its front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    def string(self):
        length = self.take("h")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]


class Connection:
    """One connection to one broker. Raises OSError if it is not there or goes away."""

    def __init__(self, port, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, key, version, body, seconds=None):
        """Sends a request with the old header and returns a Reader of its answer."""
        if seconds:
            self.socket.settimeout(seconds)
        request = struct.pack(">hhi", key, version, 7) + string("bench") + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", self.exactly(4))[0]
        return Reader(self.exactly(size)[4:])

    def exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(min(size - len(data), 1 << 20))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return data

    def metadata(self, topics=None):
        """{broker: port}, the controller, {topic: {partition: (leader, in-sync replicas)}}.

        The leader is -1 where there is none.
        """
        body = struct.pack(">i", -1) if topics is None else array([string(t) for t in topics])
        answer = self.ask(3, 1, body)
        brokers = dict(answer.array(lambda: self._broker(answer)))
        controller = answer.take("i")
        found = {}
        for error, name, partitions in answer.array(lambda: self._topic(answer)):
            if error == 0:
                found[name] = dict(partitions)
        return brokers, controller, found

    @staticmethod
    def _broker(answer):
        number, _host, port, _rack = (answer.take("i"), answer.string(), answer.take("i"),
                                      answer.string())
        return number, port

    @staticmethod
    def _topic(answer):
        error, name, _internal = answer.take("h"), answer.string(), answer.take("b")

        def partition():
            _error, number, leader = answer.take("hii")
            _replicas, isr = (answer.array(lambda: answer.take("i")) for _ in range(2))
            return number, (leader, isr)

        return error, name, answer.array(partition)

    def create_topics(self, names, partitions, replication=1, configs=None, seconds=180):
        """Makes topics; WireError if one is refused."""
        pairs = [string(k) + string(str(v)) for k, v in (configs or {}).items()]
        body = array([string(name) + struct.pack(">ih", partitions, replication) + array([])
                      + array(pairs) for name in names])
        body += struct.pack(">i?", seconds * 1000, False)
        answer = self.ask(19, 2, body, seconds + 10)
        answer.take("i")
        for name, error, text in answer.array(
                lambda: (answer.string(), answer.take("h"), answer.string())):
            if error:
                raise WireError(f"topic {name}: error {error}, {text}")

    def delete_topics(self, names, seconds=60):
        """Deletes topics; WireError if one is refused."""
        body = array([string(name) for name in names]) + struct.pack(">i", seconds * 1000)
        answer = self.ask(20, 1, body, seconds + 10)
        answer.take("i")
        for name, error in answer.array(lambda: (answer.string(), answer.take("h"))):
            if error:
                raise WireError(f"deleting {name}: error {error}")

    def end_offsets(self, wanted):
        """{(topic, partition): end} of {topic: partitions}, without those that gave an error."""
        topics = [string(topic) + array([struct.pack(">iq", p, LATEST) for p in partitions])
                  for topic, partitions in wanted.items()]
        answer = self.ask(2, 1, struct.pack(">i", CLIENT) + array(topics), 60)
        ends = {}
        for name, partitions in answer.array(lambda: (
                answer.string(), answer.array(lambda: answer.take("ihqq")))):
            for partition, error, _time, offset in partitions:
                if error == 0:
                    ends[name, partition] = offset
        return ends
