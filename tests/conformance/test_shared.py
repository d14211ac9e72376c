"""Shared subscriptions: section 4.8.2 of MQTT 5. sluice offers them to clients of 3.1.1 too."""

import pytest

from conformance import covers, packets
from conformance.packets import PROTOCOL_ERROR, PUBACK, PUBREC, SHARED_AVAILABLE

FILTER_INVALID, NO_LOCAL = 0x8F, 0x04


@pytest.fixture
def members(connected, name):
    """Two members of a group for `topic` of the test."""

    def make(*granted):
        clients = [connected(f"{name}-{number}") for number in range(len(granted))]
        for client, qos in zip(clients, granted):
            assert client.subscribe(f"$share/{name}/{name}/#", qos) == qos
        return clients

    return make


@pytest.mark.parametrize("bad", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#/a", "$share/g+/a"])
@covers("5:MQTT-4.8.2-1", "5:MQTT-4.8.2-2")
def test_a_shared_filter_needs_a_group_and_a_filter(connected, bad):
    assert connected().subscribe(bad) == FILTER_INVALID


@covers("5:MQTT-3.8.3-4")
def test_no_local_on_a_shared_filter_closes_the_connection(connected, version, name):
    client = connected()
    client.send(packets.subscribe(version, (f"$share/{name}/a", NO_LOCAL)))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-4.8.2-1", "5:MQTT-4.8.2-2")
def test_each_message_goes_to_one_member(connected, members, due, name):
    publisher, outside = connected(), connected()
    assert publisher.connack.get(SHARED_AVAILABLE) in (None, 1)
    clients = members(1, 1)
    outside.subscribe(f"{name}/#")
    for number in range(20):
        publisher.publish(f"{name}/a", b"%d" % number)
        outside.expect_message(payload=b"%d" % number)
    found = [packet.payload for client in clients for packet in due(client)]
    assert sorted(found, key=int) == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("granted", [0, 1, 2])
@covers("5:MQTT-4.8.2-3")
def test_the_granted_qos_of_the_member_holds(connected, members, name, granted):
    (client,) = members(granted)
    for qos in range(3):
        connected().publish(f"{name}/a", b"x", qos=qos)
        assert client.expect_message(payload=b"x").qos == min(qos, granted)


def one_under_way(publisher, clients, due, name, qos):
    """(who got a message, who did not, the message); it is not acknowledged."""
    publisher.publish(f"{name}/a", b"x", qos=qos)
    for client in clients:
        if found := due(client):
            return client, next(other for other in clients if other is not client), found[0]
    raise AssertionError("no member got the message")


@covers("5:MQTT-4.8.2-5")
def test_a_message_of_qos_2_under_way_goes_to_nobody_else(connected, members, due, name):
    """Its member's session ends with the connection."""
    publisher, clients = connected(), members(2, 2)
    first, second, message = one_under_way(publisher, clients, due, name, 2)
    assert message.qos == 2
    first.send(packets.disconnect())
    first.expect_end()
    publisher.publish(f"{name}/a", b"marker", qos=2)
    second.expect_message(payload=b"marker")
    assert due(second) == []


@pytest.mark.parametrize("qos, answer", [(1, PUBACK), (2, PUBREC)])
@covers("5:MQTT-4.8.2-6")
def test_a_message_that_a_member_refuses_goes_to_nobody_else(connected, members, due, name, qos, answer):
    publisher, clients = connected(), members(qos, qos)
    first, second, message = one_under_way(publisher, clients, due, name, qos)
    first.send(packets.ack(answer, message.packet_id, 0x80))
    first.expect_nothing()
    first.close()
    publisher.publish(f"{name}/a", b"marker", qos=qos)
    second.expect_message(payload=b"marker")
    assert due(second) == []
