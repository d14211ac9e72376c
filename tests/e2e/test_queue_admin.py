"""Queues and shared subscriptions as administrators see and delete them: /api/v1/queues, and `sluice queue`."""

import json

import pytest

from support import kafka
from support.admin import call, path_of
from support.hub import sluice
from support.mqtt import MqttClient, session_client
from support.streams import new_stream
from support.waiting import eventually


def queue_command(hub, *words, **options):
    return sluice("queue", *words, "--data", hub.data, **options)


def shown(hub, queue):
    return call(hub, path_of("queues", queue))[1]


def publish(hub, topic, numbers):
    with MqttClient(hub) as publisher:
        for number in numbers:
            publisher.publish(topic, str(number))


def leave_queue(hub, queue):
    """A queue whose only consumer has gone."""
    with MqttClient(hub) as consumer:
        assert consumer.subscribe(queue, 1) == 1
    eventually(lambda: shown(hub, queue).get("member_count") == 0, f"{queue} to be without consumers")


def status_after_start(hub, queue):
    """The API listens a moment before it serves."""

    def status():
        answer = call(hub, path_of("queues", queue))[0]
        return answer if answer != 503 else None

    return eventually(status, "the API to serve")


def take_numbers(client, count):
    return [int(client.receive().payload) for _ in range(count)]


@pytest.mark.both_backends
def test_a_queue_is_shown_with_its_consumers_and_what_they_have(hub, name):
    queue = f"$queue/{name}/{name}/#"
    new_stream(hub, name)
    with MqttClient(hub, client_id=f"{name}-a", manual_ack=True) as consumer:
        consumer.subscribe(queue, 1)
        publish(hub, f"{name}/x", range(3))
        assert take_numbers(consumer, 3) == [0, 1, 2]
        one = shown(hub, queue)
        assert (one["kind"], one["name"], one["filter"]) == ("queue", name, f"{name}/#")
        assert (one["member_count"], one["session_count"], one["unacknowledged"]) == (1, 0, 3)
        assert one["members"] == [{"client_id": f"{name}-a", "qos": 1, "in_flight": 3, "state": "ready"}]
        assert one["oldest"] == {"stream": name, "partition": 0, "offset": one["oldest"]["offset"]}
    eventually(lambda: shown(hub, queue)["member_count"] == 0, "the consumer to be gone")
    publish(hub, f"{name}/x", range(3, 8))
    waiting = {place["stream"]: place for place in shown(hub, queue)["positions"]}[name]
    assert (waiting["records"], waiting["unacknowledged"], waiting["lost_to_retention"]) == (5, 3, 0)


def test_what_retention_took_is_shown(hub, name):
    queue = f"$queue/{name}/{name}/#"
    new_stream(hub, name)
    leave_queue(hub, queue)
    publish(hub, f"{name}/a", range(10))
    kafka.delete_records(hub, name, 0, 4)
    place = {place["stream"]: place for place in shown(hub, queue)["positions"]}[name]
    assert (place["next"], place["end"], place["records"], place["lost_to_retention"]) == (0, 10, 6, 4)
    assert "lost to retention: 4" in queue_command(hub, "show", name).stdout


@pytest.mark.parametrize("shards", [1, 2])
def test_a_deleted_queue_begins_anew_also_after_a_restart_or_a_kill(new_hub, shards):
    hub = new_hub({"server.shards": shards})
    queue = "$queue/workers/jobs/#"
    for end in (hub.stop, hub.kill):
        leave_queue(hub, queue)
        publish(hub, "jobs/1", range(5))
        assert call(hub, path_of("queues", queue), "DELETE")[:2] == (204, None)
        end()
        hub.start()
        assert status_after_start(hub, queue) == 404
        assert call(hub, path_of("queues", queue), "DELETE")[0] == 404
        publish(hub, "jobs/1", range(5, 10))
        with MqttClient(hub) as consumer:
            consumer.subscribe(queue, 1)
            publish(hub, "jobs/1", [10])
            assert take_numbers(consumer, 1) == [10]


def test_a_queue_with_consumers_is_not_deleted_and_they_are_named(hub, name):
    queue = f"$queue/{name}/{name}/#"
    with MqttClient(hub, client_id=f"{name}-a") as consumer:
        consumer.subscribe(queue, 1)
        status, body, _ = call(hub, path_of("queues", queue), "DELETE")
        assert status == 409
        assert f"{queue} has consumers: '{name}-a'" in body["error"]
        publish(hub, f"{name}/x", [1])
        assert take_numbers(consumer, 1) == [1]
        consumer.unsubscribe(queue)
        eventually(lambda: call(hub, path_of("queues", queue), "DELETE")[0] == 204, "what it had to be settled")


@pytest.mark.parametrize("kind", ["share", "queue"])
def test_what_a_stored_session_has_is_not_deleted_before_the_session_is(hub, name, kind):
    group = f"${kind}/{name}/{name}/#"
    with session_client(hub, name) as member:
        member.subscribe(group, 1)
    eventually(lambda: shown(hub, group)["member_count"] == 0, "the client to be away")
    assert shown(hub, group)["sessions"] == [name]
    status, body, _ = call(hub, path_of("queues", group), "DELETE")
    assert status == 409
    assert f"{group} is in the stored session of '{name}'" in body["error"]
    sluice("session", "delete", name, "--data", hub.data)
    if kind == "queue":
        eventually(lambda: call(hub, path_of("queues", group), "DELETE")[0] == 204, "nobody to have it")
    eventually(lambda: call(hub, path_of("queues", group))[0] == 404, "the group to be gone")


def test_a_session_is_shown_with_its_groups(hub, name):
    group = f"$share/{name}/{name}/#"
    with session_client(hub, name) as member:
        member.subscribe(group, 1)
    eventually(lambda: shown(hub, group)["member_count"] == 0, "the client to be away")
    publish(hub, f"{name}/x", range(4))
    groups = call(hub, f"/api/v1/sessions/{name}")[1]["groups"]
    assert [(one["id"], one["member_count"]) for one in groups] == [(group, 0)]
    assert groups[0]["records"] >= 4
    assert group in sluice("session", "show", name, "--data", hub.data).stdout


def test_the_commands_list_show_and_delete(hub, name):
    ids = [f"$queue/{name}/{name}/{level}" for level in ("a", "b")]
    for queue in ids:
        leave_queue(hub, queue)
    publish(hub, f"{name}/a", range(5))
    table = queue_command(hub, "list", "--filter", name).stdout.splitlines()
    assert table[0].split()[:4] == ["NAME", "KIND", "FILTER", "MEMBERS"]
    assert [line.split()[:4] for line in table[1:]] == [[name, "queue", f"{name}/{level}", "0"] for level in ("a", "b")]
    rows = queue_command(hub, "list", "--filter", name, "-o", "json").stdout.splitlines()
    assert [json.loads(row)["id"] for row in rows] == ids

    text = queue_command(hub, "show", name, f"{name}/a").stdout
    assert f"{name}/a" in text and "records of the log" in text
    assert json.loads(queue_command(hub, "show", ids[1], "-o", "json").stdout)["id"] == ids[1]
    several = queue_command(hub, "show", name, expect=1).stderr
    assert ids[0] in several and ids[1] in several

    assert queue_command(hub, "delete", name, f"{name}/a").stdout == f"deleted {ids[0]}\n"
    assert queue_command(hub, "delete", name).stdout == f"deleted {ids[1]}\n"
    for verb in ("show", "delete"):
        assert f"'{ids[0]}'" in queue_command(hub, verb, ids[0], expect=1).stderr
        queue_command(hub, verb, ids[0], "x", expect=2)
