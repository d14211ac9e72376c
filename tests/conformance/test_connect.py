"""CONNECT and CONNACK: sections 3.1 and 3.2 of both standards, but for wills (test_wills.py)."""

import time

import pytest

from conformance import covers, packets
from conformance.packets import (
    ASSIGNED_CLIENT_ID,
    CONNACK,
    MALFORMED,
    MAXIMUM_PACKET_SIZE,
    PINGREQ,
    PROTOCOL_ERROR,
    PUBACK,
    PUBLISH,
    REASON_STRING,
    REQUEST_RESPONSE_INFORMATION,
    RESPONSE_INFORMATION,
    SERVER_KEEP_ALIVE,
    SESSION_EXPIRY,
    SUBACK,
    V5,
    V311,
    Will,
)
from support.hub import Hub, sluice

CLIENT_ID_NOT_VALID, TAKEN_OVER, KEEP_ALIVE_TIMEOUT = 0x85, 0x8E, 0x8D
IDENTIFIER_REJECTED = 2  # a return code of MQTT 3.1.1
FAR_TOO_LONG = "x" * 5000

FIRST_PACKETS = {
    "PUBLISH": lambda version: packets.publish(version, "a", b"x", qos=1),
    "SUBSCRIBE": lambda version: packets.subscribe(version, ("#", 0)),
    "PINGREQ": lambda version: packets.PING,
    "DISCONNECT": lambda version: packets.disconnect(),
    "PUBACK": lambda version: packets.ack(PUBACK, 1),
}


def expect_malformed(client):
    """In 3.1.1 a CONNECT that breaks the format is closed without a word."""
    if client.version == V5:
        client.expect_refused(MALFORMED)
    else:
        client.expect_end()


@pytest.mark.parametrize("raw", [*FIRST_PACKETS.values()], ids=[*FIRST_PACKETS])
@covers("3.1.1:MQTT-3.1.0-1", "5:MQTT-3.1.0-1", "5:MQTT-3.14.0-1")
def test_the_first_packet_must_be_connect(dial, version, raw):
    client = dial()
    client.send(raw(version))
    client.expect_end()


@covers("3.1.1:MQTT-3.1.0-2", "5:MQTT-3.1.0-2", "5:MQTT-3.14.4-2")
def test_a_second_connect_closes_the_connection(connected, version):
    client = connected("c")
    client.send(packets.connect(version, "c"))
    client.expect_closed(PROTOCOL_ERROR)


@pytest.mark.parametrize("protocol", ["MQTX", "mqtt", "MQTT ", ""])
@covers("3.1.1:MQTT-3.1.2-1", "5:MQTT-3.1.2-1")
def test_another_protocol_name_is_not_served(dial, version, protocol):
    client = dial()
    client.send(packets.connect(version, "c", name=protocol))
    client.expect_end()


@covers("3.1.1:MQTT-3.1.2-1")
def test_mqtt_31_is_served_by_its_own_name_and_level(dial, name):
    """The other specification by which CONNECT may be processed."""
    client = dial()
    client.send(packets.connect(3, name, name="MQIsdp"))
    client.expect(CONNACK, code=0)
    client.subscribe(f"{name}/a", 1)
    client.send(packets.publish(V311, f"{name}/a", b"x"))
    client.expect_message(f"{name}/a", b"x")


@pytest.mark.parametrize("level", [0, 2, 6, 9, 0x86])
@covers("3.1.1:MQTT-3.1.2-2", "5:MQTT-3.1.2-2")
def test_an_unknown_version_is_refused(dial, level):
    """In the words of MQTT 3.1.1, as the client has shown none of version 5."""
    client = dial(version=V311)
    client.send(packets.connect(level, "c"))
    client.expect_refused(1)


@covers("3.1.1:MQTT-3.1.2-3", "3.1.1:MQTT-3.1.4-1", "5:MQTT-3.1.2-3")
def test_the_reserved_connect_flag_is_refused(dial, version):
    client = dial()
    client.send(packets.connect(version, "c", flags=0x03))
    expect_malformed(client)


