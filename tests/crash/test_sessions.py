"""Exactly once: QoS 2 in both directions with stored sessions, while the hub is killed again and again."""

import pytest

from crash.exactly_once import ExactPublisher, ExactSubscriber
from crash.load import kill_under_load, wait_for_progress
from support.waiting import eventually


def start(hub, subscribers):
    """Publishers for them, which begin when all filters stand."""
    for subscriber in subscribers:
        subscriber.start()
    eventually(lambda: all(subscriber.subscribed for subscriber in subscribers), "the filters stand")
    publishers = [ExactPublisher(hub, f"devices/dev{i}") for i in range(3)]
    for publisher in publishers:
        publisher.start()
    return publishers


@pytest.mark.parametrize(
    "kills,settings",
    [(20, {}), (8, {"server.shards": 2}), (5, {"log.durability": "os"})],
    ids=["one-shard", "two-shards", "durability-os"],
)
def test_at_qos_2_nothing_is_lost_or_doubled_by_kills(new_hub, kills, settings):
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    subscribers = [ExactSubscriber(hub, f"reader{i}", "devices/#") for i in range(2)]
    publishers = start(hub, subscribers)
    kill_under_load(hub, publishers + subscribers, kills)
    finish_exactly(publishers, subscribers)


def finish_exactly(publishers, subscribers):
    """Each subscriber has come to the end, and got each message once and in its order."""
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


@pytest.mark.parametrize("kills,settings", [(8, {}), (6, {"server.shards": 2})], ids=["one-shard", "two-shards"])
def test_at_qos_2_a_replay_goes_on_where_it_was_whatever_is_killed(new_hub, kills, settings):
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    publishers = start(hub, [])
    wait_for_progress(publishers, 500)
    subscribers = [ExactSubscriber(hub, f"reader{i}", "$stream/mqtt/devices/#") for i in range(2)]
    for subscriber in subscribers:
        subscriber.start()
    eventually(lambda: all(subscriber.subscribed for subscriber in subscribers), "the replays stand")
    kill_under_load(hub, publishers + subscribers, kills)
    finish_exactly(publishers, subscribers)


@pytest.mark.parametrize(
    "kills,settings,name",
    [(10, {}, "$share/readers"), (6, {"server.shards": 2}, "$share/readers"), (4, {"server.shards": 2}, "$queue/readings")],
    ids=["one-shard", "two-shards", "queue"],
)
def test_at_qos_2_each_message_reaches_one_member_once_whatever_is_killed(new_hub, kills, settings, name):
    hub = new_hub({"log.segment_size": "1MiB", **settings})
    members = [ExactSubscriber(hub, f"member{i}", f"{name}/devices/#") for i in range(3)]
    publishers = start(hub, members)
    kill_under_load(hub, publishers, kills)
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
