"""PUBLISH: sections 3.3 and 4.3 to 4.6 of both standards, but for RETAIN (test_retained.py) and for what only MQTT 5 has."""

import pytest

from conformance import covers, packets
from conformance.packets import MALFORMED, PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V5, V311

NO_PERMISSION = {0x87, 0x90}


@pytest.fixture
def subscriber(connected, name):
    """Subscribed at QoS 2 to all that the test publishes."""
    client = connected(f"{name}-subscriber")
    client.subscribe(f"{name}/#", 2)
    return client


@pytest.mark.parametrize("flags", [0x06, 0x07, 0x0E])
@covers("3.1.1:MQTT-3.3.1-4", "5:MQTT-3.3.1-4")
def test_qos_3_closes_the_connection(connected, version, flags):
    client = connected()
    client.send(packets.packet(PUBLISH, packets.publish(version, "a", b"x", qos=1)[2:], flags))
    client.expect_closed(MALFORMED)


@covers("3.1.1:MQTT-3.3.1-2", "5:MQTT-3.3.1-2")
def test_dup_at_qos_0_closes_the_connection(connected, version):
    client = connected()
    client.send(packets.publish(version, "a", b"x", dup=True))
    client.expect_closed(MALFORMED, PROTOCOL_ERROR)


@pytest.mark.parametrize("qos", [1, 2])
@covers("3.1.1:MQTT-3.3.1-3", "5:MQTT-3.3.1-3", "5:MQTT-4.3.2-2", "5:MQTT-4.3.3-2")
@covers("3.1.1:MQTT-4.3.1-1", "5:MQTT-4.3.1-1", "3.1.1:MQTT-4.3.2-1", "3.1.1:MQTT-4.3.3-1")
def test_dup_of_the_publisher_is_not_passed_on(connected, subscriber, name, qos):
    low = connected()
    low.subscribe(f"{name}/#", 0)
    connected().publish(f"{name}/a", b"x", qos=qos, dup=True)
    message = subscriber.expect_message(f"{name}/a", b"x")
    assert (message.qos, message.dup) == (qos, False)
    message = low.expect_message(f"{name}/a", b"x")
    assert (message.qos, message.dup) == (0, False)


# --- the topic


@pytest.mark.parametrize("topic", ["+", "#", "a/+/b", "a/#", "a+", "a#"])
@covers("3.1.1:MQTT-3.3.2-2", "3.1.1:MQTT-4.7.1-1", "5:MQTT-3.3.2-2", "5:MQTT-4.7.0-1")
def test_a_topic_with_a_wildcard_closes_the_connection(connected, version, topic):
    client = connected()
    client.send(packets.publish(version, topic, b"x", qos=1))
    client.expect_closed(MALFORMED, PROTOCOL_ERROR, 0x90)


@covers("3.1.1:MQTT-4.7.3-1", "5:MQTT-4.7.3-1")
def test_an_empty_topic_closes_the_connection(connected, version):
    client = connected()
    client.send(packets.publish(version, "", b"x", qos=1))
    client.expect_closed(MALFORMED, PROTOCOL_ERROR)


@covers("3.1.1:MQTT-3.3.2-1", "5:MQTT-3.3.2-1", "3.1.1:MQTT-3.3.2-3", "5:MQTT-3.3.2-3")
def test_messages_come_with_the_topic_that_they_were_published_to(connected, subscriber, name):
    publisher = connected()
    topics = [f"{name}/{rest}" for rest in ("a", "a/b", "/", "ä b", "$x")]
    for topic in topics:
        publisher.publish(topic, topic.encode())
    for topic in topics:
        subscriber.expect_message(topic, topic.encode())


# --- QoS


@covers("3.1.1:MQTT-3.3.4-1", "5:MQTT-3.3.4-1")
def test_a_publish_is_answered_as_its_qos_says(connected, version, name):
    client = connected()
    client.send(packets.publish(version, f"{name}/a", b"x"))
    client.expect_nothing()
    client.send(packets.publish(version, f"{name}/a", b"x", qos=1, packet_id=7))
    client.expect(PUBACK, packet_id=7)
    client.send(packets.publish(version, f"{name}/a", b"x", qos=2, packet_id=7))
    client.expect(PUBREC, packet_id=7)
    client.expect_nothing()
    client.send(packets.ack(PUBREL, 7))
    client.expect(PUBCOMP, packet_id=7)