BROKEN_CONNECTS = {
    "empty": lambda version: packets.packet(packets.CONNECT),
    "without-payload": lambda version: packets.packet(
        packets.CONNECT, packets.text("MQTT") + bytes([version, 2]) + packets.u16(60) + packets.properties(version, ())
    ),
    "longer-than-its-fields": lambda version: packets.packet(packets.CONNECT, packets.connect(version, "c")[2:] + b"more"),
    "cut-in-its-client-id": lambda version: packets.packet(packets.CONNECT, packets.connect(version, "abc")[2:-1]),
}


@pytest.mark.parametrize("raw", [*BROKEN_CONNECTS.values()], ids=[*BROKEN_CONNECTS])
@covers("3.1.1:MQTT-3.1.4-1", "3.1.1:MQTT-3.2.2-6", "5:MQTT-3.1.4-1", "3.1.1:MQTT-3.1.3-3", "5:MQTT-3.1.3-3")
def test_a_broken_connect_is_closed(dial, version, raw):
    client = dial()
    client.send(raw(version))
    if version == V311:
        client.expect_end()
    else:
        with_connack = client.file.read()
        assert with_connack == b"" or with_connack[0] == CONNACK << 4 and with_connack[3] == MALFORMED


# --- user name and password

MISMATCHES = {
    "user-without-its-flag": {"flags": 0x02, "user": "u"},
    "flag-without-user": {"flags": 0x82},
    "password-without-its-flag": {"flags": 0x82, "user": "u", "password": "p"},
    "flag-without-password": {"flags": 0xC2, "user": "u"},
}


@pytest.mark.parametrize("fields", [*MISMATCHES.values()], ids=[*MISMATCHES])
@covers("3.1.1:MQTT-3.1.2-18", "3.1.1:MQTT-3.1.2-19", "3.1.1:MQTT-3.1.2-20", "3.1.1:MQTT-3.1.2-21")
@covers("5:MQTT-3.1.2-16", "5:MQTT-3.1.2-17", "5:MQTT-3.1.2-18", "5:MQTT-3.1.2-19")
def test_user_name_and_password_must_be_there_as_their_flags_say(dial, version, fields):
    client = dial()
    client.send(packets.connect(version, "c", **fields))
    expect_malformed(client)


@covers("3.1.1:MQTT-3.1.2-22")
def test_in_311_a_password_needs_a_user_name(dial):
    client = dial()
    client.send(packets.connect(V311, "c", password="p"))
    client.expect_end()


@pytest.fixture(scope="module")
def guarded_hub(tmp_path_factory):
    """Only ann may log in, with her password."""
    hub = Hub(tmp_path_factory.mktemp("guarded"))
    sluice("user", "add", "ann", "--data", hub.data, input="secret\n")
    yield hub.start()
    assert hub.stop() == 0


@covers("3.1.1:MQTT-3.1.3-1", "5:MQTT-3.1.3-1", "5:MQTT-3.1.4-5", "3.1.1:MQTT-3.1.4-4")
def test_the_fields_of_the_payload_are_read_in_their_order(guarded_hub, dial, name):
    client, watcher = dial(guarded_hub), dial(guarded_hub)
    watcher.connect(user="ann", password="secret")
    watcher.subscribe(f"{name}/#")
    client.connect(name, will=Will(f"{name}/will", b"payload"), user="ann", password="secret")
    client.close()
    watcher.expect_message(f"{name}/will", b"payload")


@covers("5:MQTT-3.1.4-2", "5:MQTT-3.2.2-8", "3.1.1:MQTT-3.2.2-4", "3.1.1:MQTT-3.2.2-5")
def test_a_login_that_fails_is_refused(guarded_hub, dial, version):
    client = dial(guarded_hub)
    client.send(packets.connect(version, "c", user="ann", password="wrong"))
    client.expect_refused(0x86 if version == V5 else 4)


