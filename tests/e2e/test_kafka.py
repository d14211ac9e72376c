"""The Kafka protocol as librdkafka (confluent-kafka, kcat) and aiokafka use it."""

import asyncio
import subprocess
import threading
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from support import kafka
from support.hub import running
from support.mqtt import MqttClient
from support.waiting import DEADLINE_S


def test_topics_are_created_listed_and_deleted(hub, name):
    kafka.create_topic(hub, name, partitions=3)
    assert kafka.topics(hub)[name] == 3
    kafka.delete_topic(hub, name)
    assert name not in kafka.topics(hub)


def test_a_topic_is_created_once(hub, name):
    kafka.create_topic(hub, name)
    with pytest.raises(KafkaException) as refused:
        kafka.create_topic(hub, name)
    assert refused.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize(
    "topic,partitions,config,code",
    [
        ("bad name!", 1, {}, KafkaError.TOPIC_EXCEPTION),
        ("zero", 0, {}, KafkaError.INVALID_PARTITIONS),
        ("setting", 1, {"no.such.setting": "1"}, KafkaError.INVALID_CONFIG),
        ("value", 1, {"retention.ms": "soon"}, KafkaError.INVALID_CONFIG),
    ],
)
def test_a_bad_topic_is_refused_with_the_reason(hub, topic, partitions, config, code):
    with pytest.raises(KafkaException) as refused:
        kafka.create_topic(hub, topic, partitions, **config)
    assert refused.value.args[0].code() == code
    assert topic not in kafka.topics(hub)


def test_an_unknown_topic_cannot_be_deleted(hub, name):
    with pytest.raises(KafkaException) as refused:
        kafka.delete_topic(hub, name)
    assert refused.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_topic_settings_can_be_read_back(hub, name):
    kafka.create_topic(hub, name, sluice__wildcard="true", retention__ms="3600000", retention__bytes="1000000")
    values = kafka.describe(hub, name)
    assert values["sluice.wildcard"] == "true"
    assert values["retention.ms"] == "3600000"
    assert values["retention.bytes"] == "1000000"
    assert values["cleanup.policy"] == "delete"


def test_producing_creates_a_topic_of_one_partition(hub, name):
    kafka.produce(hub, name, [("k", "v")])
    assert kafka.topics(hub)[name] == 1


def test_auto_creation_can_be_switched_off(new_hub, name):
    hub = new_hub({"kafka.auto_create": "false"})
    with pytest.raises(KafkaException):
        kafka.produce(hub, name, [("k", "v")], message__timeout__ms=3000)
    assert name not in kafka.topics(hub)


def test_offsets_rise_by_one_from_zero(hub, name):
    assert kafka.produce(hub, name, [("k", str(i)) for i in range(5)]) == [(0, i) for i in range(5)]
    assert kafka.offsets(hub, name) == (0, 5)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_acks_setting_stores_the_records(hub, name, acks):
    kafka.produce(hub, name, [("k", str(i)) for i in range(10)], acks=acks)
    assert [r.value.decode() for r in kafka.read(hub, name, 10)] == [str(i) for i in range(10)]


def test_an_idempotent_producer_writes_each_record_once_and_in_order(hub, name):
    values = [str(i) for i in range(5000)]
    kafka.produce(hub, name, [(None, v) for v in values], enable__idempotence="true", batch__num__messages=50)
    assert [r.value.decode() for r in kafka.read(hub, name, len(values))] == values
    assert kafka.offsets(hub, name) == (0, len(values))


def test_offsets_are_found_by_time(hub, name):
    kafka.create_topic(hub, name, **kafka.KEPT_FOR_EVER)
    producer_times = [1_700_000_000_000 + 1000 * i for i in range(10)]
    producer = Producer({"bootstrap.servers": hub.kafka})
    for stamp in producer_times:
        producer.produce(name, "v", timestamp=stamp)
        producer.flush(DEADLINE_S)
    reader = kafka.consumer(hub)

    def offset_at(stamp):
        return reader.offsets_for_times([TopicPartition(name, 0, stamp)], timeout=DEADLINE_S)[0].offset

    assert offset_at(producer_times[0] - 1) == 0
    assert offset_at(producer_times[4]) == 4
    assert offset_at(producer_times[4] + 1) == 5
    assert offset_at(producer_times[9] + 1) == -1, "librdkafka's word for the end"
    reader.close()


