"""Stored sessions as administrators see and delete them: /api/v1/sessions, and `sluice session`."""

import pytest

from support import kafka
from support.admin import call, path_of
from support.hub import sluice
from support.mqtt import V5, V311, MqttClient, is_present, session_client
from support.streams import delete_stream, new_stream
from support.waiting import eventually

BY_ADMINISTRATOR = 0x98
versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])


def session_command(hub, *words, **options):
    return sluice("session", *words, "--data", hub.data, **options)


def away(hub, client_id, *filters, **options):
    """A session whose client has gone."""
    with session_client(hub, client_id, **options) as client:
        for topic_filter in filters:
            client.subscribe(topic_filter, 1)
    eventually(lambda: shown(hub, client_id).get("connected") is False, f"{client_id} to be away")


def shown(hub, client_id):
    return call(hub, path_of("sessions", client_id))[1]


def positions(hub, client_id):
    return {(one["stream"], one["partition"]): one for one in shown(hub, client_id)["positions"]}


def records_behind(hub, client_id, stream):
    return sum(one["records"] for one in shown(hub, client_id)["positions"] if one["stream"] == stream)


def publish(hub, topic, count):
    with MqttClient(hub) as publisher:
        for number in range(count):
            publisher.publish(topic, str(number))


def test_a_list_says_who_is_there_and_when_the_others_expire(hub, name):
    away(hub, f"{name}-a", expiry_s=60)
    will = {"topic": f"{name}/gone", "payload": "x", "qos": 1}
    with session_client(hub, f"{name}-b", will=will), MqttClient(hub, client_id=f"{name}-clean"):
        sessions = call(hub, f"/api/v1/sessions?filter={name}")[1]["sessions"]
        table = session_command(hub, "list", "--filter", name).stdout.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [[f"{name}-a", "away"], [f"{name}-b", "connected"]]
    text = session_command(hub, "show", f"{name}-a").stdout
    assert "away since" in text and "lost to retention" not in text
    assert [session["client_id"] for session in sessions] == [f"{name}-a", f"{name}-b"]
    gone, there = sessions
    assert (gone["connected"], gone["crashed"], gone["has_will"], gone["expiry_s"]) == (False, False, False, 60)
    assert gone["away_since"] < gone["expires"]
    assert (there["connected"], there["has_will"]) == (True, True)
    assert "away_since" not in there and "expires" not in there


@pytest.mark.both_backends
def test_a_session_is_shown_with_its_filters_and_how_far_it_is_behind(hub, name):
    new_stream(hub, name, 2)
    with session_client(hub, name) as client:
        client.subscribe(f"{name}/#", 1, noLocal=True)
        client.subscribe_with_id("some/+", 9, 2)
    eventually(lambda: shown(hub, name).get("connected") is False, "the client to be away")
    assert set(positions(hub, name)) == {("mqtt", 0), (name, 0), (name, 1)}
    assert records_behind(hub, name, name) == 0
    publish(hub, f"{name}/x", 20)

    session = shown(hub, name)
    filters = {one["filter"]: one for one in session["subscriptions"]}
    assert filters[f"{name}/#"]["no_local"] and filters[f"{name}/#"]["qos"] == 1
    assert filters["some/+"]["subscription_id"] == 9 and filters["some/+"]["qos"] == 2
    assert records_behind(hub, name, name) == 20
    assert all(one["lost_to_retention"] == 0 for one in session["positions"])

    with session_client(hub, name) as client:
        assert [client.receive().payload for _ in range(20)][-1] == b"19"
    eventually(lambda: records_behind(hub, name, name) == 0, "what it has got to be saved")


def test_the_place_of_a_replay_is_shown_beside_that_of_other_filters(hub, name):
    new_stream(hub, name)
    replay = f"$stream/{name}"
    publish(hub, f"{name}/x", 5)
    with session_client(hub, name) as client:
        client.subscribe(f"{name}/#", 1)
        client.subscribe(replay, 1)
        assert [client.receive().payload for _ in range(5)][-1] == b"4"
    eventually(lambda: shown(hub, name).get("connected") is False, "the client to be away")
    publish(hub, f"{name}/x", 3)
    places = [one for one in shown(hub, name)["positions"] if one["stream"] == name]
    assert [(one.get("replay"), one["next"], one["records"]) for one in places] == [(None, 5, 3), (replay, 5, 3)]
    lines = session_command(hub, "show", name).stdout.splitlines()
    assert [line.split() for line in lines if line.endswith(replay)] == [[name, "0", "5", "8", "3", "0", replay]]


