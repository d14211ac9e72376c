"""What is inside a record: compression, keys, headers and MQTT 5 properties."""

import pytest

from support import kafka
from support.mqtt import MqttClient, properties
from support.waiting import eventually


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_reach_subscribers(hub, name, codec):
    records = [(f"{name}/dev{i}", f"temperature {i} " * 50) for i in range(100)]
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/+", 1)
        kafka.produce(hub, "mqtt", records, compression__type=codec, linger__ms=100)
        assert subscriber.receive_pairs(len(records)) == [(key, value.encode()) for key, value in records]
    stored = kafka.read_keys(hub, "mqtt", f"{name}/", len(records))
    assert [r.value.decode() for r in stored] == [value for _, value in records]


UNDELIVERABLE = {
    "no key": None,
    "plus": b"a+b",
    "hash": b"a/#",
    "NUL": b"a\0b",
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("key", UNDELIVERABLE.values(), ids=UNDELIVERABLE.keys())
def test_a_record_without_a_valid_topic_is_counted_and_left_out(hub, name, key):
    kafka.create_topic(hub, name)

    def undeliverable():
        return hub.metric("sluice_messages_dropped_total", reason="no_topic")

    before = undeliverable()
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/#", 1)
        kafka.produce(hub, name, [(key, "unseen"), ("good", "seen")])
        assert subscriber.receive_pairs(1) == [(f"{name}/good", b"seen")]
        eventually(lambda: undeliverable() == before + 1, "the record is counted")
    assert [r.value for r in kafka.read(hub, name, 2)] == [b"unseen", b"seen"], "Kafka clients still see it"


def test_a_tombstone_is_an_empty_message(hub, name):
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/#", 1)
        kafka.produce(hub, "mqtt", [(f"{name}/k", None)])
        assert subscriber.receive_pairs(1) == [(f"{name}/k", b"")]


def test_mqtt5_properties_become_headers(hub, name):
    with MqttClient(hub) as device:
        device.publish(
            f"{name}/a",
            "21.5",
            PayloadFormatIndicator=1,
            ContentType="text/plain",
            ResponseTopic=f"{name}/answers",
            CorrelationData=b"\x00\xff7",
            UserProperty=[("unit", "C"), ("site", "Zürich"), ("unit", "K"), ("content-type", "mine")],
        )
    headers = [h for h in kafka.read_keys(hub, "mqtt", f"{name}/", 1)[0].headers if h[0] != "mqtt"]
    assert sorted(headers[:4]) == [
        ("content-type", b"text/plain"),
        ("correlation-id", b"\x00\xff7"),
        ("payload-format", b"1"),
        ("response-topic", f"{name}/answers".encode()),
    ]
    assert headers[4:] == [
        ("unit", b"C"),
        ("site", "Zürich".encode()),
        ("unit", b"K"),
        ("mqtt.user.content-type", b"mine"),
    ]


def test_headers_become_mqtt5_properties(hub, name):
    headers = [
        ("content-type", b"text/plain"),
        ("correlation-id", b"\x00\xff7"),
        ("response-topic", f"{name}/answers".encode()),
        ("payload-format", b"1"),
        ("unit", b"C"),
        ("not-text", b"\xff\xfe"),
        ("unit", b"K"),
    ]
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/#", 1)
        kafka.produce(hub, "mqtt", [(f"{name}/a", "21.5", headers)])
        received = subscriber.receive().properties
    assert received.ContentType == "text/plain"
    assert received.CorrelationData == b"\x00\xff7"
    assert received.ResponseTopic == f"{name}/answers"
    assert received.PayloadFormatIndicator == 1
    assert received.UserProperty == [("unit", "C"), ("unit", "K")]


def test_properties_survive_from_publisher_to_subscriber(hub, name):
    with MqttClient(hub) as client:
        client.subscribe(f"{name}/#", 1)
        client.publish(
            f"{name}/a",
            "21.5",
            ContentType="text/plain",
            MessageExpiryInterval=1000,
            UserProperty=[("mqtt", "x"), ("unit", "C")],
        )
        received = client.receive().properties
    assert received.ContentType == "text/plain"
    assert 990 <= received.MessageExpiryInterval <= 1000
    assert received.UserProperty == [("mqtt", "x"), ("unit", "C")]


def test_subscription_identifiers_of_all_matching_filters_come_along(hub, name):
    with MqttClient(hub) as client:
        client.subscribe_with_id(f"{name}/#", 7)
        client.subscribe_with_id(f"{name}/+", 300)
        client.publish(f"{name}/a", "x")
        message = client.receive()
        assert sorted(message.properties.SubscriptionIdentifier) == [7, 300]
        client.publish(f"{name}/end", "end")
        assert client.receive().topic == f"{name}/end", "overlapping filters give one copy"


def test_the_hub_names_the_client_it_has_named(hub):
    with MqttClient(hub, client_id="") as client:
        assert client.connack_properties.AssignedClientIdentifier


def test_a_subscriber_does_not_hear_itself_when_it_says_so(hub, name):
    with MqttClient(hub) as client, MqttClient(hub) as other:
        client.subscribe(f"{name}/#", 1, noLocal=True)
        client.publish(f"{name}/a", "own")
        other.publish(f"{name}/a", "other's")
        assert client.receive_pairs(1) == [(f"{name}/a", b"other's")]
