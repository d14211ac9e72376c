"""MQTT 3.1.1 and 5 as clients see it."""

import time

import pytest

from support.mqtt import V5, V311, MqttClient, connected_raw, packet, properties, subscribe_packet, text
from support.waiting import eventually

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])

# MQTT 5 reason codes.
TOPIC_ALIAS_INVALID = 0x94
SESSION_TAKEN_OVER = 0x8E
NO_SUBSCRIPTION_EXISTED = 0x11
TOPIC_FILTER_INVALID = 0x8F


@pytest.mark.both_backends
@versions
@pytest.mark.parametrize("published,granted", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_delivery_is_at_the_lower_qos(hub, name, version, published, granted):
    with MqttClient(hub, version) as subscriber, MqttClient(hub, version) as publisher:
        assert subscriber.subscribe(f"{name}/a", granted) == granted
        publisher.publish(f"{name}/a", "x", published)
        message = subscriber.receive()
        assert (message.qos, message.retain) == (min(published, granted), False)


@pytest.mark.both_backends
@versions
def test_filters_match_as_the_standard_says(hub, name, version):
    topics = [f"{name}/a", f"{name}/a/b", f"{name}/a/b/c", f"{name}/x/b", f"{name}//b"]
    matches = {
        f"{name}/a": [0],
        f"{name}/+": [0],
        f"{name}/+/b": [1, 3, 4],
        f"{name}/a/#": [0, 1, 2],
        f"+/a/+": [1],
        f"{name}/+/+/+": [2],
    }
    with MqttClient(hub, version) as publisher:
        for topic_filter, expected in matches.items():
            with MqttClient(hub, version) as subscriber:
                subscriber.subscribe(topic_filter, 1)
                subscriber.subscribe(f"{name}-end", 1)
                for topic in topics:
                    publisher.publish(topic, "x")
                publisher.publish(f"{name}-end", "end")
                received = [topic for topic, _ in subscriber.receive_pairs(len(expected) + 1)]
            assert received == [topics[i] for i in expected] + [f"{name}-end"], topic_filter


@pytest.mark.both_backends
@versions
def test_an_unsubscribed_filter_is_silent(hub, name, version):
    with MqttClient(hub, version) as client:
        client.subscribe(f"{name}/a", 1)
        client.subscribe(f"{name}/b", 1)
        client.unsubscribe(f"{name}/a")
        client.publish(f"{name}/a", "unheard")
        client.publish(f"{name}/b", "heard")
        assert client.receive_pairs(1) == [(f"{name}/b", b"heard")]


def test_unsubscribe_says_when_there_was_nothing(hub, name):
    with MqttClient(hub) as client:
        assert client.unsubscribe(f"{name}/a")[0].value == NO_SUBSCRIPTION_EXISTED


@pytest.mark.both_backends
@versions
def test_a_thousand_messages_arrive_once_and_in_order(hub, name, version):
    with MqttClient(hub, version) as subscriber, MqttClient(hub, version) as publisher:
        subscriber.subscribe(f"{name}/#", 1)
        for number in range(1000):
            publisher.send(f"{name}/{number % 7}", str(number), qos=1)
        received = [int(payload) for _, payload in subscriber.receive_pairs(1000)]
    assert received == list(range(1000))


@versions
def test_a_second_connection_takes_the_client_id_over(hub, name, version):
    first = MqttClient(hub, version, client_id=name)
    with MqttClient(hub, version, client_id=name) as second:
        reason = first.disconnect_reason()
        assert version == V311 or reason == SESSION_TAKEN_OVER
        second.subscribe(f"{name}/a", 1)
        second.publish(f"{name}/a", "x")
        assert second.receive().payload == b"x"
    first.client.loop_stop()


def test_connack_announces_what_is_available(hub):
    with MqttClient(hub) as client:
        announced = client.connack_properties
        assert getattr(announced, "MaximumQoS", 2) == 2
        assert getattr(announced, "RetainAvailable", 1) == 1
        assert getattr(announced, "SharedSubscriptionAvailable", 1) == 1
        assert announced.TopicAliasMaximum == 16
        assert getattr(announced, "WildcardSubscriptionAvailable", 1) == 1
        assert getattr(announced, "SubscriptionIdentifierAvailable", 1) == 1


def test_a_client_may_use_topic_aliases(hub, name):
    with MqttClient(hub) as client:
        client.subscribe(f"{name}/#", 1)
        client.publish(f"{name}/a", "1", TopicAlias=3)
        client.publish(f"{name}/b", "2", TopicAlias=16)
        client.publish("", "3", TopicAlias=3)
        client.publish("", "4", TopicAlias=16)
        received = client.receive_pairs(4)
    assert received == [(f"{name}/a", b"1"), (f"{name}/b", b"2"), (f"{name}/a", b"3"), (f"{name}/b", b"4")]


@pytest.mark.parametrize("alias", [0, 17])
def test_a_topic_alias_out_of_range_ends_the_connection(hub, name, alias):
    with connected_raw(hub, version=5) as peer:
        props = b"\x03\x23" + alias.to_bytes(2)
        peer.send(packet(0x30, text(f"{name}/a") + props + b"x"))
        assert TOPIC_ALIAS_INVALID in peer.read_to_close()[:3]


def test_topic_aliases_are_used_towards_a_client_that_allows_them(hub, name):
    wish = properties("CONNECT", TopicAliasMaximum=10)
    with MqttClient(hub, connect_properties=wish) as subscriber, MqttClient(hub) as publisher:
        subscriber.subscribe(f"{name}/#")
        for _ in range(2):
            publisher.publish(f"{name}/a", "x")
        first, second = subscriber.receive(), subscriber.receive()
    assert first.topic == f"{name}/a"
    assert second.topic == ""
    assert first.properties.TopicAlias == second.properties.TopicAlias


def test_message_expiry_counts_down_while_the_message_waits(hub, name):
    """With one place in its window the subscriber gets a message when it has acknowledged the one before."""
    wish = properties("CONNECT", ReceiveMaximum=1)
    with MqttClient(hub, connect_properties=wish, manual_ack=True) as subscriber, MqttClient(hub) as publisher:
        subscriber.subscribe(f"{name}/#", 1)
        publisher.publish(f"{name}/a", "first")
        publisher.publish(f"{name}/a", "expires", MessageExpiryInterval=1)
        publisher.publish(f"{name}/a", "stays", MessageExpiryInterval=100)
        first = subscriber.receive()
        expired = time.monotonic() + 1.1
        eventually(lambda: time.monotonic() > expired, "the second message expires")
        subscriber.client.ack(first.mid, first.qos)
        stays = subscriber.receive()
    assert (first.payload, stays.payload) == (b"first", b"stays")
    assert 90 <= stays.properties.MessageExpiryInterval < 100


def test_a_bad_filter_is_refused_and_the_connection_stays(hub, name):
    with connected_raw(hub) as peer:
        filters = packet(0x82, b"\0\1" + b"\0\3a#b\0" + b"\0\1a\0")
        peer.send(filters)
        assert peer.read(6) == packet(0x90, b"\0\1\x80\0")


@versions
def test_an_idle_client_that_pings_stays(hub, version):
    with MqttClient(hub, version, keepalive=60) as client:
        client.client._send_pingreq()
        assert client.subscribe("a") == 0


def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives(hub):
    closed = hub.metric("sluice_mqtt_refusals_total", reason="keep_alive_timeout")
    with connected_raw(hub, keepalive=1) as peer:
        assert peer.read_to_close() == b""
    assert hub.metric("sluice_mqtt_refusals_total", reason="keep_alive_timeout") == closed + 1


@pytest.mark.both_backends
def test_a_slow_subscriber_gets_everything(hub, name):
    """It reads nothing while far more is published than sockets and windows hold."""
    payload = "x" * 10_000
    with connected_raw(hub) as slow, MqttClient(hub) as publisher:
        slow.send(subscribe_packet(f"{name}/#"))
        slow.read(5)
        for number in range(2000):
            publisher.send(f"{name}/a", f"{number:05}{payload}", qos=1)
        publisher.publish(f"{name}/a", f"{2000:05}{payload}")
        size = 2 + len(f"{name}/a") + 5 + len(payload)
        for number in range(2001):
            header = slow.read(3)
            assert header[0] == 0x30
            assert slow.read(size)[2 + len(f"{name}/a") :][:5] == f"{number:05}".encode()
