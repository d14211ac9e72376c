"""Whatever one peer sends, only that peer suffers: it is closed or refused, a counter says so, and others go on."""

import struct

import pytest

from support import kafka
from support.kafka import read_response, request
from support.mqtt import MqttClient, RawPeer, connect_packet, connected_raw, packet, publish_packet, text

API_VERSIONS, METADATA, PRODUCE, FETCH = 18, 3, 0, 1
UNSUPPORTED_VERSION = 35


@pytest.fixture(autouse=True)
def others_go_on(hub, name):
    """Two peers that were there before, and still work afterwards."""
    topic = f"beside-{name}/a"
    with MqttClient(hub) as bystander, kafka.Reader(hub, "mqtt") as reader:
        bystander.subscribe(topic, 1)
        yield
        bystander.publish(topic, "still here")
        assert bystander.receive().payload == b"still here"
        reader.take_keys(topic, 1)


BAD_FIRST_PACKETS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "Kafka": request(API_VERSIONS, 0, b""),
    "PUBLISH first": publish_packet("a", b"x"),
    "wrong protocol name": packet(0x10, text("MQTX") + b"\x04\x02\0\x3c" + text("c")),
    "reserved flag": connect_packet(flags=0x03),
    "endless length": b"\x10\xff\xff\xff\xff\x7f",
    "invalid UTF-8 client id": packet(0x10, text("MQTT") + b"\x04\x02\0\x3c" + text(b"\xc3\x28")),
    "cut short": packet(0x10, text("MQTT") + b"\x04\x02\0"),
    "trailing bytes": packet(0x10, text("MQTT") + b"\x04\x02\0\x3c" + text("c") + b"more"),
}


@pytest.mark.parametrize("data", BAD_FIRST_PACKETS.values(), ids=BAD_FIRST_PACKETS.keys())
def test_a_bad_first_packet_closes_the_connection(hub, data):
    before = hub.metric("sluice_mqtt_refusals_total")
    with RawPeer(hub.address("mqtt")) as peer:
        peer.send(data)
        peer.read_to_close()
    assert hub.metric("sluice_mqtt_refusals_total") == before + 1


