"""SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK and the filters in them: sections 3.8 to 3.11 and 4.7 of both standards."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    MALFORMED,
    PROTOCOL_ERROR,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    SUBSCRIPTION_ID,
    UNSUBACK,
    UNSUBSCRIBE,
    V5,
)
from support import kafka

NO_LOCAL = 0x04
FILTER_INVALID, NO_SUBSCRIPTION = 0x8F, 0x11
BAD_FILTERS = ["", "a/#/b", "#/a", "a#", "a/b#", "##", "a+", "+a", "a/+b/c", "++"]


def refused(version, code=FILTER_INVALID):
    """The code of a filter that is refused."""
    return code if version == V5 else 0x80


@covers("3.1.1:MQTT-3.8.3-3", "5:MQTT-3.8.3-2", "3.1.1:MQTT-3.10.3-2", "5:MQTT-3.10.3-2")
@pytest.mark.parametrize("kind", [SUBSCRIBE, UNSUBSCRIBE], ids=["SUBSCRIBE", "UNSUBSCRIBE"])
def test_there_must_be_a_filter(connected, version, kind):
    client = connected()
    client.send(packets.packet(kind, packets.u16(1) + packets.properties(version, ()), 2))
    client.expect_closed(PROTOCOL_ERROR)


@covers("3.1.1:MQTT-3.8.3-4", "5:MQTT-3.8.3-5")
def test_reserved_bits_of_the_options_close_the_connection(connected, version):
    for bit in (0x40, 0x80) if version == V5 else (0x04, 0x08, 0x10, 0x20, 0x40, 0x80):
        client = connected()
        client.send(packets.subscribe(version, ("a", 0), ("b", bit)))
        client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-3.8.3-4", "5:MQTT-4.13.1-1")
def test_qos_3_of_a_filter_closes_the_connection(connected, version):
    client = connected()
    client.send(packets.subscribe(version, ("a", 3)))
    client.expect_closed(MALFORMED, PROTOCOL_ERROR)


@covers("5:MQTT-4.13.1-1")
def test_retain_handling_3_closes_the_connection(connected):
    client = connected()
    client.send(packets.subscribe(V5, ("a", 0x30)))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-4.13.1-1")
def test_a_subscription_identifier_of_0_closes_the_connection(connected):
    client = connected()
    client.send(packets.subscribe(V5, ("a", 0), props=[(SUBSCRIPTION_ID, 0)]))
    client.expect_closed(PROTOCOL_ERROR)


# --- SUBACK


@covers("3.1.1:MQTT-3.8.4-1", "3.1.1:MQTT-3.8.4-2", "5:MQTT-3.8.4-1", "5:MQTT-3.8.4-2")
def test_subscribe_is_answered_with_its_id(connected, version, name):
    client = connected()
    for packet_id in 1, 7, 65535:
        client.send(packets.subscribe(version, (f"{name}/a", 0), packet_id=packet_id))
        client.expect(SUBACK, packet_id=packet_id)


@covers("3.1.1:MQTT-3.8.4-4", "3.1.1:MQTT-3.8.4-5", "3.1.1:MQTT-3.9.3-1", "3.1.1:MQTT-3.9.3-2")
@covers("5:MQTT-3.8.4-5", "5:MQTT-3.8.4-6", "5:MQTT-3.8.4-7", "5:MQTT-3.9.3-1", "5:MQTT-3.9.3-2")
def test_each_filter_has_its_code_in_its_place(connected, due, version, name):
    client, publisher = connected(), connected()
    wanted = [(f"{name}/0", 0), ("a/#/b", 1), (f"{name}/2", 2), (f"{name}/1", 1), ("", 0)]
    client.send(packets.subscribe(version, *wanted))
    codes = client.expect(SUBACK).codes
    assert codes == (0, refused(version), 2, 1, refused(version))
    for qos in 0, 1, 2:
        publisher.publish(f"{name}/{qos}", b"x", qos=2)
        assert client.expect_message(f"{name}/{qos}").qos == qos
    assert due(client) == []


@covers("3.1.1:MQTT-3.8.4-4", "5:MQTT-3.8.4-5", "3.1.1:MQTT-3.8.4-3", "5:MQTT-3.8.4-3")
def test_the_later_of_two_equal_filters_in_a_packet_holds(connected, due, version, name):
    client = connected()
    client.send(packets.subscribe(version, (f"{name}/a", 2), (f"{name}/a", 0)))
    client.expect(SUBACK, codes=(2, 0))
    connected().publish(f"{name}/a", b"x", qos=2)
    assert client.expect_message().qos == 0
    assert due(client) == []


@covers("3.1.1:MQTT-3.8.4-3", "5:MQTT-3.8.4-3", "5:MQTT-3.8.4-4")
def test_a_filter_that_is_there_is_replaced_and_nothing_is_missed(connected, due, name):
    client, publisher = connected(), connected()
    topic = f"{name}/a"
    client.subscribe(topic, 0)
    for number in range(3):
        publisher.publish(topic, b"%d" % number, qos=1)
        client.send(packets.subscribe(client.version, (topic, 1)))
    found = [client.receive() for _ in range(6)]
    assert [packet.payload for packet in found if packet.kind == PUBLISH] == [b"0", b"1", b"2"]
    assert [packet.codes for packet in found if packet.kind == SUBACK] == [(1,)] * 3
    publisher.publish(topic, b"3", qos=1)
    assert client.expect_message(payload=b"3").qos == 1
    assert due(client) == []


@covers("3.1.1:MQTT-3.3.5-1", "5:MQTT-3.3.4-2")
def test_overlapping_subscriptions_deliver_at_the_highest_qos(connected, name):
    client = connected()
    for topic_filter, qos in ((f"{name}/#", 0), (f"{name}/+", 2), (f"{name}/a", 1)):
        client.subscribe(topic_filter, qos)
    connected().publish(f"{name}/a", b"x", qos=2)
    assert client.expect_message(f"{name}/a").qos == 2


@covers("5:MQTT-3.3.4-3", "5:MQTT-3.3.4-4", "5:MQTT-3.3.4-5")
def test_a_message_carries_the_identifiers_of_all_subscriptions_that_match(connected, due, name):
    """sluice sends one copy."""
    client, publisher = connected(), connected()
    filters = {f"{name}/#": 1, f"{name}/+": 200, f"{name}/a": 0x0FFF_FFFF, f"{name}/b": 4}
    for topic_filter, identifier in filters.items():
        client.subscribe(topic_filter, props=[(SUBSCRIPTION_ID, identifier)])
    client.subscribe(f"{name}/a/#")
    publisher.publish(f"{name}/a", b"x")
    assert sorted(client.expect_message(f"{name}/a").all(SUBSCRIPTION_ID)) == [1, 200, 0x0FFF_FFFF]
    assert due(client) == []
    client.subscribe(f"{name}/a")
    publisher.publish(f"{name}/a", b"x")
    assert sorted(client.expect_message(f"{name}/a").all(SUBSCRIPTION_ID)) == [1, 200]


@covers("5:MQTT-3.3.4-3")
def test_a_retained_message_carries_the_identifier_of_the_new_subscription(connected, name):
    client = connected()
    connected().publish(f"{name}/a", b"kept", retain=True)
    client.subscribe(f"{name}/#")
    client.expect_message(payload=b"kept")
    client.subscribe(f"{name}/a", props=[(SUBSCRIPTION_ID, 7)])
    assert client.expect_message(payload=b"kept").all(SUBSCRIPTION_ID) == [7]


@covers("5:MQTT-3.8.3-3")
def test_no_local_keeps_back_what_the_client_published_itself(connected, due, name):
    client, other = connected(), connected()
    client.subscribe(f"{name}/a", NO_LOCAL)
    client.publish(f"{name}/a", b"own")
    other.publish(f"{name}/a", b"of another")
    client.expect_message(payload=b"of another")
    assert due(client) == []


# --- filters


@pytest.mark.parametrize("bad", BAD_FILTERS)
@covers("3.1.1:MQTT-4.7.1-2", "3.1.1:MQTT-4.7.1-3", "3.1.1:MQTT-4.7.3-1", "3.1.1:MQTT-3.9.3-2")
@covers("5:MQTT-4.7.1-1", "5:MQTT-4.7.1-2", "5:MQTT-4.7.3-1", "5:MQTT-3.9.3-2")
def test_a_filter_that_is_none_is_refused(connected, version, bad):
    assert connected().subscribe(bad) == refused(version)


MATCHES = {
    "a/b": (["a/b"], ["a", "a/b/c", "/a/b", "A/b", "a/B"]),
    "a/#": (["a", "a/", "a/b", "a/b/c"], ["b", "ab"]),
    "+": (["a", "b"], ["a/b", "/a"]),
    "a/+": (["a/b", "a/"], ["a", "a/b/c"]),
    "+/b": (["a/b", "/b"], ["b", "a/b/c"]),
    "a/+/c": (["a/b/c", "a//c"], ["a/c", "a/b/b/c"]),
    "+/+/#": (["a/b", "a/b/c", "/a"], ["a"]),
}


@pytest.mark.parametrize("topic_filter", MATCHES)
@covers("3.1.1:MQTT-4.7.1-2", "3.1.1:MQTT-4.7.1-3", "3.1.1:MQTT-3.3.2-3", "3.1.1:MQTT-4.7.1-1")
@covers("5:MQTT-4.7.1-1", "5:MQTT-4.7.1-2", "5:MQTT-3.3.2-3", "5:MQTT-4.7.0-1")
def test_filters_match_as_the_standard_says(connected, name, topic_filter):
    """Below a level of the test's own. What must not match is published first, so it would come first."""
    client, publisher = connected(), connected()
    assert client.subscribe(f"{name}/{topic_filter}") == 0
    wanted, unwanted = MATCHES[topic_filter]
    for topic in unwanted + wanted:
        publisher.publish(f"{name}/{topic}", b"x")
    for topic in wanted:
        client.expect_message(f"{name}/{topic}")


