"""What MQTT 5 adds to a message: its properties (3.3.2.3), and topic aliases."""

import time

import pytest

from conformance import covers, packets
from conformance.packets import (
    CONTENT_TYPE,
    CORRELATION_DATA,
    MALFORMED,
    MESSAGE_EXPIRY,
    PAYLOAD_FORMAT,
    PROTOCOL_ERROR,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    RESPONSE_TOPIC,
    SUBSCRIPTION_ID,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    V5,
)
from support.waiting import eventually

ALIAS_INVALID = 0x94


@pytest.fixture
def topic(name):
    """Long enough for the server to use an alias."""
    return f"{name}/{'x' * 30}"


# --- what is handed on

HANDED_ON = {
    "payload-is-text": [(PAYLOAD_FORMAT, 1)],
    "payload-is-bytes": [(PAYLOAD_FORMAT, 0)],
    "content-type": [(CONTENT_TYPE, "application/x-ä; a=\ufeff")],
    "response-topic": [(RESPONSE_TOPIC, "answers/to/ä")],
    "correlation-data": [(CORRELATION_DATA, bytes(range(256)))],
    "user-properties": [(USER_PROPERTY, pair) for pair in [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("b", "1")]],
}


@pytest.mark.parametrize("retained", [False, True], ids=["live", "retained"])
@pytest.mark.parametrize("props", [*HANDED_ON.values()], ids=[*HANDED_ON])
@covers("5:MQTT-3.3.2-4", "5:MQTT-3.3.2-15", "5:MQTT-3.3.2-16", "5:MQTT-3.3.2-17", "5:MQTT-3.3.2-18", "5:MQTT-3.3.2-20")
def test_properties_reach_subscribers_unaltered_and_in_order(connected, topic, props, retained):
    client, publisher = connected(), connected()
    if not retained:
        client.subscribe(topic)
    publisher.publish(topic, b"x", props=props, retain=retained)
    if retained:
        client.subscribe(topic)
    assert client.expect_message(topic, b"x").properties == tuple(props)


@pytest.mark.parametrize("bad", ["a/+", "#", "a/#/b"])
@covers("5:MQTT-3.3.2-14")
def test_a_response_topic_with_a_wildcard_closes_the_connection(connected, topic, bad):
    client = connected()
    client.send(packets.publish(V5, topic, b"x", props=[(RESPONSE_TOPIC, bad)]))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-3.3.4-6")
def test_a_client_may_not_send_a_subscription_identifier(connected, topic):
    client = connected()
    client.send(packets.publish(V5, topic, b"x", props=[(SUBSCRIPTION_ID, 1)]))
    client.expect_closed(PROTOCOL_ERROR)


# --- expiry


@covers("5:MQTT-3.3.2-6", "5:MQTT-3.3.2-5")
def test_the_expiry_is_counted_down_and_then_the_message_is_gone(connected, topic):
    """By the retained message, which one can ask for again and again."""
    began = time.monotonic()
    connected().publish(topic, b"x", retain=True, props=[(MESSAGE_EXPIRY, 3)])
    client = connected()
    rests = []
    eventually(lambda: _is_gone(client, topic, rests), "the end of a message that expires")
    assert rests == sorted(rests, reverse=True) and set(rests) <= {1, 2, 3} and rests[-1] < 3
    assert 3 <= time.monotonic() - began < 10


@covers("5:MQTT-4.3.3-13", "5:MQTT-4.3.3-7")
def test_the_exchange_of_qos_2_goes_on_when_the_message_has_expired(connected, topic):
    """The message has expired before it is released."""
    publisher, client = connected(), connected()
    client.subscribe(topic, 2)
    publisher.send(packets.publish(V5, topic, b"x", qos=2, props=[(MESSAGE_EXPIRY, 2)]))
    publisher.expect(PUBREC, packet_id=1, code=0)
    message = client.expect(PUBLISH, payload=b"x")
    watcher = connected()
    connected().publish(f"{topic}/kept", b"x", retain=True, props=[(MESSAGE_EXPIRY, 2)])
    eventually(lambda: _is_gone(watcher, f"{topic}/kept"), "the end of a message of the same expiry")
    publisher.send(packets.ack(PUBREL, 1))
    publisher.expect(PUBCOMP, packet_id=1, code=0)
    client.send(packets.ack(PUBREC, message.packet_id))
    client.expect(PUBREL, packet_id=message.packet_id, code=0)
    client.send(packets.ack(PUBCOMP, message.packet_id))
    client.expect_nothing()


def _is_gone(client, topic, rests=None):
    """Whether nothing is retained for the topic: what is published after the subscription comes first. `rests` gets the
    expiry that it came with."""
    client.subscribe(topic)
    client.send(packets.publish(V5, topic, b"live"))
    message = client.expect_message(topic)
    if message.retain:
        if rests is not None:
            rests.append(message.get(MESSAGE_EXPIRY))
        client.expect_message(topic, b"live")
    return not message.retain


