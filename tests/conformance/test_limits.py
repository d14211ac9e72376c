"""What the two sides may expect of each other: Receive Maximum, Maximum Packet Size and Request Problem Information in MQTT 5
(3.1.2.11, 3.2.2.3, 4.9), and what a server refuses by limits of its own."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    CONNACK,
    MAXIMUM_PACKET_SIZE,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    REASON_STRING,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM_INFORMATION,
    SUBACK,
    UNSUBACK,
    V5,
)

RECEIVE_MAXIMUM_EXCEEDED, PACKET_TOO_LARGE, MESSAGE_RATE_TOO_HIGH, QUOTA_EXCEEDED = 0x93, 0x95, 0x96, 0x97
SERVER_UNAVAILABLE = 3  # a return code of MQTT 3.1.1


# --- Receive Maximum


@pytest.mark.parametrize("maximum", [1, 2, 5])
@covers("5:MQTT-3.3.4-9", "5:MQTT-4.9.0-1", "5:MQTT-4.9.0-2")
def test_no_more_messages_are_under_way_than_the_client_allows(connected, name, maximum):
    """A message of QoS 2 counts until its PUBCOMP, and those of QoS 0 do not."""
    client, publisher = connected(props=[(RECEIVE_MAXIMUM, maximum)]), connected()
    client.subscribe(f"{name}/#", 2)
    for number in range(2 * maximum + 1):
        publisher.publish(f"{name}/a", b"%d" % number, qos=1 + number % 2)
    first = [client.expect(PUBLISH) for _ in range(maximum)]
    client.expect_nothing()
    for message in first:
        if message.qos == 2:
            client.send(packets.ack(PUBREC, message.packet_id))
            client.expect(PUBREL, packet_id=message.packet_id)
    client.expect_nothing()
    client.send(*[packets.ack(PUBACK if message.qos == 1 else PUBCOMP, message.packet_id) for message in first])
    second = [client.expect(PUBLISH) for _ in range(maximum)]
    client.expect_nothing()
    assert [message.payload for message in first + second] == [b"%d" % number for number in range(2 * maximum)]


@covers("5:MQTT-3.3.4-10", "5:MQTT-4.9.0-3")
def test_a_full_quota_delays_no_other_packet(connected, name):
    client, publisher = connected(props=[(RECEIVE_MAXIMUM, 1)]), connected()
    client.subscribe(f"{name}/#", 2)
    for _ in range(2):
        publisher.publish(f"{name}/a", b"x", qos=1)
    client.expect(PUBLISH)
    client.expect_nothing()
    client.subscribe(f"{name}-other/a")
    client.publish(f"{name}-other/b", b"x", qos=1)
    client.publish(f"{name}-other/b", b"x", qos=2)
    client.unsubscribe(f"{name}-other/a")


@covers("5:MQTT-3.3.4-7")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_client_that_sends_more_than_the_server_allows_is_disconnected(new_hub, connected, name, qos):
    """At QoS 2 the client withholds PUBREL; at QoS 1 it sends all in one piece, of which none can be stored before the last
    has been read."""
    maximum = 4
    client = connected(to=new_hub({"mqtt.receive_maximum": maximum}))
    assert client.connack.get(RECEIVE_MAXIMUM) == maximum
    ids = range(1, maximum + 2)
    publishes = [packets.publish(V5, f"{name}/a", b"x", qos=qos, packet_id=packet_id) for packet_id in ids]
    if qos == 2:
        client.send(*publishes[:maximum])
        for packet_id in ids[:maximum]:
            client.expect(PUBREC, packet_id=packet_id, code=0)
        publishes = publishes[maximum:]
    client.send(*publishes)
    client.expect_closed(RECEIVE_MAXIMUM_EXCEEDED)


@covers("5:MQTT-4.9.0-1", "5:MQTT-3.3.4-7")
def test_a_client_may_use_the_whole_of_what_the_server_allows(new_hub, connected, name):
    maximum = 4
    client = connected(to=new_hub({"mqtt.receive_maximum": maximum}))
    for _ in range(3):
        ids = range(1, maximum + 1)
        client.send(*[packets.publish(V5, f"{name}/a", b"x", qos=2, packet_id=packet_id) for packet_id in ids])
        for packet_id in ids:
            client.expect(PUBREC, packet_id=packet_id, code=0)
        for packet_id in ids:
            client.send(packets.ack(PUBREL, packet_id))
            client.expect(PUBCOMP, packet_id=packet_id, code=0)


# --- Maximum Packet Size


@covers("5:MQTT-3.2.2-15")
def test_a_packet_larger_than_the_server_takes_closes_the_connection(new_hub, connected, name):
    size_max = 4096
    client = connected(to=new_hub({"mqtt.packet_max": size_max}))
    assert client.connack.get(MAXIMUM_PACKET_SIZE) == size_max
    around = len(packets.publish(V5, name, b"x" * 1000, qos=1)) - 1000
    client.publish(name, b"x" * (size_max - around))
    client.send(packets.publish(V5, name, b"x" * (size_max - around + 1), qos=1))
    client.expect_closed(PACKET_TOO_LARGE)


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("5:MQTT-3.1.2-24", "5:MQTT-3.1.2-25")
def test_a_message_that_is_too_large_for_the_client_is_dropped_as_if_sent(connected, name, qos):
    """It holds no place in the window either."""
    size_max = 200
    client = connected(props=[(MAXIMUM_PACKET_SIZE, size_max), (RECEIVE_MAXIMUM, 1)])
    other, publisher = connected(), connected()
    client.size_max = size_max
    for each in client, other:
        each.subscribe(f"{name}/#", qos)
    for payload in b"small", b"x" * size_max, b"x" * 70_000, b"last":
        publisher.publish(f"{name}/a", payload, qos=qos)
        other.expect_message(payload=payload)
    client.expect_message(payload=b"small")
    client.expect_message(payload=b"last")


@covers("5:MQTT-3.1.2-24")
def test_a_message_of_just_the_size_that_the_client_takes_is_sent(connected, name):
    size_max = len(packets.publish(V5, f"{name}/a", b"x" * 50))
    client, publisher = connected(props=[(MAXIMUM_PACKET_SIZE, size_max)]), connected()
    client.size_max = size_max
    client.subscribe(f"{name}/#")
    publisher.publish(f"{name}/a", b"x" * 51)
    publisher.publish(f"{name}/a", b"y" * 50)
    assert client.expect_message(payload=b"y" * 50).size == size_max


def negative_answers(client):
    """One packet of each kind that can say no, and has room for a reason."""
    client.send(packets.publish(V5, "$reserved", b"x", qos=1, packet_id=1))
    yield client.expect(PUBACK, packet_id=1)
    client.send(packets.publish(V5, "$reserved", b"x", qos=2, packet_id=2))
    yield client.expect(PUBREC, packet_id=2)
    client.send(packets.ack(PUBREL, 3))
    yield client.expect(PUBCOMP, packet_id=3)
    client.send(packets.ack(PUBREC, 4))
    yield client.expect(PUBREL, packet_id=4)
    client.send(packets.subscribe(V5, ("a/#/b", 0), packet_id=5))
    yield client.expect(SUBACK, packet_id=5)
    client.send(packets.unsubscribe(V5, "not/there", packet_id=6))
    yield client.expect(UNSUBACK, packet_id=6)


@covers("5:MQTT-3.4.2-2", "5:MQTT-3.5.2-2", "5:MQTT-3.6.2-2", "5:MQTT-3.7.2-2", "5:MQTT-3.9.2-1", "5:MQTT-3.11.2-1")
@covers("5:MQTT-3.1.2-24", "5:MQTT-3.4.2-1", "5:MQTT-3.5.2-1", "5:MQTT-3.6.2-1", "5:MQTT-3.7.2-1")
def test_no_reason_makes_an_answer_larger_than_the_client_takes(connected):
    size_max = 30  # a CONNACK fits
    client = connected(props=[(MAXIMUM_PACKET_SIZE, size_max)], client_id="c")
    client.size_max = size_max
    for answer in negative_answers(client):
        assert answer.code or answer.codes[0]


@covers("5:MQTT-3.14.2-3", "5:MQTT-3.1.2-24")
@pytest.mark.parametrize("size_max, told", [(30, False), (500, True)])
def test_the_reason_of_disconnect_is_left_out_where_it_does_not_fit(connected, size_max, told):
    client = connected("c", props=[(MAXIMUM_PACKET_SIZE, size_max)])
    client.size_max = size_max
    client.send(packets.connect(V5, "c"))
    assert (client.receive().get(REASON_STRING) is not None) == told
    client.expect_end()


@pytest.mark.parametrize("size_max", [1, 4, 5])
@covers("5:MQTT-3.1.2-24")
def test_a_client_that_takes_no_connack_gets_none(dial, size_max):
    client = dial()
    client.size_max = size_max
    client.send(packets.connect(V5, "c", props=[(MAXIMUM_PACKET_SIZE, size_max)]))
    client.expect_end()


@covers("5:MQTT-3.1.2-24")
def test_an_answer_that_cannot_be_made_small_enough_ends_the_connection(connected):
    size_max = 30
    client = connected("c", props=[(MAXIMUM_PACKET_SIZE, size_max)])
    client.size_max = size_max
    client.send(packets.subscribe(V5, *[(f"a/{number}", 0) for number in range(size_max)]))
    client.expect_closed(PACKET_TOO_LARGE)


# --- Request Problem Information


@covers("5:MQTT-3.1.2-29")
def test_without_request_problem_information_answers_have_no_reason(connected, dial):
    for answer in negative_answers(connected(props=[(REQUEST_PROBLEM_INFORMATION, 0)])):
        assert answer.get(REASON_STRING) is None, f"{answer}"
    client = dial()
    client.send(packets.connect(V5, "x" * 5000, props=[(REQUEST_PROBLEM_INFORMATION, 0)]))
    client.expect(CONNACK)


@covers("5:MQTT-4.9.0-1")
def test_a_receive_maximum_of_0_is_refused(dial):
    client = dial()
    client.send(packets.connect(V5, "c", props=[(RECEIVE_MAXIMUM, 0)]))
    client.expect_refused(packets.PROTOCOL_ERROR)


# --- limits that the standards leave to the server


@covers("5:MQTT-3.1.4-2", "5:MQTT-3.2.2-7", "5:MQTT-3.2.2-8", "3.1.1:MQTT-3.2.2-4", "3.1.1:MQTT-3.2.2-5")
def test_a_connection_too_many_is_refused(new_hub, connected, dial, version):
    hub = new_hub({"mqtt.connections_max": 1})
    first, second = connected(to=hub), dial(hub)
    second.send(packets.connect(version, "c"))
    second.expect_refused(QUOTA_EXCEEDED if version == V5 else SERVER_UNAVAILABLE)
    first.expect_nothing()


@covers("5:MQTT-3.14.2-1", "5:MQTT-4.13.2-1")
def test_a_client_that_publishes_too_fast_may_be_disconnected(new_hub, connected, name):
    client = connected(to=new_hub({"mqtt.client_message_rate": 1, "mqtt.rate_action": "disconnect"}))
    client.send(*[packets.publish(V5, f"{name}/a", b"x") for _ in range(50)])
    client.expect_closed(MESSAGE_RATE_TOO_HIGH)


@covers("5:MQTT-3.4.2-1", "5:MQTT-4.3.2-4")
def test_a_message_beyond_the_rate_may_be_refused(new_hub, connected, name):
    client = connected(to=new_hub({"mqtt.client_message_rate": 1, "mqtt.rate_action": "drop"}))
    ids = range(1, 51)
    client.send(*[packets.publish(V5, f"{name}/a", b"x", qos=1, packet_id=packet_id) for packet_id in ids])
    answers = [client.expect(PUBACK) for _ in ids]
    assert [answer.packet_id for answer in answers] == [*ids]
    assert {answer.code for answer in answers} == {0, QUOTA_EXCEEDED}
