"""Publishers, producers and a reader that go on through the deaths of their hub, and remember what they were promised."""

import itertools
import os
import random
import socket
import struct
import threading
import time
from collections import deque

from confluent_kafka import OFFSET_BEGINNING, KafkaError, Producer, TopicPartition

from support.kafka import QUIET, consumer
from support.mqtt import connect_packet, publish_packet
from support.waiting import DEADLINE_S, eventually

SEED = int(os.environ.get("SLUICE_CRASH_SEED", time.time_ns() % 1_000_000))


class Load(threading.Thread):
    """A thread that works until finish(), which gives back what ended it early, if anything did."""

    def __init__(self, name):
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.acknowledged = 0
        self.failure = None

    def run(self):
        try:
            self.work()
        except Exception as error:  # shown by finish(), in the test's own thread
            self.failure = error

    def finish(self):
        self.stopping.set()
        self.join(2 * DEADLINE_S)
        assert not self.is_alive(), f"{self.name} still waits for answers"
        if self.failure:
            raise self.failure


class MqttPublisher(Load):
    """Publishes 0, 1, 2, ... to `topic` at QoS 1, up to WINDOW at a time. After a lost connection it publishes again, in
    order, what was not acknowledged, so each number is in the log at least once, and for the first time in its order.
    Payloads are as long as `size` at least: spaces before the number. An answer may take `patience_s`.
    """

    WINDOW = 64

    def __init__(self, hub, topic, retain=False, size=0, patience_s=DEADLINE_S):
        super().__init__(topic)
        self.patience_s = patience_s
        self.size = size
        self.retain = retain
        self.address = hub.address("mqtt")
        self.topic = topic
        self.unacknowledged = deque()
        self.sent = 0

    def work(self):
        while not self.stopping.is_set() or self.unacknowledged:
            try:
                with socket.create_connection(self.address, timeout=self.patience_s) as peer:
                    self.serve(peer)
            except (ConnectionError, EOFError):
                self.stopping.wait(0.02)  # the hub is down for a moment

    def serve(self, peer):
        peer.sendall(connect_packet(self.name))
        assert self.receive(peer, 4) == b"\x20\x02\0\0"
        peer.sendall(b"".join(self.packet(number) for number in self.unacknowledged))
        while not self.stopping.is_set() or self.unacknowledged:
            fresh = []
            while not self.stopping.is_set() and len(self.unacknowledged) < self.WINDOW:
                self.unacknowledged.append(self.sent)
                fresh.append(self.packet(self.sent))
                self.sent += 1
            peer.sendall(b"".join(fresh))
            self.take_puback(peer)

    def packet(self, number):
        packet_id = self.packet_id(number)
        payload = str(number).rjust(self.size).encode()
        return publish_packet(self.topic, payload, qos=1, packet_id=packet_id, retain=self.retain)

    @staticmethod
    def packet_id(number):
        return number % 65535 + 1

    def take_puback(self, peer):
        puback = self.receive(peer, 4)
        expected = struct.pack(">BBH", 0x40, 2, self.packet_id(self.unacknowledged[0]))
        assert puback == expected, f"{self.name}: {puback.hex()} instead of {expected.hex()}"
        self.unacknowledged.popleft()
        self.acknowledged += 1

    @staticmethod
    def receive(peer, count):
        data = b""
        while len(data) < count:
            piece = peer.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class KafkaProducer(Load):
    """Produces 0, 1, 2, ... under one key with an idempotent producer: each number exactly once, and in order."""

    WINDOW = 2000

    def __init__(self, hub, topic, key):
        super().__init__(key)
        self.topic = topic
        self.producer = Producer(
            {
                "bootstrap.servers": hub.kafka,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "batch.num.messages": 100,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 20,
                "message.timeout.ms": 120_000,
                **QUIET,
            }
        )
        self.sent = 0

    def work(self):
        for number in itertools.count():
            if self.stopping.is_set():
                break
            self.producer.produce(self.topic, str(number), self.name, on_delivery=self.delivered)
            self.sent += 1
            while len(self.producer) >= self.WINDOW:
                self.producer.poll(0.1)
            self.producer.poll(0)
        assert self.producer.flush(DEADLINE_S) == 0, f"{self.name}: not all records were answered"

    def delivered(self, error, message):
        if error:
            self.failure = self.failure or AssertionError(f"{self.name} {message.value()}: {error}")
        else:
            self.acknowledged += 1


class Follower(Load):
    """Reads a topic all the time. What a reader has once seen at an offset is there for ever."""

    def __init__(self, hub, topic, partitions):
        super().__init__(f"reader of {topic}")
        self.seen = {}
        self.consumer = consumer(hub, reconnect__backoff__max__ms=100)
        self.consumer.assign([TopicPartition(topic, index, OFFSET_BEGINNING) for index in range(partitions)])

    def work(self):
        while not self.stopping.is_set():
            message = self.consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                assert message.error().code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN), message.error()
                continue
            self.seen[message.partition(), message.offset()] = message.value()
            self.acknowledged += 1
        self.consumer.close()


def wait_for_progress(loads, count, deadline_s=DEADLINE_S):
    """Until each load has got `count` more answers."""
    goals = [(load, load.acknowledged + count) for load in loads]

    def reached():
        for load, _ in goals:
            assert load.is_alive(), f"{load.name} ended: {load.failure}"
        return all(load.acknowledged >= goal for load, goal in goals)

    eventually(reached, "progress of all clients", deadline_s)


def kill_under_load(hub, loads, kills, answers=50, then=lambda: None):
    """Kills the hub at random moments, each when every load has got some answers, and starts it again."""
    print(f"SLUICE_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    for _ in range(kills):
        wait_for_progress(loads, answers)
        time.sleep(chance.uniform(0, 0.5))
        hub.kill()
        hub.start()
        then()
