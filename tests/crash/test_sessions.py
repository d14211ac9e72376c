"""Exactly once: QoS 2 in both directions with stored sessions, while the hub is killed again and again."""

import os
import random
import time

import pytest

from crash.exactly_once import ExactPublisher, ExactSubscriber
from crash.load import wait_for_progress
from support.waiting import eventually

SEED = int(os.environ.get("SLUICE_CRASH_SEED", time.time_ns() % 1_000_000))


@pytest.mark.parametrize(
    "kills,settings",
    [(20, {}), (8, {"server.shards": 2}), (5, {"log.durability": "os"})],
    ids=["one-shard", "two-shards", "durability-os"],
)
def test_at_qos_2_nothing_is_lost_or_doubled_by_kills(new_hub, kills, settings):
    print(f"SLUICE_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    publishers = [ExactPublisher(hub, f"devices/dev{i}") for i in range(3)]
    subscribers = [ExactSubscriber(hub, f"reader{i}", "devices/#") for i in range(2)]
    for subscriber in subscribers:
        subscriber.start()
    eventually(lambda: all(subscriber.subscribed for subscriber in subscribers), "the filters stand")
    for publisher in publishers:
        publisher.start()
    for _ in range(kills):
        wait_for_progress(publishers + subscribers, 50)
        time.sleep(chance.uniform(0, 0.3))
        hub.kill()
        hub.start()
    for publisher in publishers:
        publisher.finish()
    for subscriber in subscribers:
        subscriber.expected = sum(publisher.sent for publisher in publishers)
    for subscriber in subscribers:
        subscriber.finish()

    for publisher in publishers:
        assert publisher.acknowledged == publisher.sent
        for subscriber in subscribers:
            assert subscriber.received[publisher.topic] == list(range(publisher.sent)), subscriber.name


@pytest.mark.parametrize(
    "kills,settings,name",
    [(10, {}, "$share/readers"), (6, {"server.shards": 2}, "$share/readers"), (4, {"server.shards": 2}, "$queue/readings")],
    ids=["one-shard", "two-shards", "queue"],
)
def test_at_qos_2_each_message_reaches_one_member_once_whatever_is_killed(new_hub, kills, settings, name):
    print(f"SLUICE_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    publishers = [ExactPublisher(hub, f"devices/dev{i}") for i in range(3)]
    members = [ExactSubscriber(hub, f"member{i}", f"{name}/devices/#") for i in range(3)]
    for member in members:
        member.start()
    eventually(lambda: all(member.subscribed for member in members), "the filters stand")
    for publisher in publishers:
        publisher.start()
    for _ in range(kills):
        wait_for_progress(publishers, 50)
        time.sleep(chance.uniform(0, 0.3))
        hub.kill()
        hub.start()
    for publisher in publishers:
        publisher.finish()
    total = sum(publisher.sent for publisher in publishers)
    eventually(lambda: sum(member.acknowledged for member in members) >= total, "all have come")
    for member in members:
        member.expected = member.acknowledged
        member.finish()

    for publisher in publishers:
        numbers = [number for member in members for number in member.received.get(publisher.topic, [])]
        assert sorted(numbers) == list(range(publisher.sent)), publisher.topic