# --- client ids

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("client_id", ["a", "Z", ALPHABET[:23], ALPHABET[23:46], ALPHABET[-23:]])
@covers("3.1.1:MQTT-3.1.3-5", "5:MQTT-3.1.3-5")
def test_client_ids_of_1_to_23_letters_and_digits_are_accepted(connected, client_id):
    assert connected(client_id).connack.code == 0


@covers("3.1.1:MQTT-3.1.3-6", "5:MQTT-3.1.3-6")
def test_clients_without_an_id_do_not_take_each_other_over(connected):
    clients = [connected("") for _ in range(3)]
    for client in clients:
        client.expect_nothing()


@covers("5:MQTT-3.1.3-7", "5:MQTT-3.2.2-16")
def test_a_client_without_an_id_is_told_a_new_one(connected):
    clients = [connected("", clean=clean) for clean in (True, False, True)]
    ids = [client.connack.get(ASSIGNED_CLIENT_ID) for client in clients]
    assert all(ids) and len(set(ids)) == len(ids)
    connected(ids[0])
    clients[0].expect_closed(TAKEN_OVER)
    clients[1].expect_nothing()
    assert connected("mine").connack.get(ASSIGNED_CLIENT_ID) is None


@covers("3.1.1:MQTT-3.1.3-7", "3.1.1:MQTT-3.1.3-8", "3.1.1:MQTT-3.2.2-4", "3.1.1:MQTT-3.2.2-5")
def test_in_311_an_empty_id_needs_a_clean_session(dial):
    client = dial()
    client.send(packets.connect(V311, "", clean=False))
    client.expect_refused(IDENTIFIER_REJECTED)


@covers("3.1.1:MQTT-3.1.3-9", "3.1.1:MQTT-3.2.2-5", "5:MQTT-3.1.3-8", "5:MQTT-3.2.2-6", "5:MQTT-3.2.2-7", "5:MQTT-4.13.2-1")
def test_a_client_id_that_is_too_long_is_refused(dial, version):
    client = dial()
    client.send(packets.connect(version, FAR_TOO_LONG))
    client.expect_refused(CLIENT_ID_NOT_VALID if version == V5 else IDENTIFIER_REJECTED)


@covers("3.1.1:MQTT-3.1.4-2", "3.1.1:MQTT-3.1.3-2", "5:MQTT-3.1.4-3", "5:MQTT-3.1.3-2")
def test_a_newer_connection_of_the_client_id_ends_the_older_one(connected, name):
    first, other = connected(f"{name}-1"), connected(f"{name}-2")
    second = connected(f"{name}-1")
    first.expect_closed(TAKEN_OVER)
    second.expect_nothing()
    other.expect_nothing()


# --- what is answered


@covers("3.1.1:MQTT-3.1.4-5", "5:MQTT-3.1.4-6")
def test_after_a_refused_connect_nothing_is_processed(connected, dial, version, name):
    topic = f"{name}/a"
    subscriber, publisher, refused = connected(), connected(), dial()
    subscriber.subscribe(topic)
    refused.send(packets.connect(version, FAR_TOO_LONG), packets.publish(version, topic, b"behind"))
    assert refused.expect(CONNACK).code != 0
    publisher.publish(topic, b"marker")
    subscriber.expect_message(payload=b"marker")


@covers("3.1.1:MQTT-3.2.0-1", "5:MQTT-3.2.0-1", "3.1.1:MQTT-3.1.4-4", "5:MQTT-3.1.4-5")
def test_connack_comes_before_all_else(dial, version, name):
    client = dial()
    client.send(
        packets.connect(version, name),
        packets.subscribe(version, (f"{name}/a", 0)),
        packets.publish(version, f"{name}/a", b"x"),
        packets.PING,
    )
    kinds = [client.receive().kind for _ in range(4)]
    assert kinds[:2] == [CONNACK, SUBACK]
    assert sorted(kinds[2:]) == [PUBLISH, PINGREQ + 1]


