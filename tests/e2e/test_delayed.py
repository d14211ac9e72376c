"""Delayed messages, "$delayed/<seconds>/<topic>", with real clients: when they come, what they bring, restarts and kills."""

import time

import pytest

from support.mqtt import V5, V311, MqttClient
from support.waiting import eventually

NOT_ALLOWED = 0x90
QUOTA_EXCEEDED = 0x97


@pytest.mark.both_backends
@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_comes_when_its_time_has_come(hub, name, version, qos):
    with MqttClient(hub, version) as subscriber, MqttClient(hub, version) as publisher:
        subscriber.subscribe(f"{name}/#", 2)
        begin = time.monotonic()
        publisher.publish(f"$delayed/2/{name}/later", "later", qos)
        publisher.publish(f"{name}/now", "now", 1)
        assert subscriber.receive().payload == b"now"
        message = subscriber.receive()
        # The hub's clock counts whole turns of its loop.
        assert time.monotonic() - begin > 1.9
        assert (message.topic, message.payload, message.qos) == (f"{name}/later", b"later", qos)


def test_it_brings_its_properties_and_is_retained_from_then_on(hub, name):
    with MqttClient(hub) as subscriber, MqttClient(hub) as publisher:
        subscriber.subscribe(f"{name}/a")
        publisher.publish(
            f"$delayed/1/{name}/a",
            "x",
            retain=True,
            ContentType="text/plain",
            MessageExpiryInterval=60,
            UserProperty=("k", "v"),
        )
        with MqttClient(hub) as early:
            early.subscribe(f"{name}/a")
            assert not early.receive().retain, "it was not retained before"
        message = subscriber.receive()
        assert message.properties.ContentType == "text/plain"
        assert message.properties.UserProperty == [("k", "v")]
        assert message.properties.MessageExpiryInterval in (59, 60), "it counts from the publication"
        with MqttClient(hub) as late:
            late.subscribe(f"{name}/a")
            assert late.receive().retain


@pytest.mark.parametrize("topic", ["$delayed/soon/a", "$delayed/5", "$delayed/99999999/a", "$delayed/1/$SYS/a"])
def test_what_is_no_delay_or_no_topic_is_refused(hub, topic):
    with MqttClient(hub) as client:
        assert client.publish(topic, "x") == NOT_ALLOWED


def test_more_than_may_wait_are_refused(new_hub):
    hub = new_hub({"mqtt.delayed_max": 2, "server.shards": 2})
    with MqttClient(hub) as client:
        codes = [client.publish("$delayed/100/a", "x") for _ in range(3)]
        assert codes == [0, 0, QUOTA_EXCEEDED]
    assert hub.metric("sluice_delayed_messages") == 2


def publish_all(hub, count, seconds):
    with MqttClient(hub) as publisher:
        for i in range(count):
            assert publisher.publish(f"$delayed/{seconds}/a/{i % 5}", str(i)) == 0


def replayed(hub, count):
    """What has been published so far, as a replay gives it; at least `count` messages."""
    with MqttClient(hub) as reader:
        reader.subscribe("$stream/mqtt/a/#", 1)
        got = [int(payload) for _, payload in reader.receive_pairs(count)]
        publisher = MqttClient(hub)
        publisher.publish("a/end", "-1")
        publisher.close()
        while True:
            got.append(int(reader.receive().payload))
            if got[-1] == -1:
                return got[:-1]


def test_an_orderly_restart_loses_and_doubles_nothing(new_hub):
    hub = new_hub({"server.shards": 2})
    publish_all(hub, 50, 1)
    publish_all(hub, 50, 3)
    eventually(lambda: hub.metric("sluice_delayed_published_total") > 0, "the first are due")
    assert hub.stop() == 0
    hub.start()
    eventually(lambda: hub.metric("sluice_delayed_messages") == 0, "all are published")
    assert sorted(replayed(hub, 100)) == sorted([*range(50), *range(50)])


def test_what_was_acknowledged_comes_after_a_kill(new_hub):
    hub = new_hub({"server.shards": 2})
    publish_all(hub, 100, 2)
    hub.kill()
    hub.start()
    eventually(lambda: hub.metric("sluice_delayed_messages") == 0, "all are published")
    assert set(replayed(hub, 100)) == set(range(100))


def test_a_kill_while_they_are_published_loses_nothing(new_hub):
    hub = new_hub({"server.shards": 2})
    publish_all(hub, 200, 1)
    eventually(lambda: hub.metric("sluice_delayed_published_total") > 0, "the first are due")
    hub.kill()
    hub.start()
    eventually(lambda: hub.metric("sluice_delayed_messages") == 0, "all are published")
    assert set(replayed(hub, 200)) == set(range(200))