@covers("3.1.1:MQTT-4.3.2-2", "5:MQTT-4.3.2-5", "5:MQTT-4.3.2-4")
def test_after_puback_the_id_is_free(connected, subscriber, name):
    """Also for a PUBLISH with DUP."""
    publisher = connected()
    for number, dup in enumerate((False, False, True)):
        publisher.publish(f"{name}/a", b"%d" % number, qos=1, packet_id=7, dup=dup)
        subscriber.expect_message(payload=b"%d" % number)


@covers("3.1.1:MQTT-4.3.3-2", "5:MQTT-4.3.3-10", "3.1.1:MQTT-2.3.1-2", "3.1.1:MQTT-2.3.1-3")
def test_until_pubrel_an_id_of_qos_2_names_one_message(connected, subscriber, due, version, name):
    publisher = connected()
    for dup in (False, True, False):
        publisher.send(packets.publish(version, f"{name}/a", b"once", qos=2, packet_id=7, dup=dup))
        publisher.expect(PUBREC, packet_id=7, code=0)
    publisher.send(packets.ack(PUBREL, 7))
    publisher.expect(PUBCOMP, packet_id=7, code=0)
    subscriber.expect_message(payload=b"once")
    assert due(subscriber) == []


@covers("3.1.1:MQTT-4.3.3-2", "5:MQTT-4.3.3-12", "5:MQTT-4.3.3-11")
def test_after_pubcomp_the_id_is_free(connected, subscriber, name):
    publisher = connected()
    for number, dup in enumerate((False, False, True)):
        publisher.publish(f"{name}/a", b"%d" % number, qos=2, packet_id=7, dup=dup)
        subscriber.expect_message(payload=b"%d" % number)


@covers("5:MQTT-4.3.3-9", "5:MQTT-3.5.2-1")
def test_after_a_refusing_pubrec_the_id_is_free(connected, subscriber, version, name):
    publisher = connected()
    publisher.send(packets.publish(version, "$reserved", b"x", qos=2, packet_id=7))
    assert publisher.expect(PUBREC, packet_id=7).code in NO_PERMISSION
    publisher.publish(f"{name}/a", b"new", qos=2, packet_id=7)
    subscriber.expect_message(payload=b"new")


@covers("3.1.1:MQTT-4.3.3-1", "5:MQTT-4.3.3-4", "5:MQTT-4.3.3-6", "5:MQTT-4.3.3-5", "3.1.1:MQTT-2.3.1-6")
def test_pubrec_is_answered_by_pubrel_and_no_publish_follows(connected, subscriber, due, name):
    connected().publish(f"{name}/a", b"x", qos=2)
    message = subscriber.expect(PUBLISH, payload=b"x")
    for _ in range(2):
        subscriber.send(packets.ack(PUBREC, message.packet_id))
        subscriber.expect(PUBREL, packet_id=message.packet_id, code=0)
    subscriber.send(packets.ack(PUBCOMP, message.packet_id))
    assert due(subscriber) == []


@covers("5:MQTT-4.4.0-1")
def test_nothing_is_sent_again_within_a_connection(connected, subscriber, due, name):
    publisher = connected()
    for qos in (1, 2):
        publisher.publish(f"{name}/a", b"x", qos=qos)
        subscriber.expect(PUBLISH, payload=b"x", qos=qos)
    assert due(subscriber) == []


@covers("5:MQTT-4.4.0-2")
def test_a_refused_delivery_is_over(connected, subscriber, due, name):
    """At QoS 2 nothing is released; the ids are free, and the messages don't come again."""
    publisher = connected()
    for qos, answer in (1, PUBACK), (2, PUBREC):
        publisher.publish(f"{name}/a", b"refused", qos=qos)
        message = subscriber.expect(PUBLISH, payload=b"refused")
        subscriber.send(packets.ack(answer, message.packet_id, 0x80))
        assert due(subscriber) == []
    publisher.publish(f"{name}/a", b"next")
    subscriber.expect_message(payload=b"next")


@pytest.mark.parametrize("qos, granted", [(qos, granted) for qos in range(3) for granted in range(3)])
@covers("3.1.1:MQTT-3.8.4-6", "5:MQTT-3.8.4-8")
def test_messages_go_at_the_lower_qos(connected, name, qos, granted):
    client = connected()
    assert client.subscribe(f"{name}/a", granted) == granted
    connected().publish(f"{name}/a", b"x", qos=qos)
    assert client.expect_message(payload=b"x").qos == min(qos, granted)


