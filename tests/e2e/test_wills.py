"""Wills, with and without a delay."""

import time

import pytest

from support import kafka
from support.mqtt import V5, V311, MqttClient, properties
from support.waiting import eventually

DELAY_S = 2


def waiting_wills(hub):
    return hub.metric("sluice_mqtt_wills_waiting")


def client_with_will(hub, topic, delay_s=0, expiry_s=3600, version=V5, clean=False, **options):
    """A client whose will is published to `topic`; times for MQTT 5 only."""
    will = {"topic": topic, "payload": "gone", **options}
    connect = None
    if version == V5:
        will["properties"] = properties("WILLMESSAGE", WillDelayInterval=delay_s)
        connect = properties("CONNECT", SessionExpiryInterval=expiry_s)
    return MqttClient(hub, version, client_id=topic, clean=clean, connect_properties=connect, will=will)


@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_is_published_when_the_connection_is_lost(hub, name, version, qos):
    with MqttClient(hub, version) as watcher:
        watcher.subscribe(f"{name}/#", 2)
        client_with_will(hub, f"{name}/a", version=version, qos=qos, clean=True).vanish()
        message = watcher.receive()
    assert (message.topic, message.payload, message.qos) == (f"{name}/a", b"gone", qos)


def test_a_delayed_will_is_not_early(hub, name):
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/#")
        client = client_with_will(hub, f"{name}/a", DELAY_S)
        vanished = time.monotonic()
        client.vanish()
        assert watcher.receive().payload == b"gone"
        assert DELAY_S <= time.monotonic() - vanished < DELAY_S + 10


def test_a_session_that_ends_before_cuts_the_delay(hub, name):
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/#")
        client_with_will(hub, f"{name}/a", delay_s=3600, expiry_s=1).vanish()
        assert watcher.receive().payload == b"gone"


def test_a_client_that_comes_back_in_time_calls_its_will_off(hub, name):
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/#")
        client_with_will(hub, f"{name}/a", DELAY_S).vanish()
        eventually(lambda: waiting_wills(hub) == 1, "the will waits")
        with MqttClient(hub, client_id=f"{name}/a", clean=False):
            eventually(lambda: waiting_wills(hub) == 0, "the will is called off")
            watcher.publish(f"{name}/b", "after")
            assert watcher.receive_pairs(1) == [(f"{name}/b", b"after")]


def test_a_client_that_begins_anew_ends_its_session_and_the_will_comes_at_once(hub, name):
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/#")
        client_with_will(hub, f"{name}/a", delay_s=3600).vanish()
        eventually(lambda: waiting_wills(hub) == 1, "the will waits")
        with MqttClient(hub, client_id=f"{name}/a", clean=True):
            assert watcher.receive_pairs(1) == [(f"{name}/a", b"gone")]


def test_an_orderly_stop_publishes_the_wills_that_wait_and_those_of_who_is_there(new_hub, name):
    hub = new_hub({"mqtt.session_expiry_max": "0s"})  # with stored sessions they wait for the next start
    client_with_will(hub, f"{name}/a", delay_s=3600).vanish()
    eventually(lambda: waiting_wills(hub) == 1, "the will waits")
    with client_with_will(hub, f"{name}/b", delay_s=3600):
        assert hub.stop() == 0
    hub.start()
    records = kafka.read_keys(hub, "mqtt", f"{name}/", 2)
    assert sorted(record.key for record in records) == [f"{name}/a".encode(), f"{name}/b".encode()]