BAD_PACKETS = {
    "second CONNECT": connect_packet(),
    "wildcard in topic": publish_packet("a/+/b", b"x", qos=1),
    "empty topic": publish_packet("", b"x", qos=1),
    "NUL in topic": publish_packet("a\0b", b"x", qos=1),
    "invalid UTF-8 topic": publish_packet(b"\xff", b"x", qos=1),
    "surrogate in topic": publish_packet(b"\xed\xa0\x80", b"x", qos=1),
    "packet id 0": publish_packet("a", b"x", qos=1, packet_id=0),
    "QoS 3": packet(0x36, text("a") + b"\0\1x"),
    "SUBSCRIBE with wrong flags": packet(0x80, b"\0\1" + text("a") + b"\0"),
    "SUBSCRIBE without filter": packet(0x82, b"\0\1"),
    "SUBSCRIBE at QoS 3": packet(0x82, b"\0\1" + text("a") + b"\3"),
    "reserved packet type": packet(0x00, b""),
    "server's packet": packet(0x20, b"\0\0"),
    "topic longer than the packet": packet(0x30, b"\xff\xffa"),
    "PINGREQ with a body": packet(0xC0, b"x"),
    "length in five bytes": b"\x30\xff\xff\xff\xff\x01",
    "over the packet limit": b"\x30\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("data", BAD_PACKETS.values(), ids=BAD_PACKETS.keys())
def test_a_bad_packet_closes_its_connection_and_is_counted(hub, data):
    before = hub.metric("sluice_mqtt_refusals_total")
    with connected_raw(hub) as peer:
        peer.send(data)
        assert peer.read_to_close() == b"", "version 3.1.1 has no word for it"
    assert hub.metric("sluice_mqtt_refusals_total") == before + 1


def test_version_5_is_told_why(hub):
    with connected_raw(hub, version=5) as peer:
        peer.send(packet(0x32, text("a") + b"\0\0" + b"\0" + b"x"))
        disconnect = peer.read_to_close()
    assert disconnect[0] == 0xE0
    assert disconnect[2] in (0x81, 0x82), "malformed packet or protocol error"


def test_an_unknown_mqtt_version_is_refused(hub):
    with RawPeer(hub.address("mqtt")) as peer:
        peer.send(packet(0x10, text("MQTT") + b"\x09\x02\0\x3c" + text("c")))
        assert peer.read_to_close()[:2] in (b"\x20\x02", b"\x20\x03")


def test_bytes_may_come_one_by_one(hub, name):
    with RawPeer(hub.address("mqtt")) as peer:
        for byte in connect_packet() + publish_packet(f"{name}/a", b"x", qos=1):
            peer.send(bytes([byte]))
        assert peer.read(4) == b"\x20\x02\0\0"
        assert peer.read(4) == b"\x40\x02\0\1"


def test_a_packet_may_begin_before_connack_and_end_after_it(hub, name):
    publish = publish_packet(f"{name}/a", b"x", qos=1)
    for number in range(8):  # client ids that belong to different shards
        with RawPeer(hub.address("mqtt")) as peer:
            peer.send(connect_packet(f"{name}-{number}") + publish[:5])
            assert peer.read(4) == b"\x20\x02\0\0"
            peer.send(publish[5:])
            assert peer.read(4) == b"\x40\x02\0\1"


BAD_FRAMES = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "negative size": struct.pack(">i", -1),
    "huge size": struct.pack(">i", 0x7FFFFFFF),
    "empty frame": struct.pack(">i", 0),
    "header cut short": struct.pack(">ihh", 4, METADATA, 1),
    "unknown API": request(9999, 0, b""),
    "API of a later issue": request(11, 0, b""),
    "unknown version of Metadata": request(METADATA, 99, b""),
    "body cut short": request(METADATA, 1, b"\0\0"),
    "array longer than the frame": request(METADATA, 1, struct.pack(">i", 0x7FFFFFFF)),
    "old Produce": request(PRODUCE, 0, struct.pack(">hii", 1, 1000, 0)),
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_bad_request_closes_its_connection_and_is_counted(hub, data):
    before = hub.metric("sluice_kafka_errors_total")
    with RawPeer(hub.address("kafka")) as peer:
        peer.send(data)
        assert peer.read_to_close() == b""
    assert hub.metric("sluice_kafka_errors_total") == before + 1


def test_an_unknown_version_of_api_versions_is_answered_with_the_known_ones(hub):
    with RawPeer(hub.address("kafka")) as peer:
        peer.send(request(API_VERSIONS, 99, b"", correlation_id=77))
        correlation_id, body = read_response(peer)
        error, count = struct.unpack(">hi", body[:6])
        apis = [struct.unpack(">h", body[at : at + 2])[0] for at in range(6, 6 + 6 * count, 6)]
        assert (correlation_id, error) == (77, UNSUPPORTED_VERSION)
        assert API_VERSIONS in apis
        peer.send(request(API_VERSIONS, 0, b"", correlation_id=78))
        assert read_response(peer)[0] == 78, "the connection stays"


def record_batch(body, crc=None):
    """A batch v2 of one record; `body` is what the checksum covers."""
    crc = crc if crc is not None else crc32c(body)
    return struct.pack(">qiibI", 0, len(body) + 9, 0, 2, crc) + body


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


ONE_RECORD = b"\x0c\0\0\0\1\1\0"  # length 6, attributes, timestamp delta, offset delta, no key, no value, no headers
GOOD_BODY = struct.pack(">hiqqqhii", 0, 0, 1000, 1000, -1, -1, -1, 1) + ONE_RECORD
BAD_BATCHES = {
    "wrong checksum": record_batch(GOOD_BODY, crc=1),
    "cut short": record_batch(GOOD_BODY)[:-3],
    "magic 1": record_batch(GOOD_BODY)[:16] + b"\1" + record_batch(GOOD_BODY)[17:],
    "control batch": record_batch(struct.pack(">h", 0x20) + GOOD_BODY[2:]),
    "nothing": b"",
}


def produce_request(topic, batch):
    topics = struct.pack(">ih", 1, len(topic)) + topic.encode()
    partitions = struct.pack(">iii", 1, 0, len(batch)) + batch
    return request(PRODUCE, 3, struct.pack(">hhi", -1, -1, 10000) + topics + partitions)


def produce_error(hub, topic, batch):
    """The error code of partition 0, or None when the connection was closed instead."""
    with RawPeer(hub.address("kafka")) as peer:
        peer.send(produce_request(topic, batch))
        first = peer.socket.recv(1)
        if not first:
            return None
        (size,) = struct.unpack(">i", first + peer.read(3))
        body = peer.read(size)
    return struct.unpack(">h", body[4 + 4 + 2 + len(topic) + 4 + 4 :][:2])[0]


@pytest.mark.parametrize("batch", BAD_BATCHES.values(), ids=BAD_BATCHES.keys())
def test_a_bad_batch_is_refused_and_not_stored(hub, name, batch):
    kafka.create_topic(hub, name)
    assert produce_error(hub, name, batch) != 0
    assert kafka.offsets(hub, name) == (0, 0)


def test_the_batch_that_the_bad_ones_are_made_from_is_good(hub, name):
    kafka.create_topic(hub, name)
    assert produce_error(hub, name, record_batch(GOOD_BODY)) == 0
    assert kafka.offsets(hub, name) == (0, 1)


# Their checksums are right, and a broker does not look at every record; matching them for subscribers must not trust them.
LYING_BODIES = {
    "a record longer than the batch": GOOD_BODY[: -len(ONE_RECORD)] + b"\xfe\xff\xff\xff\x0f\0\0\0\1\1\0",
    "a record of negative length": GOOD_BODY[: -len(ONE_RECORD)] + b"\x01" + ONE_RECORD[1:],
    "nine records where there is one": struct.pack(">hiqqqhii", 0, 8, 1000, 1000, -1, -1, -1, 9) + ONE_RECORD,
    "gzip that is none": struct.pack(">h", 1) + GOOD_BODY[2:],
    "an unknown codec": struct.pack(">h", 7) + GOOD_BODY[2:],
}


@pytest.mark.parametrize("body", LYING_BODIES.values(), ids=LYING_BODIES.keys())
def test_a_batch_that_lies_about_its_content_harms_nobody(hub, name, body):
    kafka.create_topic(hub, name)
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/#", 1)
        produce_error(hub, name, record_batch(body))
        kafka.produce(hub, name, [("k", "good")])
        assert subscriber.receive_pairs(1) == [(f"{name}/k", b"good")]


def test_a_message_over_the_limit_is_refused_and_a_fitting_one_taken(new_hub, name):
    hub = new_hub({"mqtt.packet_max": "10KiB"})
    with MqttClient(hub) as fits, MqttClient(hub) as too_big:
        assert fits.connack_properties.MaximumPacketSize == 10240
        fits.publish(f"{name}/a", "x" * 10_000)
        too_big.send(f"{name}/a", "x" * 10_240)
        assert too_big.disconnect_reason() == 0x95, "packet too large"
        fits.publish(f"{name}/a", "x")
