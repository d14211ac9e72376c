"""Requests about groups, byte by byte: for members that do what no client does. Error codes are Kafka's numbers."""

import socket
import struct

from support.waiting import DEADLINE_S

OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 8, 9, 10, 11, 12, 14
DELETE_GROUPS, OFFSET_DELETE = 42, 47
NOBODY = (-1, "")  # generation and member id of a commit without a member


def text(value):
    if value is None:
        return struct.pack(">h", -1)
    return struct.pack(">h", len(value)) + value.encode()


def sized(value):
    return struct.pack(">i", len(value)) + value


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def subscription(topic):
    """ConsumerProtocolSubscription, version 0, without user data."""
    return struct.pack(">h", 0) + array([text(topic)]) + struct.pack(">i", -1)


def assignment(topic):
    """ConsumerProtocolAssignment, version 0: partition 0 of `topic`."""
    return struct.pack(">h", 0) + array([text(topic) + array([struct.pack(">i", 0)])]) + struct.pack(">i", -1)


class Answer:
    def __init__(self, body):
        self._body, self._at = body, 4  # behind the correlation id

    def number(self, form):
        (value,) = struct.unpack_from(f">{form}", self._body, self._at)
        self._at += struct.calcsize(f">{form}")
        return value

    def text(self):
        size = self.number("h")
        self._at += max(size, 0)
        return None if size < 0 else self._body[self._at - size : self._at].decode()


class RawGroup:
    """A connection that speaks for members of one group."""

    def __init__(self, bootstrap, group):
        host, port = bootstrap.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=DEADLINE_S)
        self._stream = self._socket.makefile("rb")
        self._group = text(group)

    def close(self):
        self._stream.close()
        self._socket.close()

    def _call(self, key, version, body):
        request = struct.pack(">hhi", key, version, 1) + text("raw") + body
        self._socket.sendall(sized(request))
        (size,) = struct.unpack(">i", self._stream.read(4))
        return Answer(self._stream.read(size))

    def has_coordinator(self):
        """Whether there is one; the first question makes Kafka create the topic of its offsets."""
        return self._call(FIND_COORDINATOR, 0, self._group).number("h") == 0

    def join(self, topic, member="", instance=None, rebalance_ms=6000, session_ms=6000):
        """(error, generation, member id)"""
        protocols = array([text("range") + sized(subscription(topic))])
        times = struct.pack(">ii", session_ms, rebalance_ms)
        static = text(instance) if instance else b""
        answer = self._call(
            JOIN_GROUP,
            5 if instance else 2,
            self._group + times + text(member) + static + text("consumer") + protocols,
        )
        answer.number("i")
        error, generation = answer.number("h"), answer.number("i")
        answer.text(), answer.text()
        return error, generation, answer.text()

    def sync(self, topic, generation, member, instance=None):
        assignments = array([text(member) + sized(assignment(topic))])
        static = text(instance) if instance else b""
        answer = self._call(
            SYNC_GROUP,
            3 if instance else 1,
            self._group + struct.pack(">i", generation) + text(member) + static + assignments,
        )
        answer.number("i")
        return answer.number("h")

    def heartbeat(self, generation, member, instance=None):
        static = text(instance) if instance else b""
        answer = self._call(
            HEARTBEAT, 3 if instance else 1, self._group + struct.pack(">i", generation) + text(member) + static
        )
        answer.number("i")
        return answer.number("h")

    def commit(self, generation, member, topic, offset):
        partition = struct.pack(">iq", 0, offset) + text("")
        who = struct.pack(">i", generation) + text(member) + struct.pack(">q", -1)
        answer = self._call(OFFSET_COMMIT, 2, self._group + who + array([text(topic) + array([partition])]))
        answer.number("i"), answer.text(), answer.number("i"), answer.number("i")
        return answer.number("h")

    def committed(self, topic):
        """(error, offset)"""
        answer = self._call(OFFSET_FETCH, 1, self._group + array([text(topic) + array([struct.pack(">i", 0)])]))
        answer.number("i"), answer.text(), answer.number("i"), answer.number("i")
        offset = answer.number("q")
        answer.text()
        return answer.number("h"), offset

    def delete_offset(self, topic):
        """(error of the group, of the partition)"""
        answer = self._call(OFFSET_DELETE, 0, self._group + array([text(topic) + array([struct.pack(">i", 0)])]))
        error = answer.number("h")
        answer.number("i")
        if answer.number("i") == 0:
            return error, None
        answer.text(), answer.number("i"), answer.number("i")
        return error, answer.number("h")

    def delete(self):
        answer = self._call(DELETE_GROUPS, 0, array([self._group]))
        answer.number("i"), answer.number("i"), answer.text()
        return answer.number("h")