def test_what_was_not_acknowledged_is_in_flight(hub, name):
    with session_client(hub, name, manual_ack=True) as client:
        client.subscribe(f"{name}/#", 1)
        publish(hub, f"{name}/a", 3)
        for _ in range(3):
            client.receive()
        client.vanish()
    eventually(lambda: shown(hub, name).get("in_flight_to") == 3, "three messages in flight")


def test_a_session_that_was_cut_off_by_a_kill_is_told_apart(new_hub):
    hub = new_hub()
    client = session_client(hub, "dev")
    hub.kill()
    client.close()
    hub.start()
    eventually(lambda: shown(hub, "dev")["connected"] is False, "the first pass through the sessions")
    assert shown(hub, "dev")["crashed"]
    assert "killed or crashed" in session_command(hub, "show", "dev").stdout


def test_a_stream_that_is_gone_is_not_shown_and_one_that_came_later_is(hub, name):
    new_stream(hub, f"{name}-gone")
    away(hub, name, f"{name}-gone/#", f"{name}-new/#")
    assert (f"{name}-gone", 0) in positions(hub, name)
    delete_stream(hub, f"{name}-gone")
    new_stream(hub, f"{name}-new")
    publish(hub, f"{name}-new/a", 2)
    after = positions(hub, name)
    assert (f"{name}-gone", 0) not in after
    assert (after[f"{name}-new", 0]["next"], after[f"{name}-new", 0]["records"]) == (0, 2)


@versions
def test_a_deleted_session_is_gone_and_its_client_begins_anew(hub, name, version):
    away(hub, name, f"{name}/#", version=version)
    publish(hub, f"{name}/a", 1)
    assert call(hub, path_of("sessions", name), "DELETE")[:2] == (204, None)
    assert call(hub, path_of("sessions", name))[:2] == (404, {"error": f"no session of client '{name}' is stored"})
    assert call(hub, path_of("sessions", name), "DELETE")[0] == 404
    with session_client(hub, name, version) as client:
        assert not is_present(client)


@versions
def test_a_connected_client_is_told_and_comes_back_to_a_new_session(hub, name, version):
    will = {"topic": f"{name}/gone", "payload": "dev", "qos": 1}
    with MqttClient(hub) as watcher:
        watcher.subscribe(f"{name}/gone")
        client = session_client(hub, name, version, will=will)
        client.subscribe(f"{name}/#", 1)
        assert call(hub, path_of("sessions", name), "DELETE")[0] == 204
        reason = client.disconnect_reason()
        assert version == V311 or reason == BY_ADMINISTRATOR
        assert watcher.receive().payload == b"dev"
        client.close()
    with session_client(hub, name, version) as client:
        assert not is_present(client)


def test_a_client_whose_session_is_not_stored_stays_connected(hub, name):
    with MqttClient(hub, client_id=name) as client:
        assert call(hub, path_of("sessions", name), "DELETE")[0] == 404
        assert client.publish(f"{name}/a", "still here") in (0, 16)


def test_what_retention_took_is_shown_as_lost(hub, name):
    new_stream(hub, name)
    away(hub, name, f"{name}/#")
    publish(hub, f"{name}/a", 10)
    kafka.delete_records(hub, name, 0, 4)
    assert positions(hub, name)[name, 0]["lost_to_retention"] == 4
    assert "lost to retention: 4" in session_command(hub, "show", name).stdout
    with session_client(hub, name) as client:
        assert client.receive().payload == b"4"
    eventually(lambda: shown(hub, name)["lost"] == {"retention": 4, "lag_limit": 0}, "the loss to be counted")
    assert positions(hub, name)[name, 0]["lost_to_retention"] == 0
    assert "4 records of the log to retention" in session_command(hub, "show", name).stdout
