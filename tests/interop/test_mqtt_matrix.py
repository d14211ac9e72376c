"""Every MQTT client x every capability, on sluice and on Mosquitto as control.

Each test fills a cell of the matrix that is printed at the end (conftest.py). What a driver sends is read by paho of
Python, and what it reads is sent by it.
"""

import itertools

import pytest
from interop.mqtt_drivers import CLIENTS
from interop.mqtt_servers import PASSWORD, USER, Mosquitto, Sluice

from support.mqtt import MqttClient
from support.waiting import eventually

COUNT = 20
SUCCESS, NO_SUBSCRIBERS = 0, 0x10
LOGIN_REFUSED = {4, 5, 0x86, 0x87}  # return codes of MQTT 3.1.1, reason codes of 5
NOT_AUTHORIZED = 0x87
SUBSCRIPTION_REFUSED = {0x80, NOT_AUTHORIZED}
MIB = 1 << 20

_topics = itertools.count(1)


@pytest.fixture(scope="module", params=[Sluice, Mosquitto], ids=["sluice", "mosquitto"])
def server(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp(request.param.__name__.lower()))
    yield started
    started.stop()


@pytest.fixture(
    params=[pytest.param(client, marks=pytest.mark.quick if client.driver.quick else ()) for client in CLIENTS],
    ids=lambda client: client.name,
)
def client(request):
    return request.param


@pytest.fixture
def cell(request, server, client):
    """Names the matrix cell of this test, and ends the test when the client has no such thing."""

    def name(capability, only_v5=False):
        request.node.user_properties.append(("cell", ("MQTT", server.name, client.name, capability)))
        if only_v5 and not client.v5:
            pytest.skip("MQTT 5 only")
        if reason := client.driver.missing():
            pytest.skip(f"{client.driver.name} is left out: {reason}")
        if capability in client.driver.lacks:
            pytest.skip(f"{client.driver.name} has no {capability}")
        if reason := server.impossible.get((client.name, capability)):
            pytest.skip(reason)

    return name


@pytest.fixture
def topic():
    return f"open/matrix/{next(_topics)}"


@pytest.fixture
def peer(server):
    with MqttClient(server) as connected:
        yield connected


def payloads(count=COUNT):
    return [f"m{number}" for number in range(count)]


def send(peer, topic, count=COUNT, qos=1):
    for payload in payloads(count):
        peer.send(topic, payload, qos)


def received(peer, count=COUNT):
    messages = [peer.receive() for _ in range(count)]
    return [message.payload.decode() for message in messages]


def texts(messages):
    return [message["payload"] for message in messages]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_both_ways(server, client, cell, topic, peer, qos):
    cell(f"QoS {qos}")
    assert peer.subscribe(f"{topic}/up", 2) == 2
    client.publish(server.connection(), f"{topic}/up", qos, COUNT)
    messages = [peer.receive() for _ in range(COUNT)]
    assert [message.payload.decode() for message in messages] == payloads()
    assert {message.qos for message in messages} == {qos}

    with client.subscribed(server.connection(), f"{topic}/down", qos) as subscriber:
        send(peer, f"{topic}/down", qos=2)
        messages = subscriber.messages(COUNT)
        assert texts(messages) == payloads()
        assert {message["qos"] for message in messages} == {qos}


def test_retained(server, client, cell, topic, peer):
    cell("retained")
    client.publish(server.connection(), f"{topic}/a", 1, 1, RETAIN=1)
    assert peer.subscribe(f"{topic}/a", 1) == 1
    assert peer.receive().retain
    with client.subscribed(server.connection(), f"{topic}/+", 1) as subscriber:
        [message] = subscriber.messages(1)
        assert (message["topic"], message["payload"], message["retain"]) == (f"{topic}/a", "m0", True)


def test_will(server, client, cell, topic, peer):
    cell("will")
    assert peer.subscribe(f"{topic}/will", 1) == 1
    with client.subscribed(server.connection(), f"{topic}/x", 0, WILL=f"{topic}/will") as subscriber:
        subscriber.kill()
        assert peer.receive().payload == b"gone"


def test_wildcards(server, client, cell, topic, peer):
    cell("wildcards")
    with client.subscribed(server.connection(), f"{topic}/+/x/#", 1) as subscriber:
        for tail in ("a/x", "a/y", "b/x/deep/er", "x", "end/x"):
            peer.publish(f"{topic}/{tail}", tail)
        assert texts(subscriber.messages(3)) == ["a/x", "b/x/deep/er", "end/x"]


def test_shared_subscription(server, client, cell, topic, peer):
    cell("shared")
    member = (server.connection(), f"$share/group/{topic}", 1)
    with client.subscribed(*member) as one, client.subscribed(*member) as two:
        send(peer, topic)
        found = []

        def all_came():
            found.extend(texts(one.messages_so_far() + two.messages_so_far()))
            return len(found) >= COUNT

        eventually(all_came, "both members together have everything")
        assert sorted(found) == sorted(payloads()), "each message goes to one member"


def test_topic_alias_of_the_client(server, client, cell, topic, peer):
    cell("alias out", only_v5=True)
    assert peer.subscribe(topic, 1) == 1
    client.publish(server.connection(), topic, 1, COUNT, ALIAS=1)
    assert received(peer) == payloads()


