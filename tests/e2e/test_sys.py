"""What the hub says of itself under $SYS/broker/."""

import subprocess

import pytest

from support.hub import Hub, sluice
from support.mqtt import V5, V311, MqttClient
from support.waiting import DEADLINE_S

NOT_AUTHORIZED = 0x87


@pytest.fixture(scope="module")
def sys_hub(tmp_path_factory):
    """root administers, all but everything else; bob may subscribe to everything but does not administer."""
    hub = Hub(tmp_path_factory.mktemp("sys"), {"mqtt.sys_interval": "1s", "server.shards": 2})
    for name, rules in (("ann", []), ("bob", ["--allow=subscribe #", "--allow=publish #"]), ("root", ["--allow=administer"])):
        sluice("user", "add", name, "--data", hub.data, *rules, input="secret\n")
    hub.start()
    yield hub
    assert hub.stop() == 0


def test_mosquitto_sub_shows_the_values_as_it_does_with_mosquitto(sys_hub):
    host, port = sys_hub.address("mqtt")
    command = ["mosquitto_sub", "-h", host, "-p", str(port), "-u", "ann", "-P", "secret", "-v", "-C", "20", "-t", "$SYS/broker/#"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    values = dict(line.split(" ", 1) if "retained" not in line else ("retained", "") for line in done.stdout.splitlines())
    assert values["$SYS/broker/version"].startswith("sluice ")
    assert values["$SYS/broker/uptime"].endswith(" seconds")
    assert int(values["$SYS/broker/clients/maximum"]) >= int(values["$SYS/broker/clients/connected"]) >= 0


@pytest.mark.parametrize("version", [V311, V5])
def test_a_new_subscriber_gets_retained_values_and_then_what_changes(sys_hub, version):
    topic = "$SYS/broker/clients/connected"
    with MqttClient(sys_hub, version, login=("ann", "secret")) as watcher:
        watcher.subscribe(topic, qos=1)
        first = watcher.receive()
        assert (first.topic, bool(first.retain), first.qos) == (topic, True, 0)

        def wait_for(count):
            news = watcher.receive()
            while int(news.payload) != count:
                news = watcher.receive()
            return news

        if int(first.payload) != 1:  # clients of another test
            wait_for(1)
        with MqttClient(sys_hub, login=("ann", "secret")), MqttClient(sys_hub, login=("ann", "secret")):
            assert not wait_for(3).retain


def test_a_wildcard_in_front_does_not_cover_them(sys_hub):
    with MqttClient(sys_hub, login=("ann", "secret")) as everything, MqttClient(sys_hub, login=("ann", "secret")) as watcher:
        everything.subscribe("#")
        watcher.subscribe("$SYS/broker/uptime")
        for _ in range(2):
            watcher.receive()
        watcher.publish("fence", "x")
        assert everything.receive_pairs(1) == [("fence", b"x")]


def test_they_are_for_administrators_and_whom_a_rule_permits(sys_hub):
    with MqttClient(sys_hub, V5, login=("bob", "secret")) as bob:
        assert bob.subscribe("$SYS/broker/uptime") == NOT_AUTHORIZED
    with MqttClient(sys_hub, V5, login=("root", "secret")) as root:
        assert root.subscribe("$SYS/broker/uptime") == 0
        assert root.receive().payload.endswith(b"seconds")