@pytest.mark.parametrize("one, other", [("\u00e9", "e\u0301"), ("a", "A"), ("a b", "a%20b"), ("\u212b", "\u00c5"), ("a", "a ")])
@covers("3.1.1:MQTT-4.7.3-4", "5:MQTT-4.7.3-4")
def test_topics_are_compared_without_normalization(connected, due, name, one, other):
    client, publisher = connected(), connected()
    client.subscribe(f"{name}/{one}")
    publisher.publish(f"{name}/{other}", b"x")
    publisher.publish(f"{name}/{one}", b"x")
    client.expect_message(f"{name}/{one}")
    assert due(client) == []


@covers("3.1.1:MQTT-4.7.3-3", "5:MQTT-4.7.3-3")
def test_topics_and_filters_may_have_65535_bytes(connected, name):
    """A length field holds no more."""
    client = connected()
    topic = f"{name}/".ljust(65535, "x")
    assert client.subscribe(topic) == 0
    connected().publish(topic, b"long")
    client.expect_message(topic, b"long")


@covers("3.1.1:MQTT-4.7.2-1", "5:MQTT-4.7.2-1")
def test_a_wildcard_in_front_does_not_match_dollar_topics(hub, connected, name):
    """MQTT clients may not publish there, but a Kafka client can."""
    plain, explicit = connected(), connected()
    for topic_filter in ("#", "+/records/+", "+/#"):
        plain.send(packets.subscribe(plain.version, (topic_filter, 0)))
    explicit.subscribe("$x/#")
    kafka.produce(hub, "mqtt", [(b"$x/records/a", b"hidden"), (f"{name}/a".encode(), b"marker")])
    explicit.expect_message("$x/records/a", b"hidden")
    while (packet := plain.receive()).topic != f"{name}/a":  # SUBACKs and what is retained
        assert packet.payload != b"hidden"