def test_topic_alias_of_the_server(server, client, cell, topic, peer):
    cell("alias in", only_v5=True)
    with client.subscribed(server.connection(), topic, 1, ALIAS_MAXIMUM=10) as subscriber:
        send(peer, topic)
        messages = subscriber.messages(COUNT)
        assert texts(messages) == payloads()
        assert {message["topic"] for message in messages} == {topic}


def test_message_expiry(server, client, cell, topic, peer):
    cell("expiry", only_v5=True)
    client.publish(server.connection(), f"{topic}/long", 1, 1, RETAIN=1, EXPIRY=100)
    client.publish(server.connection(), f"{topic}/short", 1, 1, RETAIN=1, EXPIRY=1)
    with client.subscribed(server.connection(), f"{topic}/long", 1) as subscriber:
        assert 60 < subscriber.messages(1)[0]["expiry"] <= 100

    def short_is_gone():
        """Of two retained messages, which come in any order, with one behind them."""
        with MqttClient(server) as late:
            late.subscribe(f"{topic}/+", 1)
            late.publish(f"{topic}/end", "end")
            seen = list(iter(lambda: late.receive().topic, f"{topic}/end"))
            return seen == [f"{topic}/long"]

    eventually(short_is_gone, "the message of one second is no longer there")


def test_properties(server, client, cell, topic, peer):
    cell("properties", only_v5=True)
    assert peer.subscribe(f"{topic}/up", 1) == 1
    client.publish(server.connection(), f"{topic}/up", 1, 1, PROPERTIES=1)
    sent = peer.receive().properties
    assert (sent.ContentType, sent.UserProperty) == ("text/plain", [("k", "v")])
    with client.subscribed(server.connection(), f"{topic}/down", 1) as subscriber:
        peer.publish(f"{topic}/down", "x", ContentType="text/plain", UserProperty=("k", "v"))
        [message] = subscriber.messages(1)
        assert (message["content_type"], message["user"]) == ("text/plain", [["k", "v"]])


def test_request_and_response(server, client, cell, topic, peer):
    cell("request", only_v5=True)
    with client.responding(server.connection(), topic):
        [answer] = client.call(server.connection(), "request", topic, "hello")
        assert answer == {"response": "HELLO", "correlation": "c1"}


def test_payload_of_a_mebibyte(server, client, cell, topic, peer):
    cell("1 MiB")
    wanted = "m0".ljust(MIB, ".")
    assert peer.subscribe(f"{topic}/up", 1) == 1
    client.publish(server.connection(), f"{topic}/up", 1, 1, SIZE=MIB)
    assert peer.receive().payload.decode() == wanted
    with client.subscribed(server.connection(), f"{topic}/down", 1) as subscriber:
        peer.publish(f"{topic}/down", wanted)
        assert texts(subscriber.messages(1)) == [wanted]


@pytest.mark.parametrize(
    ("listener", "capability"), [("mqtts", "TLS"), ("ws", "WebSocket"), ("wss", "WSS")], ids=["tls", "ws", "wss"]
)
def test_transport(server, client, cell, topic, peer, listener, capability):
    cell(capability)
    with client.subscribed(server.connection(listener), topic, 1) as subscriber:
        client.publish(server.connection(listener), topic, 1, COUNT, SIZE=10_000)
        assert texts(subscriber.messages(COUNT)) == [payload.ljust(10_000, ".") for payload in payloads()]


def test_reconnect_after_take_over(server, client, cell, topic, peer):
    cell("take-over")
    name = f"taken-{next(_topics)}"
    with client.subscribed(server.connection(), topic, 1, CLIENT_ID=name) as subscriber:
        with MqttClient(server, client_id=name):
            assert subscriber.wait_for("subscribed") == 1, "it came back by itself"
        peer.publish(topic, "again")
        assert texts(subscriber.messages(1)) == ["again"]


def test_small_receive_maximum(server, client, cell, topic, peer):
    cell("receive maximum", only_v5=True)
    with client.subscribed(server.connection(), topic, 2, RECEIVE_MAXIMUM=2) as subscriber:
        send(peer, topic, count=100, qos=2)
        assert texts(subscriber.messages(100)) == payloads(100)


def test_refused_login(server, client, cell, topic):
    cell("login refused")
    [said] = client.call(server.connection(login=(USER, "wrong")), "publish", topic, 0, 1)
    assert said["refused"] in LOGIN_REFUSED


def test_refused_subscription(server, client, cell):
    cell("subscription refused")
    if not server.refuses_subscriptions:
        pytest.skip(f"{server.name} takes all of them")
    [said] = client.call(server.connection(login=(USER, PASSWORD)), "subscribe", "closed/a", 1, 1)
    assert said["subscribed"] in SUBSCRIPTION_REFUSED


def test_refused_publish(server, client, cell):
    cell("publish reason", only_v5=True)
    connection = server.connection(login=(USER, PASSWORD))
    assert client.publish(connection, "closed/a", 1, 1) == [NOT_AUTHORIZED]
    assert client.publish(connection, "open/a", 1, 1) in ([], [SUCCESS], [NO_SUBSCRIBERS])
