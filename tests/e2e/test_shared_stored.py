"""Shared subscriptions of stored sessions, and queues: what comes while nobody is there, over kill -9."""

import pytest

from support.mqtt import V5, V311, MqttClient, properties
from support.waiting import eventually

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
SHARE = "$share/workers/jobs/#"
QUEUE = "$queue/workers/jobs/#"


def session_client(hub, client_id, version=V5, **options):
    """A client that takes its session up, or begins one that stays."""
    connect = properties("CONNECT", SessionExpiryInterval=86_400) if version == V5 else None
    return MqttClient(hub, version, client_id=client_id, clean=False, connect_properties=connect, **options)


def publish_all(hub, numbers, qos=1):
    with MqttClient(hub) as publisher:
        for number in numbers:
            publisher.publish(f"jobs/{number % 5}", str(number), qos)


def kill_and_start(hub):
    hub.kill()
    hub.start()


def take_numbers(client, count):
    return sorted(int(client.receive().payload) for _ in range(count))


@versions
@pytest.mark.parametrize("shards", [1, 2])
def test_what_comes_while_all_members_are_away_is_for_who_is_back(new_hub, version, shards):
    hub = new_hub({"server.shards": shards})
    for name in ("a", "b"):
        with session_client(hub, name, version) as member:
            assert member.subscribe(SHARE, 1) == 1
    publish_all(hub, range(100))
    kill_and_start(hub)
    publish_all(hub, range(100, 200))
    with session_client(hub, "b", version) as member:
        assert take_numbers(member, 200) == list(range(200))
        publish_all(hub, [200])
        assert take_numbers(member, 1) == [200]


@versions
def test_what_a_member_did_not_acknowledge_comes_after_a_kill(new_hub, version):
    hub = new_hub({"server.shards": 2})
    with session_client(hub, "a", version) as away:
        away.subscribe(SHARE, 1)
    with session_client(hub, "b", version, manual_ack=True) as member:
        member.subscribe(SHARE, 1)
        publish_all(hub, range(20))
        assert take_numbers(member, 20) == list(range(20))
        hub.kill()
        member.client.loop_stop()
    hub.start()
    with session_client(hub, "a", version) as other:
        assert take_numbers(other, 20) == list(range(20))


def test_a_group_ends_with_the_last_session_that_holds_it(new_hub):
    hub = new_hub()
    with session_client(hub, "a") as member:
        member.subscribe(SHARE, 1)
    with MqttClient(hub, client_id="a"):
        pass  # a clean start
    publish_all(hub, range(3))
    with session_client(hub, "a") as member:
        member.subscribe(SHARE, 1)
        publish_all(hub, [3])
        assert take_numbers(member, 1) == [3]


@versions
def test_a_queue_is_there_whoever_is(new_hub, version):
    hub = new_hub({"server.shards": 2})
    with MqttClient(hub, version) as worker:
        assert worker.subscribe(QUEUE, 1) == 1
    publish_all(hub, range(50))
    kill_and_start(hub)
    publish_all(hub, range(50, 100))
    with MqttClient(hub, version) as worker:
        worker.subscribe(QUEUE, 1)
        assert take_numbers(worker, 100) == list(range(100))
        worker.unsubscribe(QUEUE)
    publish_all(hub, [100])
    with MqttClient(hub, version) as worker:
        worker.subscribe(QUEUE, 1)
        assert take_numbers(worker, 1) == [100]


@versions
def test_consumers_of_a_queue_compete(hub, name, version):
    queue = f"$queue/{name}/{name}/#"
    with MqttClient(hub, version) as one, MqttClient(hub, version) as two, MqttClient(hub) as publisher:
        for consumer in (one, two):
            assert consumer.subscribe(queue, 1) == 1
        for number in range(40):
            publisher.publish(f"{name}/{number}", str(number))
        eventually(lambda: one.messages.qsize() + two.messages.qsize() == 40, "all have come")
        assert one.messages.qsize() > 0 and two.messages.qsize() > 0


def test_an_orderly_stop_gives_nothing_twice(new_hub):
    hub = new_hub()
    with session_client(hub, "a") as member:
        member.subscribe(SHARE, 1)
        publish_all(hub, range(10))
        assert take_numbers(member, 10) == list(range(10))
        # The hub answers in order, so it has the acknowledgements.
        member.subscribe("other", 0)
    hub.stop()
    hub.start()
    publish_all(hub, [10])
    with session_client(hub, "a") as member:
        assert take_numbers(member, 1) == [10]
