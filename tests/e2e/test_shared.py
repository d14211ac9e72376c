"""Shared subscriptions with real clients: members on different shards, of both versions."""

import subprocess

import pytest

from support import mqtt
from support.mqtt import V5, V311, MqttClient
from support.waiting import DEADLINE_S, eventually

versions = pytest.mark.parametrize("version", [V311, V5], ids=["v3.1.1", "v5"])
PROTOCOL_ERROR = 0x82


def share(name):
    return f"$share/workers/{name}/#"


def received(members):
    """What has come so far, by member."""
    return [list(member.messages.queue) for member in members]


def wait_for(members, count):
    eventually(lambda: sum(map(len, received(members))) >= count, f"{count} messages have come")
    return received(members)


@pytest.mark.both_backends
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(hub, name, qos):
    members = [MqttClient(hub, version) for version in (V311, V5, V311, V5)]
    with MqttClient(hub) as publisher:
        for member in members:
            assert member.subscribe(share(name), qos) == qos
        for i in range(200):
            publisher.send(f"{name}/{i % 20}", str(i), qos)
        got = wait_for(members, 200)
        payloads = sorted(int(message.payload) for messages in got for message in messages)
        assert payloads == list(range(200)), "each once"
        assert all(len(messages) >= 10 for messages in got), "all have a part"
    for member in members:
        member.close()


@versions
def test_a_member_also_gets_what_its_plain_filters_match(hub, name, version):
    with MqttClient(hub, version) as member, MqttClient(hub) as publisher:
        member.subscribe(share(name), 1)
        member.subscribe(f"{name}/a", 0)
        publisher.publish(f"{name}/a", "x")
        assert sorted(member.receive().qos for _ in range(2)) == [0, 1]


@pytest.mark.both_backends
@versions
def test_what_a_member_did_not_acknowledge_goes_to_another(hub, name, version):
    with MqttClient(hub, version) as stays, MqttClient(hub) as publisher:
        leaves = MqttClient(hub, version, manual_ack=True)
        leaves.subscribe(share(name), 1)
        for i in range(10):
            publisher.publish(f"{name}/{i}", str(i))
        messages = [leaves.receive() for _ in range(10)]
        for message in messages[:4]:
            leaves.client.ack(message.mid, message.qos)
        # The hub answers in order, so it has the acknowledgements.
        leaves.subscribe(f"{name}/other")
        stays.subscribe(share(name), 1)
        leaves.vanish()
        got = [stays.receive() for _ in range(6)]
        assert sorted(int(message.payload) for message in got) == list(range(4, 10))
        assert not any(message.dup for message in got)
        assert hub.metric("sluice_shared_redeliveries_total") >= 6
        publisher.publish(f"{name}/last", "last")
        assert stays.receive().payload == b"last"


def test_a_member_that_reads_nothing_does_not_hold_up_the_others(hub, name):
    with mqtt.connected_raw(hub) as stuck, MqttClient(hub) as member, MqttClient(hub) as publisher:
        stuck.send(mqtt.subscribe_packet(share(name), 1))
        stuck.read(5)
        member.subscribe(share(name), 1)
        for i in range(3000):
            publisher.send(f"{name}/{i}", str(i), 1)
        # The stuck one has no more than the hub lets anybody have in flight.
        wait_for([member], 3000 - 1024)


def test_nothing_is_lost_while_members_come_and_go(hub, name):
    seen = set()

    def collect(member):
        while not member.messages.empty():
            seen.add(int(member.messages.get_nowait().payload))

    published = 0
    with MqttClient(hub) as stays, MqttClient(hub) as publisher:
        stays.subscribe(share(name), 1)
        for turn in range(10):
            guests = [MqttClient(hub, version) for version in (V311, V5, V5)]
            for guest in guests:
                guest.subscribe(share(name), 1)
            for _ in range(200):
                publisher.send(f"{name}/{published % 7}", str(published), 1)
                published += 1
            for guest in guests:
                guest.vanish() if turn % 2 else guest.close()
                collect(guest)

        def all_came():
            collect(stays)
            return seen == set(range(published))

        eventually(all_came, "all that was published has come to somebody")


def test_no_local_is_a_protocol_error(hub, name):
    with MqttClient(hub) as client:
        client.client.subscribe(share(name), options=mqtt.paho.SubscribeOptions(qos=1, noLocal=True))
        assert client.disconnect_reason() == PROTOCOL_ERROR


def test_retained_messages_are_not_sent(hub, name):
    with MqttClient(hub) as member, MqttClient(hub) as publisher:
        publisher.publish(f"{name}/a", "retained", retain=True)
        member.subscribe(share(name), 1)
        publisher.publish(f"{name}/b", "new")
        assert member.receive().payload == b"new"


def test_the_members_are_counted(new_hub):
    hub = new_hub({"server.shards": 2})
    with MqttClient(hub) as one:
        with MqttClient(hub) as two:
            for member in (one, two):
                member.subscribe("$share/workers/a")
            assert hub.metric("sluice_shared_subscriptions") == 2
            one.unsubscribe("$share/workers/a")
        eventually(lambda: hub.metric("sluice_shared_subscriptions") == 0, "both are gone")


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_mosquitto_sub_shares(hub, name, version):
    host, port = hub.address("mqtt")
    command = ["mosquitto_sub", "-h", host, "-p", str(port), "-V", version, "-t", share(name), "-q", "1", "-C", "5", "-W", str(DEADLINE_S)]
    before = hub.metric("sluice_shared_subscriptions")
    members = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    eventually(lambda: hub.metric("sluice_shared_subscriptions") == before + 2, "both have subscribed")
    with MqttClient(hub) as publisher:
        for i in range(10):
            publisher.publish(f"{name}/{i}", str(i))
    got = [member.communicate(timeout=2 * DEADLINE_S)[0].split() for member in members]
    assert sorted(map(int, got[0] + got[1])) == list(range(10))
