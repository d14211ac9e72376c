"""Clients that ask for too much, or send what they must not: memory is bounded, and others do not notice."""

import itertools
import struct

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
from support.waiting import eventually

MIB = 1 << 20
TOPIC_MAX = 65_535
FILTERS_MAX = 10_000
FILTERS_OF_A_PACKET = 1_000
# Of a hub whose caches are small; what comes on top would be memory that grows with the abuse.
GROWTH_MAX = 64 * MIB
SMALL_CACHES = {"log.tail_cache": "8MiB", "log.read_cache": "8MiB"}


@pytest.fixture
def bystanders(hub, name):
    """A publisher and a subscriber that were there before: check() says that they still work."""
    topic = f"beside-{name}/a"
    with MqttClient(hub) as subscriber, MqttClient(hub) as publisher:
        subscriber.subscribe(topic, 1)
        numbers = itertools.count()

        def check():
            wanted = str(next(numbers))
            publisher.publish(topic, wanted)
            assert subscriber.receive_pairs(1) == [(topic, wanted.encode())]

        check()
        yield check
        check()


# --- huge topics


def test_a_topic_of_65535_bytes_is_delivered(hub, bystanders):
    topic = "t" * TOPIC_MAX
    with connected_raw(hub, client_id="huge-reader") as reader, connected_raw(hub, client_id="huge-writer") as writer:
        reader.send(subscribe_packet(topic, qos=1))
        assert reader.read_packet() == (0x90, b"\0\1\1")
        writer.send(publish_packet(topic, b"x", qos=1))
        assert writer.read_packet() == (0x40, b"\0\1")
        first_byte, body = reader.read_packet()
        assert first_byte == 0x32
        assert body[2 : 2 + TOPIC_MAX] == topic.encode()
        assert body.endswith(b"x")


