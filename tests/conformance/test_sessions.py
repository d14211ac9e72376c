"""Stored sessions: sections 3.1.2.4, 3.1.2.11.2, 3.2.2.1, 4.1, 4.4 and 4.6."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    MESSAGE_EXPIRY,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SESSION_EXPIRY,
    V5,
    WILL_DELAY,
    Will,
)

AN_HOUR_S = 3600


@pytest.fixture
def resumed(connected, version):
    """resumed("id") is a client that takes its session up, or begins one that stays."""

    def make(client_id, expiry_s=AN_HOUR_S, **options):
        if version == V5:
            options["props"] = [(SESSION_EXPIRY, expiry_s), *options.get("props", ())]
        return connected(client_id, clean=False, **options)

    return make


@pytest.fixture
def publisher(connected):
    return connected()


@pytest.mark.parametrize("qos", [1, 2])
@covers(
    "3.1.1:MQTT-3.1.2-4",
    "3.1.1:MQTT-3.1.2-5",
    "3.1.1:MQTT-3.2.2-2",
    "3.1.1:MQTT-4.1.0-1",
    "5:MQTT-3.1.2-5",
    "5:MQTT-3.1.2-23",
    "5:MQTT-3.2.2-3",
)
def test_a_session_that_stays_gets_what_came_meanwhile(resumed, publisher, name, qos):
    client = resumed(name)
    assert not client.connack.session_present
    assert client.subscribe(f"{name}/#", 2) == 2
    client.close()
    for number in range(3):
        publisher.publish(f"{name}/a", str(number).encode(), qos)
    client = resumed(name)
    assert client.connack.session_present
    for number in range(3):
        client.expect(PUBLISH, topic=f"{name}/a", payload=str(number).encode(), qos=qos, dup=False)
    client.expect_nothing()


@covers("3.1.1:MQTT-4.4.0-1", "3.1.1:MQTT-4.6.0-1", "3.1.1:MQTT-3.3.1-1", "5:MQTT-4.4.0-1", "5:MQTT-3.3.1-1")
def test_what_was_not_acknowledged_is_sent_again_in_order_under_its_id(resumed, publisher, name):
    client = resumed(name)
    client.subscribe(f"{name}/#", 2)
    for number, qos in enumerate([1, 2, 2, 1]):
        publisher.publish(f"{name}/a", str(number).encode(), qos)
    first = [client.expect(PUBLISH, topic=f"{name}/a", dup=False) for _ in range(4)]
    client.send(packets.ack(PUBREC, first[2].packet_id))
    client.expect(PUBREL, packet_id=first[2].packet_id)
    client.expect_nothing()
    client.close()
    client = resumed(name)
    for sent in first:
        if sent is first[2]:
            client.expect(PUBREL, packet_id=sent.packet_id)
        else:
            client.expect(
                PUBLISH, topic=sent.topic, payload=sent.payload, packet_id=sent.packet_id, qos=sent.qos, dup=True
            )
    for sent in first[0], first[3]:
        client.send(packets.ack(PUBACK, sent.packet_id))
    client.send(packets.ack(PUBREC, first[1].packet_id), packets.ack(PUBCOMP, first[2].packet_id))
    client.expect(PUBREL, packet_id=first[1].packet_id)
    client.send(packets.ack(PUBCOMP, first[1].packet_id))
    client.expect_nothing()


@covers("3.1.1:MQTT-4.4.0-1", "5:MQTT-4.4.0-1")
def test_a_publish_that_is_repeated_after_a_reconnect_is_taken_once(resumed, connected, name):
    watcher = connected()
    watcher.subscribe(f"{name}/#", 0)
    client = resumed(name)
    client.send(packets.publish(client.version, f"{name}/a", b"once", qos=2, packet_id=9))
    client.expect(PUBREC, packet_id=9)
    client.close()
    client = resumed(name)
    client.send(packets.publish(client.version, f"{name}/a", b"once", qos=2, packet_id=9, dup=True))
    client.expect(PUBREC, packet_id=9)
    client.send(packets.ack(PUBREL, 9))
    client.expect(PUBCOMP, packet_id=9)
    client.publish(f"{name}/b", b"then")
    assert [watcher.expect(PUBLISH).payload for _ in range(2)] == [b"once", b"then"]


@covers("3.1.1:MQTT-3.1.2-6", "5:MQTT-3.1.2-4")
def test_a_clean_start_ends_the_stored_session(resumed, connected, due, name):
    client = resumed(name)
    client.subscribe(f"{name}/#", 1)
    client.close()
    assert not connected(name).connack.session_present
    client = resumed(name)
    assert not client.connack.session_present
    assert due(client) == []


@covers("5:MQTT-4.1.0-2")
def test_a_session_is_gone_when_its_expiry_has_passed(resumed, connected, name):
    watcher = connected()
    watcher.subscribe(f"{name}/will", 0)
    # The will is published when the session ends.
    client = resumed(name, expiry_s=1, will=Will(f"{name}/will", props=((WILL_DELAY, AN_HOUR_S),)))
    client.close()
    watcher.expect_message(f"{name}/will")
    assert not resumed(name).connack.session_present


@covers("5:MQTT-4.3.3-7")
def test_what_was_sent_once_does_not_expire(resumed, connected, publisher, name):
    watcher = connected()
    watcher.subscribe(f"{name}-clock", 0)
    client = resumed(name)
    client.subscribe(f"{name}/#", 2)
    publisher.publish(f"{name}/a", b"x", 2, props=[(MESSAGE_EXPIRY, 1)])
    first = client.expect(PUBLISH, topic=f"{name}/a")
    client.close()
    connected(f"{name}-clock", props=[(SESSION_EXPIRY, 2)], will=Will(f"{name}-clock", props=((WILL_DELAY, 2),))).close()
    watcher.expect_message(f"{name}-clock")  # two seconds later
    resumed(name).expect(PUBLISH, packet_id=first.packet_id, payload=b"x", dup=True)


@covers("5:MQTT-4.8.2-4")
def test_a_member_that_left_in_the_middle_of_qos_2_gets_the_rest(resumed, connected, publisher, name):
    client = resumed(name)
    client.subscribe(f"$share/{name}/{name}/#", 2)
    publisher.publish(f"{name}/a", b"x", 2)
    sent = client.expect(PUBLISH, topic=f"{name}/a")
    other = connected()
    other.subscribe(f"$share/{name}/{name}/#", 2)
    client.close()
    client = resumed(name)
    client.expect(PUBLISH, packet_id=sent.packet_id, payload=b"x", dup=True)
    client.send(packets.ack(PUBREC, sent.packet_id))
    client.expect(PUBREL, packet_id=sent.packet_id)
    client.send(packets.ack(PUBCOMP, sent.packet_id))
    other.expect_nothing()