# --- UNSUBSCRIBE


@covers("3.1.1:MQTT-3.10.4-1", "3.1.1:MQTT-3.10.4-2", "5:MQTT-3.10.4-1", "5:MQTT-3.10.4-2")
def test_unsubscribe_ends_the_subscription_of_the_same_filter(connected, due, name):
    client, publisher = connected(), connected()
    client.subscribe(f"{name}/+")
    for other in (f"{name}/#", f"{name}/a", f"{name}/+/", f"{name.upper()}/+"):
        client.unsubscribe(other)
    publisher.publish(f"{name}/a", b"still")
    client.expect_message(payload=b"still")
    client.unsubscribe(f"{name}/+")
    publisher.publish(f"{name}/a", b"no more")
    assert due(client) == []


@covers("3.1.1:MQTT-3.10.4-4", "3.1.1:MQTT-3.10.4-5", "5:MQTT-3.10.4-4", "5:MQTT-3.10.4-5")
def test_unsubscribe_is_answered_also_when_there_was_nothing(connected, version, name):
    client = connected()
    answer = client.unsubscribe(f"{name}/a", packet_id=300)
    assert answer.codes == ((NO_SUBSCRIPTION,) if version == V5 else ())


@covers("3.1.1:MQTT-3.10.4-6", "5:MQTT-3.10.4-6", "5:MQTT-3.11.3-1", "5:MQTT-3.11.3-2")
def test_several_filters_have_one_answer(connected, due, version, name):
    client, publisher = connected(), connected()
    for topic in "ab":
        client.subscribe(f"{name}/{topic}")
    client.send(packets.unsubscribe(version, f"{name}/a", f"{name}/x", f"{name}/b", f"{name}/a"))
    codes = client.expect(UNSUBACK, packet_id=1).codes
    assert codes == ((0, NO_SUBSCRIPTION, 0, NO_SUBSCRIPTION) if version == V5 else ())
    for topic in "ab":
        publisher.publish(f"{name}/{topic}", b"x")
    assert due(client) == []


@covers("3.1.1:MQTT-3.10.4-3", "5:MQTT-3.10.4-3")
def test_what_has_begun_is_completed(connected, due, name):
    client, publisher = connected(), connected()
    client.subscribe(f"{name}/a", 2)
    publisher.publish(f"{name}/a", b"x", qos=2)
    message = client.expect(PUBLISH, payload=b"x")
    client.unsubscribe(f"{name}/a")
    client.send(packets.ack(PUBREC, message.packet_id))
    client.expect(PUBREL, packet_id=message.packet_id, code=0)
    client.send(packets.ack(PUBCOMP, message.packet_id))
    assert due(client) == []
