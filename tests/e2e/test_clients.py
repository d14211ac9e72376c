"""Connected clients as administrators see and end them: /api/v1/clients, and `sluice client`."""

import json

import pytest

from support.admin import call, path_of
from support.hub import sluice
from support.mqtt import V5, V311, MqttClient, connected_raw, publish_packet, subscribe_packet
from support.waiting import eventually

BY_ADMINISTRATOR = 0x98


def client_command(hub, *words, **options):
    return sluice("client", *words, "--data", hub.data, **options)


def test_a_client_is_shown_with_all_that_is_known(hub, name):
    client_id = f"{name}/ä b"
    will = {"topic": f"{name}/gone", "payload": "x", "qos": 1}
    with MqttClient(hub, V5, client_id=client_id, keepalive=77, will=will) as client:
        client.subscribe(f"{name}/+", 1, noLocal=True)
        client.subscribe_with_id(f"{name}/x", 9)
        client.publish(f"{name}/y", "message")
        status, shown, _ = call(hub, path_of("clients", client_id))
        assert call(hub, "/api/v1/clients")[1]["connections"] >= 1
    assert status == 200
    assert shown["client_id"] == client_id and shown["version"] == "5" and shown["keep_alive_s"] == 77
    assert shown["transport"] == "tcp" and shown["peer"].startswith("127.0.0.1:")
    assert shown["listener"] == hub.listeners["mqtt"]
    assert shown["will"] == {"topic": f"{name}/gone", "qos": 1, "retain": False, "delay_s": 0}
    assert shown["published"] == 1 and shown["subscription_count"] == 2 and not shown["lagging"]
    filters = {one["filter"]: one for one in shown["subscriptions"]}
    assert filters[f"{name}/+"]["no_local"] and filters[f"{name}/+"]["qos"] == 1
    assert filters[f"{name}/x"]["subscription_id"] == 9


@pytest.mark.parametrize("version", [V311, V5])
def test_a_kicked_client_is_told_and_its_will_published(hub, name, version):
    client_id = f"{name}-dev"
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/gone")
        client = MqttClient(hub, version, client_id=client_id, will={"topic": f"{name}/gone", "payload": "dev", "qos": 1})
        status, body, _ = call(hub, path_of("clients", client_id), "DELETE")
        assert (status, body) == (204, None)
        reason = client.disconnect_reason()
        assert version == V311 or reason == BY_ADMINISTRATOR
        assert watcher.receive().payload == b"dev"
        client.close()
    assert call(hub, path_of("clients", client_id), "DELETE")[0] == 404
    assert call(hub, path_of("clients", client_id))[1] == {"error": f"no client '{client_id}' is connected"}


def test_what_clients_are_called_cannot_reach_the_terminal(hub, name):
    client_id = f"{name}\x1b[2J\x9b31m‮"
    with MqttClient(hub, client_id=client_id) as client:
        client.subscribe(f"{name}/\x07bell")
        texts = [
            client_command(hub, "list", "--filter", name).stdout,
            client_command(hub, "show", client_id).stdout,
            client_command(hub, "list", "--filter", name, "-o", "json").stdout,
            client_command(hub, "kick", client_id).stdout,
        ]
    for output in texts:
        assert not any(ord(c) in range(0x20) and c != "\n" or ord(c) in range(0x7F, 0xA0) for c in output), output
    assert f"{name}\\x1b[2J\\u009b31m\\u202e" in texts[0]
    assert json.loads(texts[2])["client_id"] == client_id


def test_a_client_that_does_not_read_is_seen_to_lag(new_hub):
    """Small receive buffers at the client, and more than they and the hub's output for it hold."""
    hub = new_hub()
    with connected_raw(hub, client_id="slow") as slow, connected_raw(hub, client_id="fast") as fast:
        slow.send(subscribe_packet("t"))
        slow.read(5)

        def lags():
            fast.send(publish_packet("t", b"x" * 100_000) * 5)
            return call(hub, path_of("clients", "slow"))[1]["lagging"]

        eventually(lags, "the client to lag")
        shown = eventually(lambda: (c := call(hub, path_of("clients", "slow"))[1])["behind"] and c, "its place in the log")
        assert shown["bytes_waiting"] > 0
        assert shown["behind"][0]["records"] > 0 and shown["behind"][0]["stream"] == "mqtt"
        assert "lagging" in client_command(hub, "list").stdout
        assert "records of the log" in client_command(hub, "show", "slow").stdout
