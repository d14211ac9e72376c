"""aiokafka behind the commands of ../../README.md."""

import asyncio
import json
import os
import ssl
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition


def say(**what):
    print(json.dumps(what), flush=True)


def say_record(record):
    say(key=record.key.decode(), value=record.value.decode(), partition=record.partition, offset=record.offset)


def connection():
    ca, mechanism = os.environ.get("TLS_CA"), os.environ.get("SASL_MECHANISM")
    settings = {"bootstrap_servers": os.environ["BOOTSTRAP"]}
    settings["security_protocol"] = ("SASL_" if mechanism else "") + ("SSL" if ca else "PLAINTEXT")
    if ca:
        settings["ssl_context"] = ssl.create_default_context(cafile=ca)
    if mechanism:
        settings["sasl_mechanism"] = mechanism
        settings["sasl_plain_username"] = os.environ["SASL_USER"]
        settings["sasl_plain_password"] = os.environ["SASL_PASSWORD"]
    return settings


async def produce(topic, count, codec):
    codec = None if codec == "none" else codec
    async with AIOKafkaProducer(**connection(), acks="all", compression_type=codec, linger_ms=20) as producer:
        sent = [await producer.send(topic, f"v{i}".encode(), f"k{i}".encode()) for i in range(int(count))]
        await asyncio.gather(*sent)
    say(produced=int(count))


async def read(consumer, count):
    for _ in range(count):
        say_record(await consumer.getone())


async def consume(topic, count):
    async with AIOKafkaConsumer(topic, **connection(), auto_offset_reset="earliest") as consumer:
        await read(consumer, int(count))


async def seek(topic, time):
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(**connection()) as consumer:
        consumer.assign([partition])
        found = await consumer.offsets_for_times({partition: int(time)})
        consumer.seek(partition, found[partition].offset)
        await read(consumer, 1)


class Assignments(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        say(assigned=[partition.partition for partition in assigned])


async def group(topic, name):
    consumer = AIOKafkaConsumer(
        **connection(),
        group_id=name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10000,
        heartbeat_interval_ms=300,
    )
    consumer.subscribe([topic], listener=Assignments())
    await consumer.start()
    told_to_stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    while not told_to_stop.done():
        batches = await consumer.getmany(timeout_ms=100)
        for records in batches.values():
            for record in records:
                say_record(record)
        if batches:
            await consumer.commit()
            say(committed=True)
    await consumer.stop()
    say(closed=True)


if __name__ == "__main__":
    commands = {"produce": produce, "consume": consume, "seek": seek, "group": group}
    asyncio.run(commands[sys.argv[1]](*sys.argv[2:]))
