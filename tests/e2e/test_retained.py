"""Retained messages: the newest of each topic for whoever subscribes later."""

import subprocess

import pytest

from support import kafka
from support.mqtt import V5, V311, MqttClient
from support.streams import delete_stream, new_stream
from support.waiting import DEADLINE_S, eventually

pytestmark = pytest.mark.both_backends

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])


def retained(hub, topic_filter, count, version=V5, qos=1, **options):
    """What a new subscriber gets first: (topic, payload) of `count` messages, and of nothing more before `end`."""
    with MqttClient(hub, version) as subscriber:
        assert subscriber.subscribe(topic_filter, qos, **options) == qos
        messages = [subscriber.receive() for _ in range(count)]
        assert all(message.retain for message in messages)
        subscriber.subscribe("the/end")
        with MqttClient(hub) as other:
            other.publish("the/end", "live")
        last = subscriber.receive()
        assert (last.topic, last.retain) == ("the/end", False), "nothing else was retained"
        return sorted((message.topic, message.payload) for message in messages)


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_later_subscriber_gets_the_newest_of_each_topic(hub, name, version, qos):
    with MqttClient(hub, version) as publisher:
        for topic, payload in [("a", "old"), ("a", "new"), ("b/c", "1"), ("b/d", "2"), ("gone", "x"), ("gone", "")]:
            publisher.publish(f"{name}/{topic}", payload, qos, retain=True)
        publisher.publish(f"{name}/a", "not retained", 1)  # acknowledged, and so is what came before it
    pairs = [(f"{name}/a", b"new"), (f"{name}/b/c", b"1"), (f"{name}/b/d", b"2")]
    assert retained(hub, f"{name}/#", 3, version) == pairs
    assert retained(hub, f"{name}/+", 1, version) == pairs[:1]
    assert retained(hub, f"{name}/+/d", 1, version) == pairs[2:]
    assert retained(hub, f"{name}/a", 1, version) == pairs[:1]
    assert retained(hub, f"{name}/gone", 0, version) == []


def test_delivery_is_at_the_lower_qos(hub, name):
    with MqttClient(hub) as publisher, MqttClient(hub) as subscriber:
        for qos in range(3):
            publisher.publish(f"{name}/{qos}", "x", qos, retain=True)
        subscriber.subscribe(f"{name}/#", 1)
        assert {m.topic[-1]: m.qos for m in (subscriber.receive() for _ in range(3))} == {"0": 0, "1": 1, "2": 1}


def test_retain_handling_says_when_they_come(hub, name):
    with MqttClient(hub) as publisher, MqttClient(hub) as subscriber:
        publisher.publish(f"{name}/a", "kept", retain=True)
        subscriber.subscribe(f"{name}/a", 1, retainHandling=2)
        subscriber.subscribe(f"{name}/a", 1, retainHandling=1)
        publisher.publish(f"{name}/a", "live 1", retain=True)
        assert subscriber.receive().payload == b"live 1"
        subscriber.subscribe(f"{name}/a", 1, retainHandling=0)
        message = subscriber.receive()
        assert (message.payload, message.retain) == (b"live 1", True)
        subscriber.unsubscribe(f"{name}/a")
        subscriber.subscribe(f"{name}/a", 1, retainHandling=1)
        assert subscriber.receive().retain, "the subscription is new"


def test_a_retained_message_has_its_properties_and_its_time_runs_out(hub, name):
    with MqttClient(hub) as publisher, MqttClient(hub) as subscriber:
        publisher.publish(f"{name}/a", "x", retain=True, MessageExpiryInterval=3, UserProperty=("k", "v"))
        subscriber.subscribe(f"{name}/a", 1)
        message = subscriber.receive()
        assert message.properties.UserProperty == [("k", "v")]
        assert message.properties.MessageExpiryInterval <= 3

    def is_gone():
        with MqttClient(hub) as late:
            late.subscribe(f"{name}/a", 1)
            late.publish(f"{name}/a", "end")
            return late.receive().payload == b"end"

    eventually(is_gone, "the end of a message that has expired")


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_what_was_acknowledged_is_there_after_a_restart(new_hub, name, shards, ending):
    hub = new_hub({"server.shards": shards})
    kafka.create_topic(hub, f"{name}-s", 4)
    topics = [f"{name}/{number}" for number in range(200)] + [f"{name}-s/{number}" for number in range(200)]
    with MqttClient(hub) as publisher:
        for topic in topics:
            publisher.send(topic, f"value of {topic}", qos=1, retain=True)
        publisher.publish(f"{name}/0", "", retain=True)
        publisher.publish(f"{name}-s/1", "newer", retain=True)
    getattr(hub, ending)()
    hub.start()
    expected = {topic: f"value of {topic}".encode() for topic in topics[1:]} | {f"{name}-s/1": b"newer"}
    assert retained(hub, f"{name}/#", 199) == sorted((t, v) for t, v in expected.items() if t.startswith(f"{name}/"))
    assert retained(hub, f"{name}-s/#", 200) == sorted((t, v) for t, v in expected.items() if "-s/" in t)


def test_a_stream_takes_over_the_retained_messages_of_its_topics(hub, name):
    with MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "1", retain=True)
        publisher.publish(f"{name}/b", "2", retain=True)
        new_stream(hub, name, 3)
        assert retained(hub, f"{name}/#", 2) == [(f"{name}/a", b"1"), (f"{name}/b", b"2")]
        publisher.publish(f"{name}/a", "", retain=True)
        assert retained(hub, f"{name}/#", 1) == [(f"{name}/b", b"2")]
    delete_stream(hub, name)
    assert retained(hub, f"{name}/#", 0) == []


def test_mosquitto_clients_agree(hub, name):
    options = [*hub.mosquitto_options(), "-V", "5"]
    for number in range(3):
        subprocess.run(
            ["mosquitto_pub", *options, "-q", "1", "-r", "-t", f"{name}/{number}", "-m", f"value {number}"],
            check=True,
            timeout=DEADLINE_S,
        )
    subprocess.run(["mosquitto_pub", *options, "-q", "1", "-r", "-n", "-t", f"{name}/1"], check=True, timeout=DEADLINE_S)
    found = subprocess.run(
        ["mosquitto_sub", *options, "-t", f"{name}/#", "--retained-only", "-C", "2", "-F", "%t %p %r"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    ).stdout
    assert found.splitlines() == [f"{name}/0 value 0 1", f"{name}/2 value 2 1"]
