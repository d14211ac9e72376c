"""What holds alike of the clients, sessions and queues that administrators see and end: /api/v1, and its commands."""

import json

import pytest

from support.admin import call, ids_page_by_page
from support.hub import Hub, sluice
from support.mqtt import crowd, session_client

BY_ADMINISTRATOR = 0x98
COLLECTIONS = ["clients", "sessions", "queues"]
ANN = ("ann", "secret of ann")
BOB = ("bob", "secret of bob")


def command(hub, *words, **options):
    return sluice(*words, "--data", hub.data, **options)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_those_of_all_shards_are_listed_in_order_page_by_page(hub, name, collection):
    ids = [f"{name}/{name}/{number}" for number in range(7)]

    def member(number):
        client = session_client(hub, ids[-1 - number])
        client.subscribe(f"$queue/{ids[-1 - number]}", 1)
        return client

    with crowd(len(ids), member):
        if collection == "queues":
            assert ids_page_by_page(hub, collection, 3, name, key="id") == ([f"$queue/{one}" for one in ids], 3)
        else:
            assert ids_page_by_page(hub, collection, 3, name) == (ids, 3)


@pytest.mark.parametrize(
    "path, method, status, told",
    [
        ("/api/v1/nothing", "GET", 404, "there is no"),
        ("/api/v1/trace", "GET", 400, "client, topic or ip"),
        ("/api/v1/trace?client=a&topic=b", "GET", 400, "not two"),
        ("/api/v1/trace?topic=a/%23/b", "GET", 400, "'#'"),
        ("/api/v1/trace?client=a&seconds=0", "GET", 400, "seconds"),
        *[
            (f"/api/v1/{collection}{rest}", method, status, told)
            for collection in COLLECTIONS
            for rest, method, status, told in [
                ("", "POST", 405, "GET"),
                ("/x", "PUT", 405, "GET, DELETE"),
                ("/%zz", "GET", 400, "hexadecimal"),
                ("?limit=0", "GET", 400, "limit: '0' is not a whole number from 1 to 1000"),
                ("?limt=5", "GET", 400, "'limt'"),
            ]
        ],
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
    requests = [("/api/v1/trace?client=x", "GET")]
    for collection in COLLECTIONS:
        requests += [(f"/api/v1/{collection}", "GET"), (f"/api/v1/{collection}/x", "DELETE")]
    for path, method in requests:
        status, body, headers = call(hub, path, method)
        assert status == 401 and "Basic" in headers["WWW-Authenticate"] and body["error"]
        assert call(hub, path, method, (ANN[0], "wrong"))[0] == 401
        assert call(hub, path, method, BOB)[0] == 403
    assert call(hub, "/api/v1/clients", login=ANN)[0] == 200

    refused = command(hub, "client", "list", expect=1).stderr
    assert "a user and a password are needed" in refused and "--user NAME" in refused
    password = tmp_path / "pw"
    password.write_text(ANN[1])
    command(hub, "client", "list", "--user", "ann", "--password-file", password)
    assert hub.stop() == 0


def test_a_web_page_that_names_this_machine_otherwise_learns_nothing(hub):
    status, body, _ = call(hub, "/api/v1/clients", headers={"Host": "rebound.example:8090"})
    assert status == 403 and "localhost" in body["error"]
    for host in ("localhost:8090", "127.0.0.1", "[::1]:8090"):
        assert call(hub, "/api/v1/clients", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "noun, heading, fact, verb, done",
    [
        ("client", ["CLIENT", "USER"], "MQTT 5", "kick", "kicked"),
        ("session", ["CLIENT", "STATE"], "records of the log", "delete", "deleted"),
    ],
)
def test_the_commands_list_show_and_end(hub, name, noun, heading, fact, verb, done):
    ids = [f"{name}-{letter}" for letter in "abc"]

    def listed(*words):
        return command(hub, noun, "list", "--filter", name, *words)

    def ids_listed():
        return [json.loads(row)["client_id"] for row in listed("-o", "json").stdout.splitlines()]

    with crowd(len(ids), lambda number: session_client(hub, ids[number])) as clients:
        clients[0].subscribe(f"{name}/#", 1)
        table = [line.split() for line in listed().stdout.splitlines()]
        assert table[0][:2] == heading
        assert [row[0] for row in table[1:]] == ids
        assert ids_listed() == ids
        some = listed("--limit", 2)
        assert len(some.stdout.splitlines()) == 3 and "more than 2" in some.stderr

        shown = command(hub, noun, "show", ids[0]).stdout
        assert f"{name}/#" in shown and fact in shown
        assert json.loads(command(hub, noun, "show", ids[0], "-o", "json").stdout)["client_id"] == ids[0]

        assert command(hub, noun, verb, ids[0], ids[1]).stdout == f"{done} {ids[0]}\n{done} {ids[1]}\n"
        assert clients[0].disconnect_reason() == clients[1].disconnect_reason() == BY_ADMINISTRATOR
        assert ids_listed() == ids[2:]


@pytest.mark.parametrize(
    "noun, verb, told",
    [
        ("client", "kick", "no client '{}' is connected"),
        ("session", "delete", "no session of client '{}' is stored"),
        ("queue", "delete", "there is no queue or shared subscription '{}'"),
    ],
)
def test_what_is_not_there_fails_and_a_missing_name_is_wrong_usage(hub, name, noun, verb, told):
    for action in ("show", verb):
        assert told.format(name) in command(hub, noun, action, name, expect=1).stderr
        command(hub, noun, action, expect=2)
    command(hub, noun, "list", "--limit", "0", expect=2)
    command(hub, noun, "list", "-o", "xml", expect=2)