# --- aliases of the client


@covers("5:MQTT-3.3.2-12")
def test_all_aliases_within_the_maximum_are_accepted(connected, name):
    client, publisher = connected(), connected()
    client.subscribe(f"{name}/#")
    maximum = publisher.connack.get(TOPIC_ALIAS_MAXIMUM)
    assert maximum
    aliases = range(1, maximum + 1)
    for alias in aliases:
        publisher.publish(f"{name}/{alias}", b"told", props=[(TOPIC_ALIAS, alias)])
        client.expect_message(f"{name}/{alias}", b"told")
    for alias in reversed(aliases):
        publisher.publish("", b"known", props=[(TOPIC_ALIAS, alias)])
        client.expect_message(f"{name}/{alias}", b"known")
    publisher.publish(f"{name}/other", b"told", props=[(TOPIC_ALIAS, 1)])
    publisher.publish("", b"known", props=[(TOPIC_ALIAS, 1)])
    client.expect_message(f"{name}/other", b"told")
    client.expect_message(f"{name}/other", b"known")


@pytest.mark.parametrize("topic_there", [False, True], ids=["without-topic", "with-topic"])
@covers("5:MQTT-3.3.2-8", "5:MQTT-3.3.2-9", "5:MQTT-3.2.2-17")
def test_an_alias_out_of_range_closes_the_connection(connected, topic, topic_there):
    maximum = connected().connack.get(TOPIC_ALIAS_MAXIMUM)
    for alias in 0, maximum + 1, 65535:
        client = connected()
        client.send(packets.publish(V5, topic if topic_there else "", b"x", props=[(TOPIC_ALIAS, alias)]))
        client.expect_closed(ALIAS_INVALID)


@covers("5:MQTT-3.2.2-18")
def test_without_a_maximum_of_the_server_an_alias_closes_the_connection(new_hub, connected, topic):
    client = connected(to=new_hub({"mqtt.topic_alias_max": 0}))
    assert client.connack.get(TOPIC_ALIAS_MAXIMUM) is None
    client.send(packets.publish(V5, topic, b"x", props=[(TOPIC_ALIAS, 1)]))
    client.expect_closed(ALIAS_INVALID)


@covers("5:MQTT-3.3.2-7")
def test_an_alias_is_forgotten_with_its_connection(connected, topic, name):
    connected(name).publish(topic, b"x", props=[(TOPIC_ALIAS, 1)])
    client = connected(name, clean=False)
    client.send(packets.publish(V5, "", b"x", props=[(TOPIC_ALIAS, 1)]))
    client.expect_closed(PROTOCOL_ERROR, MALFORMED)


# --- aliases of the server


@covers("5:MQTT-3.1.2-27")
def test_the_server_uses_no_alias_where_the_client_allows_none(connected, topic):
    publisher = connected()
    for props in [], [(TOPIC_ALIAS_MAXIMUM, 0)]:
        client = connected(props=props)
        client.subscribe(topic)
        for _ in range(3):
            publisher.publish(topic, b"x")
            assert client.expect_message(topic, b"x").get(TOPIC_ALIAS) is None


@covers("5:MQTT-3.1.2-26", "5:MQTT-3.3.2-11", "5:MQTT-3.3.2-8", "5:MQTT-3.3.2-7")
def test_the_server_keeps_to_the_maximum_of_the_client(connected, topic):
    """And tells a topic before it uses the alias alone, in each connection anew."""
    publisher = connected()
    topics = [f"{topic}/{number}" for number in range(8)]
    for _ in range(2):
        client = connected("receiver", props=[(TOPIC_ALIAS_MAXIMUM, 3)])
        client.subscribe(f"{topic}/#")
        known = {}
        for each in topics * 3:
            publisher.publish(each, each.encode())
            message = client.expect_message(payload=each.encode())
            alias = message.get(TOPIC_ALIAS)
            assert alias is None or 1 <= alias <= 3
            if message.topic and alias:
                known[alias] = message.topic
            assert (message.topic or known[alias]) == each
        assert known, "no alias was used at all"


@covers("5:MQTT-3.3.2-12")
def test_an_alias_is_usable_at_each_qos(connected, topic):
    client, publisher = connected(), connected()
    client.subscribe(topic)
    publisher.publish(topic, b"told", qos=0, props=[(TOPIC_ALIAS, 1)])
    client.expect_message(topic, b"told")
    for qos in 0, 1, 2:
        publisher.publish("", b"known", qos=qos, props=[(TOPIC_ALIAS, 1)])
        client.expect_message(topic, b"known")
    publisher.send(packets.publish(V5, "", b"x", qos=1, props=[(TOPIC_ALIAS, 2)]))
    publisher.expect_closed(PROTOCOL_ERROR, MALFORMED)
