"""QoS 2 in both directions, within a connection."""

import subprocess

import pytest

from support import kafka
from support.hub import running
from support.mqtt import V5, V311, MqttClient, connected_raw, packet, publish_packet
from support.waiting import DEADLINE_S

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])

PUBREC, PUBREL, PUBCOMP = 0x50, 0x62, 0x70
PACKET_ID_NOT_FOUND = 0x92


def ack(first_byte, packet_id, *code):
    return packet(first_byte, packet_id.to_bytes(2) + bytes(code))


@versions
@pytest.mark.parametrize("published,granted", [(2, 0), (2, 1), (0, 2), (1, 2), (2, 2)])
def test_delivery_is_at_the_lower_qos(hub, name, version, published, granted):
    with MqttClient(hub, version) as subscriber, MqttClient(hub, version) as publisher:
        assert subscriber.subscribe(f"{name}/a", granted) == granted
        publisher.publish(f"{name}/a", "x", published)
        assert subscriber.receive().qos == min(published, granted)


@versions
def test_a_thousand_messages_arrive_once_and_in_order(hub, name, version):
    with MqttClient(hub, version) as subscriber, MqttClient(hub, version) as publisher:
        subscriber.subscribe(f"{name}/#", 2)
        for number in range(1000):
            publisher.send(f"{name}/{number % 7}", str(number), qos=2)
        publisher.publish(f"{name}/end", "end", 2)
        received = [payload for _, payload in subscriber.receive_pairs(1001)]
    assert received == [str(number).encode() for number in range(1000)] + [b"end"]


def test_a_repeated_packet_id_is_published_once(hub, name):
    with MqttClient(hub) as subscriber, connected_raw(hub) as peer:
        subscriber.subscribe(f"{name}/#", 2)
        for _ in range(2):
            peer.send(publish_packet(f"{name}/a", b"first", qos=2, packet_id=7))
            assert peer.read(4) == ack(PUBREC, 7)
        peer.send(ack(PUBREL, 7))
        assert peer.read(4) == ack(PUBCOMP, 7)
        peer.send(publish_packet(f"{name}/a", b"second", qos=2, packet_id=7))
        assert peer.read(4) == ack(PUBREC, 7)
        assert subscriber.receive_pairs(2) == [(f"{name}/a", b"first"), (f"{name}/a", b"second")]


def test_a_packet_id_that_is_not_known_is_answered(hub):
    with connected_raw(hub, version=5) as peer:
        peer.send(ack(PUBREL, 5) + ack(0x50, 6))
        for expected in (PUBCOMP, 5), (PUBREL, 6):
            first_byte, body = peer.read_packet()
            assert (first_byte, int.from_bytes(body[:2])) == expected
            assert body[2] == PACKET_ID_NOT_FOUND
            assert b"packet id" in body[3:], "a reason string"


def test_the_record_says_which_publish_it_was(hub, name):
    with connected_raw(hub) as peer:
        peer.send(publish_packet(f"{name}/a", b"x", qos=2, packet_id=0x1234))
        assert peer.read(4) == ack(PUBREC, 0x1234)
    header = dict(kafka.read_keys(hub, "mqtt", f"{name}/", 1)[0].headers)["mqtt"]
    assert header[1] & 0x23 == 0x22, "QoS 2, with evidence"
    assert header[-10:-8] == b"\x12\x34"


def test_a_record_of_a_kafka_client_goes_out_at_the_granted_qos(hub, name):
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/#", 2)
        kafka.produce(hub, "mqtt", [(f"{name}/a", "x")])
        assert subscriber.receive().qos == 2


def test_mosquitto_both_ways(hub, name):
    options = [*hub.mosquitto_options(), "-q", "2", "-t", f"{name}/a"]
    with running(["stdbuf", "-oL", "mosquitto_sub", *options, "-d", "-C", "3"]) as listener:
        while "SUBACK" not in (line := listener.stdout.readline()):
            assert line, "mosquitto_sub has ended"
        published = subprocess.run(
            ["mosquitto_pub", *options, "-l"], input="one\ntwo\nthree\n", text=True, timeout=DEADLINE_S
        )
        assert published.returncode == 0
        output, _ = listener.communicate(timeout=DEADLINE_S)
    payloads = [line for line in output.splitlines() if line in ("one", "two", "three")]
    assert payloads == ["one", "two", "three"]
    assert output.count("sending PUBCOMP") == 3
