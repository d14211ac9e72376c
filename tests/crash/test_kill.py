"""kill -9 under load, again and again: what was acknowledged stays, in order, and nothing idempotent is there twice."""

import pytest

from crash.load import Follower, KafkaProducer, MqttPublisher, kill_under_load
from support import kafka

STREAM = "produced"
PARTITIONS = 2


@pytest.mark.parametrize(
    "kills,settings",
    [(10, {}), (4, {"server.shards": 2}), (4, {"log.durability": "os"})],
    ids=["one-shard", "two-shards", "durability-os"],
)
def test_acknowledged_messages_survive_kills(new_hub, kills, settings):
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    kafka.create_topic(hub, STREAM, PARTITIONS)

    publishers = [MqttPublisher(hub, f"devices/dev{i}") for i in range(3)]
    producers = [KafkaProducer(hub, STREAM, f"machine{i}") for i in range(2)]
    followers = [Follower(hub, "mqtt", 1), Follower(hub, STREAM, PARTITIONS)]
    loads = publishers + producers + followers
    for load in loads:
        load.start()
    kill_under_load(hub, loads, kills, answers=100)
    for load in loads:
        load.finish()
    hub.kill()
    hub.start()

    plain = read_all(hub, "mqtt", 1)
    produced = read_all(hub, STREAM, PARTITIONS)
    for publisher in publishers:
        assert publisher.acknowledged == publisher.sent
        numbers = numbers_of(plain, publisher.topic)
        assert list(dict.fromkeys(numbers)) == list(range(publisher.sent)), publisher.topic
    for producer in producers:
        assert producer.acknowledged == producer.sent
        assert numbers_of(produced, producer.name) == list(range(producer.sent)), producer.name
    for follower, records in zip(followers, (plain, produced)):
        there = {(r.partition, r.offset): r.value for r in records}
        assert follower.seen.items() <= there.items(), f"{follower.name} has seen what is not in the log"


def read_all(hub, topic, partitions):
    """All records, by partition and offset. Offsets may have holes, so the end is found by position, not by count."""
    records = []
    for partition in range(partitions):
        _, end = kafka.offsets(hub, topic, partition)
        with kafka.Reader(hub, topic, [partition]) as reader:
            position = 0
            while position < end:
                records.append(reader.next())
                position = records[-1].offset + 1
    return records


def numbers_of(records, key):
    return [int(record.value) for record in records if record.key == key.encode()]