def test_a_waiting_fetch_is_answered_when_a_record_comes(hub, name):
    """The client would wait a minute for a full answer; the record must not."""
    kafka.create_topic(hub, name)
    with kafka.Reader(hub, name, fetch__wait__max__ms=60000, socket__timeout__ms=70000) as reader:
        assert reader.consumer.poll(0.2) is None, "the fetch is under way"
        with MqttClient(hub) as device:
            device.publish(f"{name}/a", "now")
        started = time.monotonic()
        assert reader.next().value == b"now"
        assert time.monotonic() - started < 20


def test_an_empty_fetch_is_answered_after_its_wait(hub, name):
    kafka.create_topic(hub, name)
    with kafka.Reader(hub, name, fetch__wait__max__ms=100, enable__partition__eof="true") as reader:
        with pytest.raises(KafkaException) as end:
            reader.next()
        assert end.value.args[0].code() == KafkaError._PARTITION_EOF


def test_an_offset_beyond_the_end_is_out_of_range(hub, name):
    kafka.produce(hub, name, [("k", "v")])
    with kafka.Reader(hub, name, offset=100) as reader, pytest.raises(KafkaException) as refused:
        reader.next()
    assert refused.value.args[0].code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)


def test_many_readers_see_the_same(hub, name):
    kafka.create_topic(hub, name, partitions=4)
    records = [(f"k{i}", f"{i}" * 100) for i in range(2000)]
    results = []

    def read():
        results.append(sorted(r.key + b"=" + r.value for r in kafka.read(hub, name, len(records))))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    kafka.produce(hub, name, records, compression__type="lz4")
    for reader in readers:
        reader.join(DEADLINE_S)
    expected = sorted(f"{key}={value}".encode() for key, value in records)
    assert results == [expected] * 3


def kcat(hub, *args, stdin=""):
    return subprocess.run(
        ["kcat", "-b", hub.kafka, *args], input=stdin, capture_output=True, text=True, errors="replace", timeout=DEADLINE_S, check=True
    ).stdout


def test_kcat_lists_produces_and_consumes(hub, name):
    kcat(hub, "-P", "-t", name, "-K:", stdin="dev1:21.5\ndev2:22.0\n")
    assert f'topic "{name}" with 1 partitions' in kcat(hub, "-L")
    assert kcat(hub, "-C", "-t", name, "-o", "beginning", "-e", "-q", "-f", "%k %s %o\n") == "dev1 21.5 0\ndev2 22.0 1\n"
    assert kcat(hub, "-C", "-t", name, "-o", "-1", "-e", "-q") == "22.0\n"


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_aiokafka_produces_and_consumes(hub, name, codec):
    async def there_and_back():
        producer = AIOKafkaProducer(bootstrap_servers=hub.kafka, compression_type=codec, enable_idempotence=True)
        await producer.start()
        try:
            for i in range(100):
                await producer.send(name, f"value {i}".encode() * 10, key=b"k", headers=[("n", str(i).encode())])
            await producer.flush()
        finally:
            await producer.stop()
        consumer = AIOKafkaConsumer(bootstrap_servers=hub.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([AioTopicPartition(name, 0)])
            await consumer.seek_to_beginning()
            return [await asyncio.wait_for(consumer.getone(), DEADLINE_S) for _ in range(100)]
        finally:
            await consumer.stop()

    records = asyncio.run(there_and_back())
    assert [r.value for r in records] == [f"value {i}".encode() * 10 for i in range(100)]
    assert [r.headers for r in records] == [(("n", str(i).encode()),) for i in range(100)]


def test_mosquitto_and_kcat_meet(hub, name):
    """The README's walk."""
    mqtt = hub.mosquitto_options()
    listen = ["stdbuf", "-oL", "mosquitto_sub", *mqtt, "-d", "-v", "-q", "1", "-t", f"{name}/#", "-C", "2"]
    with running(listen) as subscriber:
        assert any(line.startswith("Subscribed") for line in subscriber.stdout)
        publish = ["mosquitto_pub", *mqtt, "-q", "1", "-t", f"{name}/dev1/temp", "-m", "21.5"]
        subprocess.run(publish, check=True, timeout=DEADLINE_S)
        kcat(hub, "-P", "-t", "mqtt", "-K:", stdin=f"{name}/dev1/temp:22.0\n")
        heard = subscriber.communicate(timeout=DEADLINE_S)[0]
    assert [line for line in heard.splitlines() if line.startswith(name)] == [
        f"{name}/dev1/temp 21.5",
        f"{name}/dev1/temp 22.0",
    ]
    seen = kcat(hub, "-C", "-t", "mqtt", "-o", "beginning", "-e", "-q", "-f", "%k %s\n")
    assert [line for line in seen.splitlines() if line.startswith(name)] == [
        f"{name}/dev1/temp 21.5",
        f"{name}/dev1/temp 22.0",
    ]
