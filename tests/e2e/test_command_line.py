"""The commands for people and scripts: they speak the public protocols to a running hub."""

import json
import tomllib

from support import kafka
from support.hub import BINARY, running, sluice
from support.mqtt import MqttClient


def json_lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def on(hub):
    return ["--data", hub.data, "-o", "json"]


def test_a_stream_is_created_shown_listed_and_deleted(hub, name):
    sluice("stream", "create", name, "--partitions", 3, "--set", "retention.bytes=1000000", *on(hub))
    kafka.produce(hub, name, [("k", "v")] * 5)

    (shown,) = json_lines(sluice("stream", "show", name, *on(hub)))
    assert shown["name"] == name
    assert [p["partition"] for p in shown["partitions"]] == [0, 1, 2]
    assert sorted(p["end"] for p in shown["partitions"]) == [0, 0, 5]
    assert shown["settings"]["sluice.wildcard"] == "true"
    assert shown["settings"]["retention.bytes"] == "1000000"

    assert {"name": name, "partitions": 3} in json_lines(sluice("stream", "list", *on(hub)))
    sluice("stream", "delete", name, *on(hub))
    assert name not in [row["name"] for row in json_lines(sluice("stream", "list", *on(hub)))]


def test_streams_made_by_hand_take_part_in_wildcards(hub, name):
    sluice("stream", "create", name, *on(hub))
    with MqttClient(hub) as client:
        # Not "#": the hub is shared, and others may have left retained messages.
        client.subscribe(f"+/{name}/temp", 1)
        client.publish(f"{name}/{name}/temp", "21.5")
        assert client.receive_pairs(1) == [(f"{name}/{name}/temp", b"21.5")]
    assert kafka.read(hub, name, 1)[0].key == f"{name}/temp".encode()


def test_what_cannot_be_done_is_said_with_an_exit_status(hub, name):
    sluice("stream", "create", name, *on(hub))
    assert name in sluice("stream", "create", name, *on(hub), expect=1).stderr
    assert f"{name}-x" in sluice("stream", "delete", f"{name}-x", *on(hub), expect=1).stderr
    assert f"{name}-x" in sluice("tail", f"{name}-x", *on(hub), expect=1).stderr
    assert "did you mean 'sluice stream create'" in sluice("stream", "crate", name, expect=2).stderr


def test_without_a_hub_a_command_says_where_it_looked(tmp_path):
    told = sluice("stream", "list", "--kafka", "127.0.0.1:1", expect=1).stderr
    assert "127.0.0.1:1" in told and "sluice server" in told


def test_pub_and_tail_show_the_same_message(hub, name):
    sluice("pub", f"{name}/dev1/temp", "-m", "21.5", "--property", "unit=C", *on(hub))
    (record,) = json_lines(sluice("tail", "mqtt", "-n", 1, *on(hub)))
    assert record["stream"] == "mqtt"
    assert (record["key"], record["payload"]) == (f"{name}/dev1/temp", "21.5")
    assert {"name": "unit", "value": "C"} in record["headers"]


def test_each_line_of_the_input_is_a_message(hub, name):
    kafka.create_topic(hub, name)
    sluice("pub", f"{name}/a", *on(hub), input="one\ntwo\nthree\n")
    records = json_lines(sluice("tail", name, "--from", "earliest", *on(hub)))
    assert [(r["offset"], r["payload"]) for r in records] == [(0, "one"), (1, "two"), (2, "three")]
    assert [r["payload"] for r in json_lines(sluice("tail", name, "--from", 1, "-n", 1, *on(hub)))] == ["two"]


def test_sub_prints_what_comes(hub, name):
    command = [BINARY, "sub", f"{name}/#", "-n", "2", *map(str, on(hub))]
    with running(command) as subscriber:
        assert "subscribed" in subscriber.stderr.readline()
        kafka.produce(hub, "mqtt", [(f"{name}/a", "text"), (f"{name}/b", b"\xff\x00")])
        out, _ = subscriber.communicate(timeout=30)
    first, second = map(json.loads, out.splitlines())
    assert (first["topic"], first["payload"]) == (f"{name}/a", "text")
    assert (second["topic"], second["payload_base64"]) == (f"{name}/b", "/wA=")


def test_tail_follows(hub, name):
    kafka.produce(hub, name, [("k", "old")])
    command = [BINARY, "tail", name, "-f", "--from", "earliest", "-n", "2", *map(str, on(hub))]
    with running(command) as follower:
        assert json.loads(follower.stdout.readline())["payload"] == "old"
        kafka.produce(hub, name, [("k", "new")])
        assert json.loads(follower.stdout.readline())["payload"] == "new"
        assert follower.wait(30) == 0


# --- configuration


def write_config(folder, text):
    path = folder / "sluice.toml"
    path.write_text(text)
    return path


def test_a_good_configuration_passes_the_check(tmp_path):
    path = write_config(tmp_path, '[mqtt]\nport = 0\n[log]\ndurability = "os"\n')
    sluice("config", "check", "--config", path)


def test_a_mistyped_key_is_refused_with_the_nearest_one(tmp_path):
    path = write_config(tmp_path, '[log]\ndurabilty = "os"\n')
    told = sluice("config", "check", "--config", path, expect=1).stderr
    assert "log.durabilty" in told and "log.durability" in told
    told = sluice("server", "--data", tmp_path / "data", "--set", "mqtt.prot=0", expect=2).stderr
    assert "mqtt.prot" in told and "mqtt.port" in told


def test_a_bad_value_is_refused_with_the_key(tmp_path):
    for key, value in [("mqtt.port", "70000"), ("log.durability", "maybe"), ("server.shards", "-1")]:
        told = sluice("server", "--data", tmp_path / "data", "--set", f"{key}={value}", expect=2).stderr
        assert key in told and value in told


def test_dump_shows_file_environment_and_command_line_in_that_order(tmp_path):
    path = write_config(tmp_path, '[kafka]\nport = 1\n[mqtt]\nport = 1\n[admin]\nport = 1\n')
    environment = {"SLUICE_MQTT__PORT": "2", "SLUICE_ADMIN__PORT": "2"}
    dumped = sluice("config", "dump", "--config", path, "--set", "admin.port=3", env=environment).stdout
    values = tomllib.loads(dumped)
    assert [values[face]["port"] for face in ("kafka", "mqtt", "admin")] == [1, 2, 3]
    again = sluice("config", "dump", "--config", write_config(tmp_path, dumped)).stdout
    assert tomllib.loads(again) == values, "a dump is a configuration"


def test_explain_tells_default_and_meaning():
    told = sluice("config", "explain", "log.durability").stdout
    assert "disk" in told and "os" in told
    assert "log.durability" in sluice("config", "explain", "log.durabilty", expect=None).stderr