def test_a_topic_of_65536_levels_is_taken_and_a_filter_of_as_many_refused(hub, bystanders):
    levels = "/" * TOPIC_MAX
    with connected_raw(hub) as peer:
        peer.send(publish_packet(levels, b"x", qos=1))
        assert peer.read_packet() == (0x40, b"\0\1")
        for topic_filter in (levels, "+/" * (TOPIC_MAX // 2) + "+"):
            peer.send(subscribe_packet(topic_filter))
            assert peer.read_packet() == (0x90, b"\0\1\x80")


def test_thousands_of_huge_topics_do_not_stay_in_memory(new_hub):
    hub = new_hub(SMALL_CACHES)
    with MqttClient(hub) as subscriber, connected_raw(hub) as writer:
        subscriber.subscribe("last")
        before = hub.memory()
        for number in range(2_000):
            writer.send(publish_packet(str(number).ljust(TOPIC_MAX, "t"), b"x", qos=1))
            assert writer.read_packet() == (0x40, b"\0\1")
        writer.send(publish_packet("last", b"x", qos=1))
        assert subscriber.receive().topic == "last"
        assert hub.memory() - before < GROWTH_MAX


# --- a subscriber that never reads


@pytest.mark.parametrize("qos", [0, 1])
def test_subscribers_that_never_read_cost_nobody_anything(new_hub, name, qos):
    hub = new_hub(SMALL_CACHES)
    count, payload = 2_000, b"x" * 50_000  # 100 MB, which each of those who do not read would like to have
    with MqttClient(hub) as reader, MqttClient(hub) as writer:
        reader.subscribe(f"{name}/a", 1)
        with crowd(20, lambda number: connected_raw(hub, client_id=f"stuck-{number}")) as stuck:
            for peer in stuck:
                peer.send(subscribe_packet(f"{name}/#", qos=qos))
                assert peer.read_packet()[0] == 0x90
            before = hub.memory()
            for number in range(count):
                writer.send(f"{name}/a", payload + str(number).encode(), qos=1)
            for number in range(count):
                assert reader.receive().payload[len(payload) :] == str(number).encode()
            assert hub.memory() - before < GROWTH_MAX
        eventually(lambda: hub.metric("sluice_connections", protocol="mqtt") == 2, "those who were stuck are gone")


# --- ten thousand wildcard subscriptions


def subscribe_all(peer, filters, code):
    """In as few packets as there may be."""
    for first in range(0, len(filters), FILTERS_OF_A_PACKET):
        some = filters[first : first + FILTERS_OF_A_PACKET]
        peer.send(subscribe_many_packet(some))
        assert peer.read_packet() == (0x90, b"\0\1" + bytes([code]) * len(some))


def subscriptions(hub):
    return hub.metric("sluice_subscriptions")


def test_ten_thousand_wildcard_subscriptions_of_one_client(hub, name, bystanders):
    subscribed, before = subscriptions(hub), hub.memory()
    filters = [f"{name}/+/{number}/#" for number in range(FILTERS_MAX)]
    with connected_raw(hub) as peer, MqttClient(hub) as writer:
        subscribe_all(peer, filters, 0)
        assert subscriptions(hub) == subscribed + FILTERS_MAX
        subscribe_all(peer, [f"{name}/one-more/+"], 0x80)
        for number in range(0, FILTERS_MAX, 997):
            topic = f"{name}/a/{number}/b"
            writer.publish(topic, "x")
            assert peer.read_packet() == (0x30, text(topic) + b"x"), "one copy"
        bystanders()
        assert hub.memory() - before < GROWTH_MAX
    eventually(lambda: subscriptions(hub) == subscribed, "its subscriptions are gone")


def test_thousands_of_filters_that_match_the_same_topic(hub, name, bystanders):
    """All words of 12 levels that are `a` or `+`: 4,096 ways for the tree to reach one topic."""
    filters = ["/".join([name, *levels]) for levels in itertools.product("a+", repeat=12)]
    topic = "/".join([name, *"a" * 12])
    with connected_raw(hub) as peer, MqttClient(hub) as writer:
        subscribe_all(peer, filters, 0)
        for number in range(20):
            writer.publish(topic, str(number))
            assert peer.read_packet() == (0x30, text(topic) + str(number).encode()), "one copy of each"
            bystanders()


def test_ten_thousand_wildcard_subscriptions_over_many_clients(hub, name, bystanders):
    subscribed, before = subscriptions(hub), hub.memory()
    with (
        MqttClient(hub) as writer,
        crowd(1_000, lambda number: connected_raw(hub, client_id=f"{name}-{number}")) as peers,
    ):
        for number, peer in enumerate(peers):
            peer.send(subscribe_many_packet(f"{name}/{number}/+/{kind}/#" for kind in range(10)))
        for peer in peers:
            assert peer.read_packet() == (0x90, b"\0\1" + bytes(10))
        assert subscriptions(hub) == subscribed + 10_000
        for number in range(0, 1_000, 17):
            topic = f"{name}/{number}/x/{number % 10}/y"
            writer.publish(topic, "x")
            assert peers[number].read_packet() == (0x30, text(topic) + b"x")
        assert hub.memory() - before < GROWTH_MAX
    eventually(lambda: subscriptions(hub) == subscribed, "their subscriptions are gone")


# --- wrong packets at wrong times

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
TOPIC_A = text("a")
# Sent after CONNECT by a client of MQTT 5; the reason of the DISCONNECT that answers it.
WRONG_NOW = {
    "a second CONNECT": (connect_packet(version=5), {PROTOCOL_ERROR}),
    "CONNACK": (packet(0x20, b"\0\0\0"), {PROTOCOL_ERROR}),
    "SUBACK": (packet(0x90, b"\0\1\0\0"), {PROTOCOL_ERROR}),
    "UNSUBACK": (packet(0xB0, b"\0\1\0\0"), {PROTOCOL_ERROR}),
    "PINGRESP": (packet(0xD0, b""), {PROTOCOL_ERROR}),
    "AUTH that nobody began": (packet(0xF0, b"\x18\0"), {PROTOCOL_ERROR}),
    "type 0": (packet(0x00, b""), {MALFORMED, PROTOCOL_ERROR}),
    "PUBREL with wrong flags": (packet(0x60, b"\0\1"), {MALFORMED}),
    "SUBSCRIBE without filters": (packet(0x82, b"\0\1\0"), {PROTOCOL_ERROR}),
    "SUBSCRIBE with id 0": (packet(0x82, b"\0\0\0" + TOPIC_A + b"\0"), {MALFORMED, PROTOCOL_ERROR}),
    "UNSUBSCRIBE without filters": (packet(0xA2, b"\0\1\0"), {PROTOCOL_ERROR}),
    "PUBLISH at QoS 3": (packet(0x36, TOPIC_A + b"\0\1\0x"), {MALFORMED}),
    "DUP at QoS 0": (packet(0x38, TOPIC_A + b"\0x"), {MALFORMED, PROTOCOL_ERROR}),
    "an alias that nobody defined": (packet(0x30, text("") + b"\3\x23\0\1x"), {PROTOCOL_ERROR}),
    "an alias over the maximum": (packet(0x30, TOPIC_A + b"\3\x23\xff\xffx"), {0x94}),
    "a property twice": (packet(0x30, TOPIC_A + b"\4\1\0\1\0x"), {PROTOCOL_ERROR}),
    "a property of CONNECT in PUBLISH": (packet(0x30, TOPIC_A + b"\3\x21\0\1x"), {MALFORMED, PROTOCOL_ERROR}),
    "a wildcard in a topic": (packet(0x30, text("a/#") + b"\0x"), {MALFORMED, 0x90}),
    "a length without end": (b"\x30\xff\xff\xff\xff\x7f", {MALFORMED}),
}
# Sent instead of CONNECT.
WRONG_FIRST = {
    "PUBLISH": publish_packet("a", b"x"),
    "SUBSCRIBE": subscribe_packet("a"),
    "PINGREQ": packet(0xC0, b""),
    "DISCONNECT": packet(0xE0, b""),
    "AUTH": packet(0xF0, b"\x18\0"),
    "TLS": b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
    "zeros": bytes(100),
}
OF_EACH = 15


def test_wrong_packets_on_hundreds_of_connections_at_once(hub, bystanders):
    refused = hub.metric("sluice_mqtt_refusals_total")
    connections = hub.metric("sluice_connections", protocol="mqtt")
    wrong_now = list(WRONG_NOW.items()) * OF_EACH
    wrong_first = list(WRONG_FIRST.values()) * OF_EACH
    with (
        crowd(len(wrong_now), lambda number: connected_raw(hub, client_id=f"wrong-{number}", version=5)) as clients,
        crowd(len(wrong_first), lambda _: RawPeer(hub.address("mqtt"))) as strangers,
    ):
        for peer, (_, (data, _)) in zip(clients, wrong_now):
            peer.send(data)
        for peer, data in zip(strangers, wrong_first):
            peer.send(data)
        bystanders()
        for peer, (what, (_, reasons)) in zip(clients, wrong_now):
            told = peer.read_to_close()
            assert told[:1] == b"\xe0", f"{what}: {told!r}"
            assert told[2] in reasons, f"{what}: reason {told[2]:#x}"
        for peer in strangers:
            peer.read_to_close()
    assert hub.metric("sluice_mqtt_refusals_total") == refused + len(clients) + len(strangers)
    eventually(lambda: hub.metric("sluice_connections", protocol="mqtt") == connections, "all of them are closed")


def test_acknowledgements_of_nothing_are_answered_or_ignored(hub, bystanders):
    """What a client may send after it has lost its memory, or the hub its own."""
    ids = (1, 2, 65_535)
    with crowd(100, lambda number: connected_raw(hub, client_id=f"forgetful-{number}", version=5)) as peers:
        for peer in peers:
            for packet_id in ids:
                for first_byte in (0x40, 0x50, 0x62, 0x70):  # PUBACK, PUBREC, PUBREL, PUBCOMP
                    peer.send(packet(first_byte, struct.pack(">H", packet_id)))
            peer.send(packet(0xC0, b""))
        for peer in peers:
            for packet_id in ids:
                unknown = struct.pack(">HB", packet_id, 0x92)
                for answer in (0x62, 0x70):  # PUBREL for PUBREC, PUBCOMP for PUBREL
                    first_byte, body = peer.read_packet()
                    assert (first_byte, body[:3]) == (answer, unknown)
            assert peer.read_packet() == (0xD0, b"")