@covers("3.1.1:MQTT-4.5.0-1", "5:MQTT-4.5.0-1")
def test_a_message_goes_to_all_who_match(connected, due, name):
    clients = {each: connected() for each in (f"{name}/a", f"{name}/+", f"{name}/#", f"{name}/b", "+/a")}
    for topic_filter, client in clients.items():
        client.subscribe(topic_filter, 1)
    connected().publish(f"{name}/a", b"x")
    silent = clients.pop(f"{name}/b")
    for client in clients.values():
        client.expect_message(f"{name}/a", b"x")
    assert due(silent) == []


# --- what is not stored


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("3.1.1:MQTT-3.3.5-2")
def test_in_311_what_is_not_permitted_is_acknowledged(connected, qos):
    client = connected()
    client.publish("$reserved", b"x", qos=qos)
    client.expect_nothing()


@covers("5:MQTT-3.4.2-1", "5:MQTT-3.5.2-1")
def test_in_5_what_is_not_permitted_is_answered_with_a_reason(connected):
    client = connected()
    assert client.publish("$reserved", b"x", qos=1).code in NO_PERMISSION
    client.send(packets.publish(V5, "$reserved", b"x", qos=2))
    assert client.expect(PUBREC).code in NO_PERMISSION


# --- order


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("3.1.1:MQTT-4.6.0-5", "3.1.1:MQTT-4.6.0-6", "5:MQTT-4.6.0-5", "5:MQTT-4.6.0-6")
def test_messages_keep_their_order(connected, subscriber, version, name, qos):
    publisher = connected()
    numbers = range(1, 101)
    publisher.send(
        *[packets.publish(version, f"{name}/a", b"%d" % number, qos=qos, packet_id=number if qos else None) for number in numbers]
    )
    for number in numbers:
        subscriber.expect(PUBLISH, payload=b"%d" % number, qos=qos)


@pytest.mark.parametrize("qos, kind", [(1, PUBACK), (2, PUBREC)])
@covers("3.1.1:MQTT-4.6.0-2", "3.1.1:MQTT-4.6.0-3")
def test_answers_are_in_the_order_of_the_publishes(connected, name, qos, kind):
    client = connected()
    ids = [5, 3, 9, 1, 65535, 2]
    client.send(*[packets.publish(V311, f"{name}/a", b"x", qos=qos, packet_id=packet_id) for packet_id in ids])
    assert [client.expect(kind).packet_id for _ in ids] == ids


@covers("3.1.1:MQTT-4.6.0-4")
def test_pubrels_are_in_the_order_of_the_pubrecs(connected, subscriber, name):
    publisher = connected()
    for number in range(5):
        publisher.publish(f"{name}/a", b"%d" % number, qos=2)
    ids = [subscriber.expect(PUBLISH).packet_id for _ in range(5)]
    order = [ids[index] for index in (3, 0, 4, 1, 2)]
    subscriber.send(*[packets.ack(PUBREC, packet_id) for packet_id in order])
    assert [subscriber.expect(PUBREL).packet_id for _ in order] == order


# --- answers of the client


@pytest.mark.parametrize("qos, wrong", [(1, PUBREC), (1, PUBCOMP), (2, PUBACK), (2, PUBCOMP)])
@covers("3.1.1:MQTT-4.8.0-1", "5:MQTT-4.13.1-1", "3.1.1:MQTT-3.3.4-1", "5:MQTT-3.3.4-1")
def test_an_answer_of_the_wrong_kind_closes_the_connection(connected, subscriber, name, qos, wrong):
    connected().publish(f"{name}/a", b"x", qos=qos)
    message = subscriber.expect(PUBLISH)
    subscriber.send(packets.ack(wrong, message.packet_id))
    subscriber.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP], ids=["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"])
@covers("5:MQTT-3.4.2-1", "5:MQTT-3.5.2-1", "5:MQTT-3.6.2-1", "5:MQTT-3.7.2-1")
def test_a_code_that_is_not_of_the_packet_closes_the_connection(connected, kind):
    for code in 0x01, 0x42, 0x8D, 0xFF:
        client = connected()
        client.send(packets.ack(kind, 1, code))
        client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-3.6.2-1", "5:MQTT-3.7.2-1")
def test_ids_that_are_not_known_are_answered_by_0x92(connected):
    client = connected()
    client.send(packets.ack(PUBREC, 9))
    client.expect(PUBREL, packet_id=9, code=0x92)
    client.send(packets.ack(PUBREL, 9))
    client.expect(PUBCOMP, packet_id=9, code=0x92)
