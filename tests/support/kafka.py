"""Kafka clients: confluent-kafka (librdkafka) with answers to wait for, and bare requests."""

import struct
import time
from collections import namedtuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from support.waiting import DEADLINE_S

# Of topics that get records with timestamps of long ago, which retention would take at any moment.
KEPT_FOR_EVER = {"retention__ms": "-1"}

Record = namedtuple("Record", "partition offset key value headers timestamp")


# Lost connections are part of some tests: no word about them on stderr.
QUIET = {"log_level": 2}


def admin(hub):
    return AdminClient({"bootstrap.servers": hub.kafka, **QUIET})


def create_topic(hub, name, partitions=1, **config):
    """config: topic settings with '__' for '.', so sluice__wildcard="true"."""
    settings = {key.replace("__", "."): value for key, value in config.items()}
    topic = NewTopic(name, partitions, 1, config=settings)
    client = admin(hub)  # lives until the answer is there
    client.create_topics([topic], operation_timeout=DEADLINE_S)[name].result(DEADLINE_S)


def delete_topic(hub, name):
    client = admin(hub)
    client.delete_topics([name], operation_timeout=DEADLINE_S)[name].result(DEADLINE_S)


def topics(hub):
    """Name -> number of partitions."""
    metadata = admin(hub).list_topics(timeout=DEADLINE_S)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


def delete_records(hub, name, partition, before):
    """The new start of the partition."""
    at = TopicPartition(name, partition, before)
    client = admin(hub)
    return client.delete_records([at])[at].result(DEADLINE_S).low_watermark


def describe(hub, name):
    """The settings of a topic as a dictionary of text."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    client = admin(hub)
    settings = client.describe_configs([resource])[resource].result(DEADLINE_S)
    return {key: entry.value for key, entry in settings.items()}


def produce(hub, topic, records, timestamp_ms=0, **config):
    """Produces (key, value) or (key, value, headers), one after the other; returns (partition, offset) of each.

    timestamp_ms: of all of them; 0: now."""
    settings = {key.replace("__", "."): value for key, value in config.items()}
    producer = Producer({"bootstrap.servers": hub.kafka, "linger.ms": 5, **QUIET, **settings})
    placed = [None] * len(records)

    def delivered(index):
        def report(error, message):
            placed[index] = error or (message.partition(), message.offset())

        return report

    for index, (key, value, *headers) in enumerate(records):
        producer.produce(
            topic,
            value,
            key,
            headers=headers[0] if headers else None,
            timestamp=timestamp_ms,
            on_delivery=delivered(index),
        )
    assert producer.flush(DEADLINE_S) == 0, "not all records were answered"
    errors = [place for place in placed if not isinstance(place, tuple)]
    if errors:
        raise KafkaException(errors[0])
    return placed


def consumer(hub, **config):
    settings = {key.replace("__", "."): value for key, value in config.items()}
    return Consumer(
        {
            "bootstrap.servers": hub.kafka,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.message.max.bytes": 16 << 20,
            **QUIET,
            **settings,
        }
    )


def offsets(hub, topic, partition=0):
    """(start, end) of a partition."""
    reader = consumer(hub)
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=DEADLINE_S)
    finally:
        reader.close()


class Reader:
    """Reads some partitions of a topic, all of them by default, from the beginning or an offset."""

    def __init__(self, hub, topic, partitions=None, offset=OFFSET_BEGINNING, **config):
        self.consumer = consumer(hub, **config)
        if partitions is None:
            partitions = range(topics(hub)[topic])
        self.consumer.assign([TopicPartition(topic, partition, offset) for partition in partitions])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()

    def next(self):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            message = self.consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            return Record(
                message.partition(),
                message.offset(),
                message.key(),
                message.value(),
                message.headers() or [],
                message.timestamp()[1],
            )
        raise AssertionError(f"no record within {DEADLINE_S} s")

    def take(self, count):
        return [self.next() for _ in range(count)]

    def take_keys(self, prefix, count):
        """The next `count` records whose key begins with `prefix`; others are passed over."""
        found = []
        while len(found) < count:
            record = self.next()
            if record.key is not None and record.key.startswith(prefix.encode()):
                found.append(record)
        return found


def read(hub, topic, count, **options):
    with Reader(hub, topic, **options) as reader:
        return reader.take(count)


def read_keys(hub, topic, prefix, count):
    with Reader(hub, topic) as reader:
        return reader.take_keys(prefix, count)


# --- bare requests


def request(api_key, version, body, correlation_id=1, client_id=b"raw"):
    """A frame with request header version 1."""
    header = struct.pack(">hhih", api_key, version, correlation_id, len(client_id)) + client_id
    return struct.pack(">i", len(header) + len(body)) + header + body


def read_response(peer):
    """(correlation id, body) of the next response frame."""
    (size,) = struct.unpack(">i", peer.read(4))
    frame = peer.read(size)
    return struct.unpack(">i", frame[:4])[0], frame[4:]
