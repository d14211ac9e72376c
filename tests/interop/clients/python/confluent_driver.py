"""confluent-kafka (librdkafka) behind the commands of ../../README.md."""

import json
import os
import select
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

TIMEOUT_S = 30


def say(**what):
    print(json.dumps(what), flush=True)


def say_record(message):
    say(
        key=message.key().decode(),
        value=message.value().decode(),
        partition=message.partition(),
        offset=message.offset(),
    )


def connection(**more):
    ca, mechanism = os.environ.get("TLS_CA"), os.environ.get("SASL_MECHANISM")
    settings = {"bootstrap.servers": os.environ["BOOTSTRAP"], "log_level": 2, **more}
    settings["security.protocol"] = ("sasl_" if mechanism else "") + ("ssl" if ca else "plaintext")
    if settings["security.protocol"] == "plaintext":
        return settings
    if ca:
        settings["ssl.ca.location"] = ca
    if mechanism:
        settings["sasl.mechanism"] = mechanism
        settings["sasl.username"] = os.environ["SASL_USER"]
        settings["sasl.password"] = os.environ["SASL_PASSWORD"]
    return settings


def produce(topic, count, codec):
    producer = Producer(connection(**{"compression.type": codec, "linger.ms": 20}))
    failed = []

    def delivered(error, _):
        if error:
            failed.append(error)

    for i in range(int(count)):
        producer.produce(topic, f"v{i}", f"k{i}", on_delivery=delivered)
    left = producer.flush(TIMEOUT_S)
    if failed or left:
        raise KafkaException(failed[0] if failed else "records without an answer")
    say(produced=int(count))


def consumer(group="unused", **more):
    settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    return Consumer(connection(**settings, **more))


def read(reader, count):
    while count > 0:
        message = reader.poll(1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        say_record(message)
        count -= 1
    reader.close()


def consume(topic, count):
    reader = consumer()
    partitions = reader.list_topics(topic, TIMEOUT_S).topics[topic].partitions
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    read(reader, int(count))


def seek(topic, time):
    reader = consumer()
    [found] = reader.offsets_for_times([TopicPartition(topic, 0, int(time))], TIMEOUT_S)
    reader.assign([found])
    read(reader, 1)


def group(topic, name):
    member = consumer(name, **{"session.timeout.ms": 10000, "heartbeat.interval.ms": 300})

    def assigned(_, partitions):
        say(assigned=[partition.partition for partition in partitions])

    member.subscribe([topic], on_assign=assigned)
    while not select.select([sys.stdin], [], [], 0)[0]:
        message = member.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        say_record(message)
        member.commit(message, asynchronous=False)
        say(committed=True)
    member.close()
    say(closed=True)


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "seek": seek, "group": group}[sys.argv[1]](*sys.argv[2:])
