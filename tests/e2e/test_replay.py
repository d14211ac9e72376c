"""Replay of a stream by "$stream/<stream>[/<filter>]" with real clients: where it begins, what it gives, what comes after."""

import datetime

import pytest

from support import kafka
from support.mqtt import V5, V311, MqttClient
from support.streams import new_stream

NO_SUCH_STREAM = 0x8F
NO_SUCH_PLACE = 0x83

FIRST_MS = 1_700_000_000_000


def received(client, count):
    return [int(payload) for _, payload in client.receive_pairs(count)]


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
    new_stream(hub, name)
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
