"""Sessions that outlive their connections."""

import pytest

from support.mqtt import V5, V311, MqttClient, is_present, properties, session_client
from support.waiting import eventually

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])


@versions
@pytest.mark.parametrize("qos", [1, 2])
def test_what_comes_while_a_client_is_away_it_gets_when_it_is_back(hub, name, version, qos):
    with session_client(hub, name, version) as client:
        assert not is_present(client)
        client.subscribe(f"{name}/#", qos)
    with MqttClient(hub) as publisher:
        for number in range(200):
            publisher.publish(f"{name}/{number % 3}", str(number), qos)
    with session_client(hub, name, version) as client:
        assert is_present(client)
        received = [client.receive() for _ in range(200)]
        assert [int(message.payload) for message in received] == list(range(200))
        assert {message.qos for message in received} == {qos}
        with MqttClient(hub) as publisher:
            publisher.publish(f"{name}/live", "now", qos)
        assert client.receive().payload == b"now"


@versions
def test_at_qos_0_what_came_meanwhile_is_missed(hub, name, version):
    with session_client(hub, name, version) as client:
        client.subscribe(f"{name}/#", 0)
    with MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "missed", 1)
    with session_client(hub, name, version) as client, MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "live", 1)
        assert client.receive().payload == b"live"


@versions
def test_clean_start_ends_the_session(hub, name, version):
    with session_client(hub, name, version) as client:
        client.subscribe(f"{name}/#", 1)
    with MqttClient(hub, version, client_id=name, clean=True) as client:
        assert not is_present(client)
    with session_client(hub, name, version) as client:
        assert not is_present(client)
        with MqttClient(hub) as publisher:
            publisher.publish(f"{name}/a", "not for it")
            client.subscribe(f"{name}/b", 1)
            publisher.publish(f"{name}/b", "for it")
        assert client.receive().payload == b"for it"


@versions
def test_what_was_not_acknowledged_comes_again_with_dup_and_its_packet_id(hub, name, version):
    with session_client(hub, name, version, manual_ack=True) as client, MqttClient(hub) as publisher:
        client.subscribe(f"{name}/#", 1)
        for number in range(3):
            publisher.publish(f"{name}/a", str(number))
        first = [client.receive() for _ in range(3)]
        client.client.ack(first[1].mid, first[1].qos)
        client.vanish()
    with session_client(hub, name, version) as client:
        again = [client.receive() for _ in range(2)]
        assert [(m.payload, m.mid, m.dup) for m in again] == [(m.payload, m.mid, True) for m in (first[0], first[2])]


@versions
def test_a_second_connection_takes_the_session_over(hub, name, version):
    first = session_client(hub, name, version, manual_ack=True)
    first.subscribe(f"{name}/#", 1)
    with MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "x")
    assert first.receive().payload == b"x"
    with session_client(hub, name, version) as second:
        assert is_present(second)
        message = second.receive()
        assert (message.payload, message.dup) == (b"x", True)
    first.client.loop_stop()


@versions
def test_a_restart_of_the_hub_changes_nothing(new_hub, version):
    hub = new_hub()
    with session_client(hub, "c", version) as client:
        client.subscribe("kept/#", 2)
        client.subscribe("gone/#", 2)
        client.unsubscribe("gone/#")
    with MqttClient(hub) as publisher:
        publisher.publish("gone/a", "no", 2)
        publisher.publish("kept/a", "before", 2)
    hub.stop()
    hub.start()
    with MqttClient(hub) as publisher:
        publisher.publish("kept/a", "after", 2)
    with session_client(hub, "c", version) as client:
        assert is_present(client)
        assert client.receive_pairs(2) == [("kept/a", b"before"), ("kept/a", b"after")]


def test_the_expiry_is_cut_to_the_maximum_and_the_client_is_told(new_hub):
    hub = new_hub({"mqtt.session_expiry_max": "1h"})
    with session_client(hub, "c") as client:
        assert client.connack_properties.SessionExpiryInterval == 3600
    with session_client(hub, "d", expiry_s=60) as client:
        assert not hasattr(client.connack_properties, "SessionExpiryInterval")


def test_without_stored_sessions_the_client_is_told(new_hub):
    hub = new_hub({"mqtt.session_expiry_max": "0s"})
    for _ in range(2):
        with session_client(hub, "c") as client:
            assert client.connack_properties.SessionExpiryInterval == 0
            assert not is_present(client)


def test_a_new_filter_of_a_session_that_is_away_has_only_what_came_after_it(hub, name):
    with session_client(hub, name) as client, MqttClient(hub) as publisher:
        client.subscribe(f"{name}/a", 1)
        publisher.publish(f"{name}/b", "before the filter")
        client.subscribe(f"{name}/b", 1)
    with MqttClient(hub) as publisher:
        publisher.publish(f"{name}/b", "after it")
    with session_client(hub, name) as client:
        assert client.receive().payload == b"after it"


@versions
def test_a_retained_message_that_was_not_acknowledged_comes_again(hub, name, version):
    with MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "kept", retain=True)
    with session_client(hub, name, version, manual_ack=True) as client:
        client.subscribe(f"{name}/#", 1)
        assert client.receive().retain
        client.vanish()
    with session_client(hub, name, version) as client:
        message = client.receive()
        assert (message.payload, message.retain) == (b"kept", True)


def test_a_will_with_a_delay_outlives_the_hub(new_hub):
    hub = new_hub()
    will = {"topic": "w", "payload": "gone", "qos": 1, "properties": properties("WILLMESSAGE", WillDelayInterval=2)}
    session_client(hub, "c", will=will).vanish()
    eventually(lambda: hub.metric("sluice_mqtt_wills_waiting") == 1, "the will waits")
    hub.kill()
    hub.start()
    with MqttClient(hub) as watcher:
        watcher.subscribe("w", 1)
        assert watcher.receive().payload == b"gone"
