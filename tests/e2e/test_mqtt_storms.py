"""Many clients at once, coming and going: bounded memory, nobody forgotten, others go on."""

import contextlib
import socket
import threading

import pytest

from support.mqtt import (
    MqttClient,
    RawPeer,
    connect_packet,
    connected_raw,
    crowd,
    packet,
    publish_packet,
    subscribe_many_packet,
    subscribe_packet,
    text,
)
from support.waiting import DEADLINE_S, eventually

MIB = 1 << 20
CONNACK, SUBACK = b"\x20\x02\0\0", b"\x90\x03\0\1\0"


def connections(hub):
    return hub.metric("sluice_connections", protocol="mqtt")


def come_back(hub, number, topic):
    """A client that connects and subscribes, and tries again until there is a hub that lets it."""

    def attempt():
        with contextlib.suppress(ConnectionError):
            peer = RawPeer(hub.address("mqtt"))
            peer.send(connect_packet(f"storm-{number}") + subscribe_packet(topic))
            if peer.socket.recv(4, socket.MSG_WAITALL) == CONNACK:
                return peer
            peer.socket.close()

    peer = eventually(attempt, f"client {number} is back")
    assert peer.read(len(SUBACK)) == SUBACK
    return peer


class Storm:
    """Clients of which each waits for the end of its connection and comes back at once."""

    THREADS = 8

    def __init__(self, hub, count, topic):
        self._hub = hub
        self._count = count
        self._topic = topic
        self.peers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in filter(None, self.peers):
            peer.socket.close()

    def gather(self):
        """All at once; those that are there wait for their end first."""
        old, self.peers = dict(enumerate(self.peers)), [None] * self._count
        failures = []

        def some(first):
            try:
                for number in range(first, self._count, self.THREADS):
                    if number in old:
                        old[number].read_to_close()
                        old[number].socket.close()
                    self.peers[number] = come_back(self._hub, number, self._topic)
            except Exception as failure:
                failures.append(failure)

        threads = [threading.Thread(target=some, args=[first]) for first in range(self.THREADS)]
        for thread in threads:
            thread.start()
        return threads, failures

    def all_there(self, gathering):
        threads, failures = gathering
        for thread in threads:
            thread.join(2 * DEADLINE_S)
        assert not failures, failures[0]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_two_thousand_clients_come_back_when_the_hub_is_restarted(new_hub, name, ending):
    hub = new_hub()
    count, topic = 2_000, f"{name}/news"
    with Storm(hub, count, f"{name}/+") as storm:
        storm.all_there(storm.gather())
        assert connections(hub) == count
        before = hub.memory()
        coming = storm.gather()
        getattr(hub, ending)()
        hub.start()
        storm.all_there(coming)
        eventually(lambda: connections(hub) == count, "everybody is connected")
        with connected_raw(hub, client_id="writer") as writer:
            writer.send(publish_packet(topic, b"hello"))
        wanted = publish_packet(topic, b"hello")
        for peer in storm.peers:
            assert peer.read(len(wanted)) == wanted
        assert hub.memory() < before + 32 * MIB
    eventually(lambda: connections(hub) == 0, "everybody is gone")


class Fighter(threading.Thread):
    """Connects with a client id, and again whenever another one has taken it."""

    def __init__(self, hub, client_id):
        super().__init__(daemon=True)
        self._hub = hub
        self._client_id = client_id
        self._stop_now = threading.Event()
        self._peer = None
        self.rounds = 0

    def run(self):
        while not self._stop_now.is_set():
            with RawPeer(self._hub.address("mqtt")) as self._peer:
                self._peer.send(connect_packet(self._client_id) + subscribe_packet(f"fight/{self._client_id}/#"))
                self._peer.read_to_close()
            self.rounds += 1

    def stop(self):
        self._stop_now.set()
        while self.is_alive():
            with contextlib.suppress(OSError):
                self._peer.socket.shutdown(socket.SHUT_RDWR)
            self.join(0.05)


def test_clients_that_fight_for_an_id_disturb_nobody_and_leave_nothing(hub, name):
    connected, subscribed = connections(hub), hub.metric("sluice_subscriptions")
    with MqttClient(hub) as reader, MqttClient(hub) as writer:
        reader.subscribe(f"{name}/#", 1)
        fighters = [Fighter(hub, f"{name}-{number // 2}") for number in range(6)]  # three pairs
        for fighter in fighters:
            fighter.start()
        try:
            eventually(lambda: min(fighter.rounds for fighter in fighters) > 20, "they fight")
            before, number = hub.memory(), 0
            while min(fighter.rounds for fighter in fighters) < 300:
                writer.publish(f"{name}/a", str(number))
                assert reader.receive_pairs(1) == [(f"{name}/a", str(number).encode())]
                number += 1
            assert hub.memory() - before < 32 * MIB
        finally:
            for fighter in fighters:
                fighter.stop()
        eventually(lambda: connections(hub) == connected + 2, "the fighters are gone")
        assert hub.metric("sluice_subscriptions") == subscribed + 1
    with MqttClient(hub, client_id=f"{name}-0") as owner:
        owner.subscribe(f"{name}/mine")
        owner.publish(f"{name}/mine", "x")
        assert owner.receive().payload == b"x", "the id belongs to nobody any more"


def test_hundreds_that_begin_to_connect_and_never_end_are_closed_and_others_served(new_hub):
    hub = new_hub({"mqtt.connect_timeout": "2s"})
    whole = connect_packet("slow")
    with MqttClient(hub) as client, crowd(500, lambda _: RawPeer(hub.address("mqtt"))) as slow:
        for number, peer in enumerate(slow):
            peer.send(whole[: number % len(whole)])  # at least one byte is missing
        client.subscribe("a", 1)
        client.publish("a", "x")
        assert client.receive().payload == b"x"
        for peer in slow:
            assert peer.read_to_close() == b""
        assert connections(hub) == 1


def test_clients_that_subscribe_and_unsubscribe_without_end_leave_nothing(hub, name):
    """All to the same filters, so that the trees grow and shrink under each other."""
    subscribed = hub.metric("sluice_subscriptions")
    filters = [f"{name}/+/{number}/#" for number in range(100)]
    unsubscribe = packet(0xA2, b"\0\2" + b"".join(text(topic_filter) for topic_filter in filters))
    subscribe = subscribe_many_packet(filters)
    with crowd(50, lambda number: connected_raw(hub, client_id=f"{name}-{number}")) as peers:
        before = hub.memory()
        for _ in range(20):
            for peer in peers:
                peer.send(subscribe + unsubscribe)
            for peer in peers:
                assert peer.read_packet() == (0x90, b"\0\1" + bytes(100))
                assert peer.read_packet() == (0xB0, b"\0\2")
        assert hub.metric("sluice_subscriptions") == subscribed
        assert hub.memory() - before < 32 * MIB
