"""One message, both protocols: plain topics live in stream `mqtt`, named ones in the stream of their first level."""

import pytest

from support import kafka
from support.mqtt import V5, V311, MqttClient
from support.streams import delete_stream, new_stream

pytestmark = pytest.mark.both_backends


@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_published_message_is_a_record_with_the_topic_as_key(hub, name, version, qos):
    with MqttClient(hub, version) as device:
        for number in range(3):
            device.publish(f"{name}/dev1/temp", f"reading {number}", qos)
        records = kafka.read_keys(hub, "mqtt", f"{name}/", 3)
    assert [(r.key, r.value) for r in records] == [
        (f"{name}/dev1/temp".encode(), f"reading {number}".encode()) for number in range(3)
    ]


@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_produced_record_reaches_subscribers(hub, name, version, qos):
    with MqttClient(hub, version) as subscriber:
        assert subscriber.subscribe(f"{name}/#", qos) == qos
        kafka.produce(hub, "mqtt", [(f"{name}/dev{i}", f"value {i}") for i in range(3)])
        assert subscriber.receive_pairs(3) == [(f"{name}/dev{i}", f"value {i}".encode()) for i in range(3)]


def test_a_named_stream_takes_what_is_published_below_its_name(hub, name):
    with MqttClient(hub) as device:
        device.publish(f"{name}/dev1/temp", "before")
        new_stream(hub, name)
        device.publish(f"{name}/dev1/temp", "after")
        device.publish(name, "bare name")
        device.publish(f"{name}/", "empty key")
    plain = kafka.read_keys(hub, "mqtt", name, 2)
    assert [(r.key, r.value) for r in plain] == [
        (f"{name}/dev1/temp".encode(), b"before"),
        (name.encode(), b"bare name"),
    ]
    named = kafka.read(hub, name, 2)
    assert [(r.key, r.value) for r in named] == [(b"dev1/temp", b"after"), (b"", b"empty key")]


def test_a_subscription_older_than_the_stream_covers_it(hub, name):
    with MqttClient(hub) as client:
        client.subscribe(f"{name}/#", 1)
        client.publish(f"{name}/a", "plain")
        new_stream(hub, name)
        client.publish(f"{name}/a", "named")
        kafka.produce(hub, name, [("b", "produced")])
        assert client.receive_pairs(3) == [
            (f"{name}/a", b"plain"),
            (f"{name}/a", b"named"),
            (f"{name}/b", b"produced"),
        ]


def test_a_wildcard_first_level_covers_marked_streams_only(hub, name):
    if hub.has_cluster:
        pytest.skip("a topic of Kafka has no such setting")
    marked, unmarked = f"{name}-marked", f"{name}-unmarked"
    kafka.create_topic(hub, marked, sluice__wildcard="true")
    kafka.create_topic(hub, unmarked)
    with MqttClient(hub) as everything, MqttClient(hub) as named:
        everything.subscribe("#", 1, retainHandling=2)  # what other tests left behind is not asked for
        named.subscribe(f"{unmarked}/#", 1)
        kafka.produce(hub, unmarked, [("k", "changelog")])
        assert named.receive_pairs(1) == [(f"{unmarked}/k", b"changelog")]
        kafka.produce(hub, marked, [("k", "reading")])
        kafka.produce(hub, "mqtt", [(f"{name}/k", "plain")])
        assert sorted(everything.receive_pairs(2)) == sorted(
            [(f"{marked}/k", b"reading"), (f"{name}/k", b"plain")]
        )


# Partitions of 8 as Kafka's default partitioner (murmur2) gives them.
MURMUR2_OF_8 = {
    "house/kitchen/sensor": 7,
    "house/kitchen/lamp": 4,
    "house/garage/door": 6,
    "car/42/pos": 5,
    "a/b/c": 2,
}


def test_the_key_chooses_the_partition_as_kafka_clients_do(hub, name):
    new_stream(hub, name, partitions=8)
    with MqttClient(hub) as device:
        for key in MURMUR2_OF_8:
            device.publish(f"{name}/{key}", key)
    records = kafka.read(hub, name, len(MURMUR2_OF_8))
    assert {r.key.decode(): r.partition for r in records} == MURMUR2_OF_8


def test_subscribers_get_all_partitions_in_order_per_key(hub, name):
    new_stream(hub, name, partitions=3)
    keys = [f"dev{i}" for i in range(10)]
    with MqttClient(hub) as subscriber:
        subscriber.subscribe(f"{name}/+", 1)
        records = [(key, str(round_)) for round_ in range(20) for key in keys]
        kafka.produce(hub, name, records)
        received = subscriber.receive_pairs(len(records))
    for key in keys:
        assert [int(value) for topic, value in received if topic == f"{name}/{key}"] == list(range(20))


def test_a_deleted_stream_gives_its_name_back(hub, name):
    new_stream(hub, name)
    with MqttClient(hub) as client:
        client.publish(f"{name}/a", "named")
        delete_stream(hub, name)
        client.publish(f"{name}/a", "plain again")
        assert kafka.read_keys(hub, "mqtt", f"{name}/", 1)[0].value == b"plain again"
        new_stream(hub, name)
        assert kafka.offsets(hub, name) == (0, 0), "a new life begins empty"


@pytest.mark.parametrize("size", [5 << 20])
def test_big_payloads_cross_both_ways(hub, name, size):
    payload = bytes(range(256)) * (size // 256)
    with MqttClient(hub) as client:
        client.subscribe(f"{name}/in", 1)
        client.publish(f"{name}/out", payload)
        assert kafka.read_keys(hub, "mqtt", f"{name}/out", 1)[0].value == payload
        kafka.produce(hub, "mqtt", [(f"{name}/in", payload)], message__max__bytes=size + 4096)
        assert client.receive().payload == payload
