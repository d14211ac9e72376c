"""Clients that are further behind than the log, or a limit, allows: they are moved on, and it is counted and said."""

import json
import time

import pytest

from support.hub import sluice
from support.kafka import offsets, produce
from support.mqtt import V5, V311, MqttClient, properties
from support.waiting import eventually

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
HOUR_S = 3600


def session_client(hub, version, client_id="dev"):
    connect = properties("CONNECT", SessionExpiryInterval=HOUR_S) if version == V5 else None
    return MqttClient(hub, version, client_id=client_id, clean=False, connect_properties=connect)


def leave_with_filter(hub, version):
    with session_client(hub, version) as client:
        client.subscribe("limits/#", 1)


def publish_numbers(hub, first, until, size):
    with MqttClient(hub) as publisher:
        for number in range(first, until):
            publisher.publish(f"limits/{number % 3}", f"{number} ".ljust(size, "."))


def produce_old_numbers(hub, until):
    """From 0 on, with timestamps of two hours ago."""
    records = [("limits/a", str(number)) for number in range(until)]
    produce(hub, "mqtt", records, timestamp_ms=int(time.time() - 2 * HOUR_S) * 1000)


def receive_numbers(client, until):
    """The numbers that come up to `until`."""
    numbers = []
    while not numbers or numbers[-1] < until - 1:
        numbers.append(int(client.receive().payload.split()[0]))
    return numbers


def lost(hub, client_id="dev"):
    status, body = hub.get(f"/api/v1/clients/{client_id}")
    assert status == 200, body
    return json.loads(body)["lost"]


def skipped(hub, reason):
    return hub.metric("sluice_subscriber_records_skipped_total", reason=reason)


def lines_of(hub, text):
    return [json.loads(line) for line in hub.log().splitlines() if text in line]


@versions
def test_what_retention_has_overtaken_is_counted_and_the_session_goes_on(new_hub, version):
    hub = new_hub({"log.segment_size": "1MiB", "log.retention_bytes": "2MiB", "log.retention_interval": "100ms"})
    leave_with_filter(hub, version)
    publish_numbers(hub, 0, 128, 64 << 10)
    eventually(lambda: offsets(hub, "mqtt")[0] >= 64, "retention")
    with session_client(hub, version) as client:
        numbers = receive_numbers(client, 128)
        assert numbers[0] >= 64
        assert numbers == sorted(set(numbers))
        gone = 128 - len(numbers)
        assert lost(hub) == {"retention": gone, "lag_limit": 0}
        assert skipped(hub, "retention") == gone
        publish_numbers(hub, 128, 130, 10)
        assert receive_numbers(client, 130) == [128, 129]
    lines = lines_of(hub, "overtaken by retention")
    assert {(line["client"], line["stream"]) for line in lines} == {("dev", "mqtt")}
    assert sum(line["skipped_offsets"] for line in lines) == gone

    shown = sluice("session", "show", "dev", "--data", hub.data).stdout
    assert f"{gone} records of the log to retention, 0 to its lag limit" in shown
    hub.stop()
    hub.start()
    with session_client(hub, version):
        assert lost(hub) == {"retention": gone, "lag_limit": 0}, "it belongs to the session"
        shown = sluice("client", "show", "dev", "--data", hub.data).stdout
        assert f"{gone} records of the log to retention, 0 to its lag limit" in shown
    with MqttClient(hub, version, client_id="dev", clean=True):
        assert lost(hub) == {"retention": 0, "lag_limit": 0}, "another session of the client"


@versions
def test_a_session_that_is_too_many_bytes_behind_gets_the_newest(new_hub, version):
    hub = new_hub({"mqtt.session_lag_bytes": "512KiB"})
    leave_with_filter(hub, version)
    publish_numbers(hub, 0, 128, 16 << 10)
    with session_client(hub, version) as client:
        numbers = receive_numbers(client, 128)
        assert numbers == list(range(numbers[0], 128))
        assert 512 << 10 <= len(numbers) * (17 << 10)
        assert len(numbers) * (16 << 10) <= (512 + 64 + 2 * 17) << 10
        assert lost(hub) == {"retention": 0, "lag_limit": numbers[0]}
        assert skipped(hub, "lag_limit") == numbers[0]
    (line,) = lines_of(hub, "further behind than its limit allows")
    assert (line["client"], line["skipped_offsets"]) == ("dev", numbers[0])
    with session_client(hub, version):
        assert lost(hub)["lag_limit"] == numbers[0], "nothing more was lost"


def test_a_session_does_not_get_what_is_too_old(new_hub):
    hub = new_hub({"mqtt.session_lag_age": "1h"})
    leave_with_filter(hub, V5)
    produce_old_numbers(hub, 3)
    publish_numbers(hub, 3, 6, 10)
    with session_client(hub, V5) as client:
        assert receive_numbers(client, 6) == [3, 4, 5]
        assert lost(hub) == {"retention": 0, "lag_limit": 3}


def test_without_a_limit_a_session_gets_all_however_old(new_hub):
    hub = new_hub()
    leave_with_filter(hub, V5)
    produce_old_numbers(hub, 3)
    publish_numbers(hub, 3, 128, 16 << 10)
    with session_client(hub, V5) as client:
        assert receive_numbers(client, 128) == list(range(128))
        assert lost(hub) == {"retention": 0, "lag_limit": 0}


def test_at_qos_0_a_session_has_a_limit_of_its_own_and_goes_on_at_the_end(new_hub):
    hub = new_hub({"mqtt.qos0_lag_age": "1h", "mqtt.offline_qos0": "true"})
    for client_id, qos in (("qos0", 0), ("qos1", 1)):
        with session_client(hub, V5, client_id) as client:
            client.subscribe("limits/#", qos)
    produce_old_numbers(hub, 1)
    publish_numbers(hub, 1, 3, 10)
    with session_client(hub, V5, "qos0") as qos0, session_client(hub, V5, "qos1") as qos1:
        assert receive_numbers(qos1, 3) == [0, 1, 2]
        eventually(lambda: lost(hub, "qos0")["lag_limit"] == 3, "it is moved on")
        publish_numbers(hub, 3, 4, 10)
        assert receive_numbers(qos0, 4) == [3]