@covers("5:MQTT-3.2.0-2")
def test_there_is_one_connack(connected, version, name):
    client = connected(name)
    client.publish(f"{name}/a")
    client.expect_nothing()
    client.send(packets.connect(version, name))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-3.2.2-1", "5:MQTT-3.2.2-2", "3.1.1:MQTT-3.2.2-1", "3.1.1:MQTT-3.1.4-3", "5:MQTT-3.1.4-4")
def test_a_clean_start_has_no_session(connected, version, name):
    """Not even after a session that was to be kept."""
    asked = {"props": [(SESSION_EXPIRY, 100)]} if version == V5 else {}
    first = connected(name, clean=False, **asked)
    first.send(packets.disconnect())
    first.expect_end()
    assert connected(name, clean=True).connack.session_present == 0


@covers("3.1.1:MQTT-3.2.2-3", "3.1.1:MQTT-3.1.2-4", "5:MQTT-3.1.2-6", "5:MQTT-3.2.2-3")
def test_a_session_that_is_not_there_is_begun(connected, name):
    client, publisher = connected(name, clean=False), connected()
    assert client.connack.session_present == 0
    client.subscribe(f"{name}/a")
    publisher.publish(f"{name}/a", b"x")
    client.expect_message(payload=b"x")


@covers("3.1.1:MQTT-3.1.2-6", "5:MQTT-3.1.2-4", "5:MQTT-4.1.0-2")
def test_a_clean_start_has_nothing_of_the_session_before(connected, due, name):
    """Neither subscriptions nor what was not acknowledged, also when it takes the connection over."""
    topic = f"{name}/a"
    first, publisher = connected(name), connected()
    first.subscribe(topic, 1)
    publisher.publish(topic, b"before")
    first.expect(PUBLISH, payload=b"before")
    second = connected(name)
    publisher.publish(topic, b"after")
    assert due(second) == []


@covers("3.1.1:MQTT-4.1.0-1", "3.1.1:MQTT-4.1.0-2", "5:MQTT-4.1.0-1")
def test_a_session_lasts_as_long_as_its_connection(connected, name):
    """Whatever expiry was asked for."""
    client, publisher = connected(name, clean=True), connected()
    client.subscribe(f"{name}/a", 1)
    for number in range(3):
        publisher.publish(f"{name}/a", b"%d" % number)
        client.expect_message(payload=b"%d" % number)


@covers("5:MQTT-3.1.2-28")
def test_response_information_is_sent_only_to_who_asks_for_it(new_hub, connected):
    hub = new_hub({"mqtt.response_information": "answers/%c"})
    for props, told in ([], False), ([(REQUEST_RESPONSE_INFORMATION, 0)], False), ([(REQUEST_RESPONSE_INFORMATION, 1)], True):
        found = connected("c", to=hub, props=props).connack.get(RESPONSE_INFORMATION)
        assert (found is not None) == told


@covers("5:MQTT-3.2.2-19", "5:MQTT-3.1.2-24")
def test_the_reason_of_a_refusal_is_left_out_where_it_does_not_fit(dial):
    for size_max, told in (20, False), (1000, True):
        client = dial()
        client.size_max = size_max
        client.send(packets.connect(V5, FAR_TOO_LONG, props=[(MAXIMUM_PACKET_SIZE, size_max)]))
        connack = client.expect(CONNACK, code=CLIENT_ID_NOT_VALID)
        assert (connack.get(REASON_STRING) is not None) == told


# --- keep-alive


@covers("3.1.1:MQTT-3.1.2-24", "5:MQTT-3.1.2-22", "5:MQTT-3.2.2-22")
def test_a_silent_client_is_disconnected(connected):
    """After one and a half times its keep-alive, not before; the server has not set another."""
    began = time.monotonic()
    client = connected("", keep_alive=1)
    assert client.connack.get(SERVER_KEEP_ALIVE) is None
    client.expect_closed(KEEP_ALIVE_TIMEOUT)
    assert 1.5 <= time.monotonic() - began < 10
