"""The server as a process: start, stop, restart, one hub per data directory, the admin port."""

import json
import os
import socket

import pytest
from confluent_kafka import Producer

from support import kafka
from support.hub import ANY_PORTS, sluice
from support.kafka import Reader
from support.mqtt import MqttClient, RawPeer, connect_packet, connected_raw
from support.waiting import eventually


def test_listeners_are_on_loopback_with_the_ports_really_bound(hub):
    assert set(hub.listeners) == {"mqtt", "ws", "kafka", "admin"}
    for name in hub.listeners:
        host, port = hub.address(name)
        assert host == "127.0.0.1"
        socket.create_connection((host, port), timeout=5).close()


def test_a_listener_can_be_off(new_hub):
    hub = new_hub({"kafka.port": "off"})
    assert set(hub.listeners) == {"mqtt", "ws", "admin"}


def test_a_port_in_use_ends_the_start_and_is_named(hub, tmp_path):
    taken = hub.address("mqtt")[1]
    told = sluice(
        "server", "--data", tmp_path, "--set", f"mqtt.port={taken}", "--set=kafka.port=0", "--set=admin.port=0", expect=1
    ).stderr
    assert f"127.0.0.1:{taken}" in told
    assert not (tmp_path / "listeners.json").exists()


def test_a_data_directory_has_one_hub(hub):
    sets = [f"--set={key}={value}" for key, value in ANY_PORTS.items()]
    told = sluice("server", "--data", hub.data, *sets, expect=1).stderr
    assert str(hub.process.pid) in told
    assert hub.get("/healthz")[0] == 200


def test_the_admin_port_tells_health_and_metrics(hub, name):
    assert hub.get("/healthz")[0] == 200
    assert hub.get("/readyz")[0] == 200
    assert hub.get("/no/such/page")[0] == 404
    before = hub.metric("sluice_messages_received_total", protocol="mqtt", qos="1")
    with MqttClient(hub) as device:
        device.publish(f"{name}/a", "x")
    assert hub.metric("sluice_messages_received_total", protocol="mqtt", qos="1") == before + 1


def test_metrics_are_prometheus_text(hub):
    families = set()
    for line in hub.get("/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split()
            assert family not in families, "a family stands in one place"
            families.add(family)
            assert kind in ("counter", "gauge", "histogram")
        elif not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])
    assert {"sluice_connections", "sluice_messages_dropped_total", "sluice_log_fsync_seconds"} <= families


@pytest.mark.parametrize("shards", [(1, 1), (1, 2), (2, 1)], ids=lambda s: f"{s[0]}-then-{s[1]}")
@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_data_outlive_the_process(new_hub, name, shards, ending):
    hub = new_hub({"server.shards": shards[0]})
    kafka.create_topic(hub, name, partitions=3, sluice__wildcard="true")
    with MqttClient(hub) as device:
        for i in range(100):
            device.send(f"plain/{i}", str(i), qos=1)
            device.send(f"{name}/{i}", str(i), qos=1)
        device.publish("plain/end", "end")
    ended = getattr(hub, ending)()
    assert ending == "kill" or ended == 0

    hub.settings["server.shards"] = shards[1]
    hub.start()
    plain = kafka.read(hub, "mqtt", 101)
    assert [(r.offset, r.key) for r in plain] == [(i, f"plain/{i}".encode()) for i in range(100)] + [(100, b"plain/end")]
    assert {r.key for r in kafka.read(hub, name, 100)} == {str(i).encode() for i in range(100)}
    with MqttClient(hub) as client:
        client.subscribe("#", 1)
        client.publish(f"{name}/after", "after")
        assert client.receive_pairs(1) == [(f"{name}/after", b"after")], "the stream is still a wildcard one"


def test_an_idempotent_producer_goes_on_after_a_restart(new_hub, name):
    hub = new_hub()
    producer = Producer({"bootstrap.servers": hub.kafka, "enable.idempotence": True, "reconnect.backoff.max.ms": 100})
    for i in range(10):
        producer.produce(name, str(i))
    assert producer.flush(30) == 0
    hub.stop()
    hub.start()
    for i in range(10, 20):
        producer.produce(name, str(i))
    assert producer.flush(30) == 0
    assert [r.value.decode() for r in kafka.read(hub, name, 20)] == [str(i) for i in range(20)]


def test_a_stop_tells_clients_and_leaves_nothing_running(new_hub):
    hub = new_hub()
    with MqttClient(hub) as client, connected_raw(hub) as old:
        assert hub.stop() == 0
        assert client.disconnect_reason() == 0x8B, "server shutting down"
        assert old.read_to_close() == b""


def test_the_log_is_json_when_it_is_no_terminal(hub):
    lines = [json.loads(line) for line in hub.log().splitlines()]
    assert lines
    for line in lines:
        assert {"ts", "level", "component", "msg"} <= set(line)


def test_old_segments_go_and_readers_learn_where_the_stream_starts(new_hub, name):
    hub = new_hub({"log.segment_size": "1MiB", "log.retention_interval": "100ms"})
    kafka.create_topic(hub, name, retention__bytes="2000000")
    kafka.produce(hub, name, [("k", os.urandom(10_000)) for _ in range(1000)])
    # One more segment of 1 MiB would pass the limit; one less, and the reader below would race with retention.
    eventually(
        lambda: (1000 - kafka.offsets(hub, name)[0]) * 10_000 < 3_000_000, "retention has removed what is too much"
    )
    start, end = kafka.offsets(hub, name)
    assert start > 0 and end == 1000
    with Reader(hub, name) as reader:
        assert reader.next().offset == start


@pytest.mark.parametrize(
    ("listener", "first", "told"),
    [
        ("mqtt", b"\x16\x03\x01\0\x05\x01\0\0\x01\0", "TLS came to a listener of plain MQTT"),
        ("mqtt", b"GET / HTTP/1.1\r\n\r\n", "HTTP came to a listener of MQTT"),
        ("kafka", b"\x16\x03\x01\0\x05\x01\0\0\x01\0", "TLS came to a listener of Kafka"),
        ("kafka", connect_packet(), "MQTT came to a listener of Kafka"),
    ],
)
def test_who_comes_to_the_wrong_port_is_named_in_the_log(new_hub, listener, first, told):
    hub = new_hub()
    with RawPeer(hub.address(listener)) as peer:
        peer.send(first)
        peer.read_to_close()
    eventually(lambda: told in hub.log(), f"{told!r} in the log")
