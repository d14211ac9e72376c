"""Connected clients as administrators see and end them: /api/v1/clients, and `sluice client`."""

import json
import urllib.parse

import pytest

from support.admin import call, ids_page_by_page
from support.hub import Hub, sluice
from support.mqtt import V5, V311, MqttClient, connected_raw, publish_packet, subscribe_packet
from support.waiting import eventually

BY_ADMINISTRATOR = 0x98
ANN = ("ann", "secret of ann")
BOB = ("bob", "secret of bob")


def path_of(client_id):
    return "/api/v1/clients/" + urllib.parse.quote(client_id, safe="")


def client_command(hub, *words, **options):
    return sluice("client", *words, "--data", hub.data, **options)


def connect_all(hub, ids):
    return [MqttClient(hub, client_id=client_id) for client_id in ids]


def test_clients_of_all_shards_are_listed_in_order_page_by_page(hub, name):
    ids = [f"{name}/{number}" for number in range(7)]
    clients = connect_all(hub, reversed(ids))
    assert ids_page_by_page(hub, "/api/v1/clients", "clients", 3, name) == (ids, 3)
    assert call(hub, "/api/v1/clients")[1]["connections"] >= 7
    for client in clients:
        client.close()


def test_a_client_is_shown_with_all_that_is_known(hub, name):
    client_id = f"{name}/ä b"
    will = {"topic": f"{name}/gone", "payload": "x", "qos": 1}
    with MqttClient(hub, V5, client_id=client_id, keepalive=77, will=will) as client:
        client.subscribe(f"{name}/+", 1, noLocal=True)
        client.subscribe_with_id(f"{name}/x", 9)
        client.publish(f"{name}/y", "message")
        status, shown, _ = call(hub, path_of(client_id))
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
        status, body, _ = call(hub, path_of(client_id), "DELETE")
        assert (status, body) == (204, None)
        reason = client.disconnect_reason()
        assert version == V311 or reason == BY_ADMINISTRATOR
        assert watcher.receive().payload == b"dev"
        client.close()
    assert call(hub, path_of(client_id), "DELETE")[0] == 404
    assert call(hub, path_of(client_id))[1] == {"error": f"no client '{client_id}' is connected"}


@pytest.mark.parametrize(
    "path, method, status, told",
    [
        ("/api/v1/nothing", "GET", 404, "there is no"),
        ("/api/v1/clients", "POST", 405, "GET"),
        ("/api/v1/clients/x", "PUT", 405, "GET, DELETE"),
        ("/api/v1/clients/%zz", "GET", 400, "hexadecimal"),
        ("/api/v1/clients?limit=0", "GET", 400, "limit: '0' is not a whole number from 1 to 1000"),
        ("/api/v1/clients?limt=5", "GET", 400, "'limt'"),
        ("/api/v1/trace", "GET", 400, "client, topic or ip"),
        ("/api/v1/trace?client=a&topic=b", "GET", 400, "not two"),
        ("/api/v1/trace?topic=a/%23/b", "GET", 400, "'#'"),
        ("/api/v1/trace?client=a&seconds=0", "GET", 400, "seconds"),
    ],
)
def test_wrong_requests_are_answered_with_what_is_wrong(hub, path, method, status, told):
    answered, body, headers = call(hub, path, method)
    assert answered == status
    assert told in body["error"]
    assert (headers["Allow"] is not None) == (status == 405)


def test_only_who_may_administer_is_answered(tmp_path):
    hub = Hub(tmp_path)
    sluice("user", "add", ANN[0], "--data", hub.data, input=ANN[1])
    sluice("user", "add", BOB[0], "--data", hub.data, "--allow", "publish #", input=BOB[1])
    hub.start()
    for path, method in [
        ("/api/v1/clients", "GET"),
        ("/api/v1/clients/x", "DELETE"),
        ("/api/v1/sessions", "GET"),
        ("/api/v1/sessions/x", "DELETE"),
        ("/api/v1/trace?client=x", "GET"),
    ]:
        status, body, headers = call(hub, path, method)
        assert status == 401 and "Basic" in headers["WWW-Authenticate"] and body["error"]
        assert call(hub, path, method, (ANN[0], "wrong"))[0] == 401
        assert call(hub, path, method, BOB)[0] == 403
    assert call(hub, "/api/v1/clients", login=ANN)[0] == 200

    refused = client_command(hub, "list", expect=1).stderr
    assert "a user and a password are needed" in refused and "--user NAME" in refused
    password = tmp_path / "pw"
    password.write_text(ANN[1])
    client_command(hub, "list", "--user", "ann", "--password-file", password)
    assert hub.stop() == 0


def test_a_web_page_that_names_this_machine_otherwise_learns_nothing(hub):
    status, body, _ = call(hub, "/api/v1/clients", headers={"Host": "rebound.example:8090"})
    assert status == 403 and "localhost" in body["error"]
    for host in ("localhost:8090", "127.0.0.1", "[::1]:8090"):
        assert call(hub, "/api/v1/clients", headers={"Host": host})[0] == 200


# --- sluice client


def test_the_commands_list_show_and_kick(hub, name):
    ids = [f"{name}-{letter}" for letter in "abc"]
    clients = connect_all(hub, ids)
    clients[0].subscribe(f"{name}/#", 1)
    table = client_command(hub, "list", "--filter", name).stdout.splitlines()
    assert table[0].split()[:2] == ["CLIENT", "USER"]
    assert [line.split()[0] for line in table[1:]] == ids
    rows = [json.loads(line) for line in client_command(hub, "list", "--filter", name, "-o", "json").stdout.splitlines()]
    assert [row["client_id"] for row in rows] == ids

    some = client_command(hub, "list", "--filter", name, "--limit", 2)
    assert len(some.stdout.splitlines()) == 3 and "more than 2" in some.stderr

    shown = client_command(hub, "show", ids[0]).stdout
    assert f"{name}/#" in shown and "MQTT 5" in shown
    assert json.loads(client_command(hub, "show", ids[0], "-o", "json").stdout)["client_id"] == ids[0]

    assert client_command(hub, "kick", ids[0], ids[1]).stdout == f"kicked {ids[0]}\nkicked {ids[1]}\n"
    assert clients[0].disconnect_reason() == clients[1].disconnect_reason() == BY_ADMINISTRATOR
    rest = client_command(hub, "list", "--filter", name, "-o", "json").stdout.splitlines()
    assert [json.loads(row)["client_id"] for row in rest] == ids[2:]
    for client in clients:
        client.close()


def test_a_client_that_is_not_there_fails_and_a_missing_name_is_wrong_usage(hub, name):
    for verb in ("show", "kick"):
        assert f"no client '{name}' is connected" in client_command(hub, verb, name, expect=1).stderr
        client_command(hub, verb, expect=2)
    client_command(hub, "list", "--limit", "0", expect=2)
    client_command(hub, "list", "-o", "xml", expect=2)


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
            return call(hub, path_of("slow"))[1]["lagging"]

        eventually(lags, "the client to lag")
        shown = eventually(lambda: (c := call(hub, path_of("slow"))[1])["behind"] and c, "its place in the log")
        assert shown["bytes_waiting"] > 0
        assert shown["behind"][0]["records"] > 0 and shown["behind"][0]["stream"] == "mqtt"
        assert "lagging" in client_command(hub, "list").stdout
        assert "records of the log" in client_command(hub, "show", "slow").stdout
