"""Replay of a stream by "$stream/<stream>[/<filter>]" with real clients: where it begins, what it gives, what comes after."""

import datetime

import pytest

from support import kafka
from support.admin import call
from support.mqtt import V5, V311, MqttClient, is_present, session_client
from support.streams import new_stream
from support.waiting import eventually

NO_SUCH_STREAM = 0x8F
NO_SUCH_PLACE = 0x83

FIRST_MS = 1_700_000_000_000


def received(client, count):
    return [int(payload) for _, payload in client.receive_pairs(count)]


def publish(hub, topic, numbers):
    with MqttClient(hub) as publisher:
        for number in numbers:
            assert publisher.publish(topic, str(number), 2) == 0


@pytest.mark.both_backends
@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
def test_it_gives_all_that_a_stream_holds_and_then_what_comes(hub, name, version):
    new_stream(hub, name, partitions=2)
    with MqttClient(hub, version) as client, MqttClient(hub) as publisher:
        for i in range(10):
            assert publisher.publish(f"{name}/dev{i}/temp", str(i)) == 0
        kafka.produce(hub, name, [("dev3/temp", "10")])
        assert client.subscribe(f"$stream/{name}", 1) == 1
        assert sorted(received(client, 11)) == list(range(11))
        publisher.publish(f"{name}/live", "11")
        assert client.receive_pairs(1) == [(f"{name}/live", b"11")]


@pytest.mark.both_backends
def test_it_begins_at_an_offset_a_time_or_the_end(hub, name):
    new_stream(hub, name, **kafka.KEPT_FOR_EVER)
    for i in range(6):
        kafka.produce(hub, name, [("a", str(i))], timestamp_ms=FIRST_MS + i * 1000)
    asked_ms = FIRST_MS + 2500
    moment = datetime.datetime.fromtimestamp(asked_ms / 1000, datetime.timezone.utc)
    with MqttClient(hub) as publisher:
        for start, first in [
            ("earliest", 0),
            ("0", 0),
            ("2", 2),
            (moment.isoformat(), 3),
            (moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), 3),
            (f"@{asked_ms}", 3),
            (str(asked_ms * 1000), 3),
        ]:
            with MqttClient(hub) as client:
                assert client.replay(f"$stream/{name}/+", start) == (1, None), start
                assert received(client, 6 - first) == list(range(first, 6)), start
        with MqttClient(hub) as client:
            assert client.replay(f"$stream/{name}/a", "latest") == (1, None)
            assert client.replay(f"$stream/{name}/+", "6") == (1, None)
            publisher.publish(f"{name}/a", "6")
            assert received(client, 2) == [6, 6]


def test_it_is_a_copy_beside_what_other_filters_give(hub, name):
    with MqttClient(hub) as client, MqttClient(hub) as publisher:
        for i in range(3):
            publisher.publish(f"{name}/a", str(i))
        client.subscribe(f"{name}/a", 0)
        assert client.replay(f"$stream/mqtt/{name}/a", "earliest", 2) == (2, None)
        assert received(client, 3) == [0, 1, 2]
        publisher.publish(f"{name}/a", "3", 2)
        assert sorted(client.receive().qos for _ in range(2)) == [0, 2]
        client.unsubscribe(f"$stream/mqtt/{name}/a")
        publisher.publish(f"{name}/a", "4", 2)
        publisher.publish(f"{name}/a", "5", 2)
        assert received(client, 2) == [4, 5]


def test_what_is_not_there_is_refused_with_its_name(hub, name):
    new_stream(hub, name)
    with MqttClient(hub) as client:
        code, reason = client.replay(f"$stream/{name}-other/a", "earliest")
        assert (code, reason) == (NO_SUCH_STREAM, f"there is no stream '{name}-other'")
        assert client.replay("$stream/__retained", "earliest")[0] == NO_SUCH_STREAM
        code, reason = client.replay(f"$stream/{name}", "5")
        assert (code, reason) == (NO_SUCH_PLACE, f"offset 5 of stream '{name}' is beyond its end, 0")
        code, reason = client.replay(f"$stream/{name}", "tomorrow")
        assert code == NO_SUCH_PLACE and reason.startswith("stream-offset 'tomorrow' is none of: ")
        assert client.subscribe("$stream/+/a") == NO_SUCH_STREAM


@pytest.mark.both_backends
@pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_stored_session_goes_on_where_it_was(hub, name, version, qos):
    new_stream(hub, name)
    publish(hub, f"{name}/a", range(10))
    with session_client(hub, name, version) as client:
        assert client.subscribe(f"$stream/{name}", qos) == qos
        assert received(client, 10) == list(range(10))
    publish(hub, f"{name}/a", range(10, 15))
    with session_client(hub, name, version) as client:
        assert is_present(client)
        assert client.subscribe(f"$stream/{name}", qos) == qos, "many clients do so each time"
        publish(hub, f"{name}/a", range(15, 20))
        assert received(client, 10) == list(range(10, 20))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_outlives_the_hub_with_what_was_not_acknowledged(new_hub, end):
    hub = new_hub()
    publish(hub, "a", range(10))
    with session_client(hub, "dev", manual_ack=True) as client:
        assert client.replay("$stream/mqtt/a", "2") == (1, None)
        messages = [client.receive() for _ in range(8)]
        for message in messages[:3]:
            client.client.ack(message.mid, message.qos)
        client.client.publish("done", qos=1).wait_for_publish()
        client.vanish()
    eventually(lambda: call(hub, "/api/v1/sessions/dev")[1]["connected"] is False, "the session to be handed back")
    getattr(hub, end)()
    hub.start()
    publish(hub, "a", [10])
    with session_client(hub, "dev") as client:
        assert is_present(client)
        again = [client.receive() for _ in range(6)]
        assert [int(message.payload) for message in again] == list(range(5, 11))
        assert [message.dup for message in again] == [True] * 5 + [False]
