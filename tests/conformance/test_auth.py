"""Enhanced authentication: AUTH (3.15) and section 4.12 of MQTT 5, by SCRAM."""

import pytest

from conformance import covers, packets
from conformance.packets import (
    AUTH,
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    CONNACK,
    DISCONNECT,
    MALFORMED,
    PROTOCOL_ERROR,
    V5,
)
from conformance.scram import METHOD, Scram
from support.hub import Hub, sluice

SUCCESS, CONTINUE, REAUTHENTICATE = 0x00, 0x18, 0x19
NOT_AUTHORIZED, BAD_METHOD = 0x87, 0x8C
REFUSED = (0x86, NOT_AUTHORIZED)
USER, PASSWORD = "ann", "secret"


@pytest.fixture(scope="module")
def users_hub(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("users"))
    sluice("user", "add", USER, "--data", hub.data, input=PASSWORD + "\n")
    yield hub.start()
    assert hub.stop() == 0


def method_and_data(data, method=METHOD):
    return [(AUTHENTICATION_METHOD, method), (AUTHENTICATION_DATA, data)]


def begin(client, scram):
    """CONNECT, and the AUTH that asks for more."""
    client.send(packets.connect(V5, "c", props=method_and_data(scram.first())))
    return client.expect(AUTH, code=CONTINUE)


def go_on(client, scram, challenge, **options):
    answer = scram.final(challenge.get(AUTHENTICATION_DATA))
    client.send(packets.auth(options.get("code", CONTINUE), method_and_data(answer, options.get("method", METHOD))))


@pytest.fixture
def authenticated(users_hub, dial):
    client, scram = dial(users_hub), Scram(USER, PASSWORD)
    go_on(client, scram, begin(client, scram))
    client.connack = client.expect(CONNACK, code=SUCCESS)
    scram.check(client.connack.get(AUTHENTICATION_DATA))
    return client


# --- without a method


@covers("5:MQTT-4.12.0-1")
def test_a_method_that_is_not_offered_closes_the_connection(dial):
    client = dial()
    client.send(packets.connect(V5, "c", props=method_and_data(b"x", method="NONE-SUCH")))
    client.expect_refused(BAD_METHOD)


@covers("5:MQTT-4.12.0-6")
def test_without_a_method_the_server_names_none(connected):
    client = connected()
    assert client.connack.get(AUTHENTICATION_METHOD) is None
    assert client.connack.get(AUTHENTICATION_DATA) is None
    client.expect_nothing()


@pytest.mark.parametrize("code", [SUCCESS, CONTINUE, REAUTHENTICATE])
@covers("5:MQTT-4.12.0-7")
def test_without_a_method_auth_closes_the_connection(connected, code):
    client = connected()
    client.send(packets.auth(code, method_and_data(b"x")))
    client.expect_closed(PROTOCOL_ERROR)


@covers("5:MQTT-3.1.4-1")
def test_data_without_a_method_are_refused(dial):
    client = dial()
    client.send(packets.connect(V5, "c", props=[(AUTHENTICATION_DATA, b"x")]))
    client.expect_refused(PROTOCOL_ERROR)


# --- with one


@covers("5:MQTT-4.12.0-2", "5:MQTT-4.12.0-5", "5:MQTT-3.2.0-1", "5:MQTT-3.15.2-1")
def test_a_login_by_scram_is_accepted_and_names_its_method(users_hub, dial):
    client, scram = dial(users_hub), Scram(USER, PASSWORD)
    challenge = begin(client, scram)
    assert challenge.get(AUTHENTICATION_METHOD) == METHOD
    go_on(client, scram, challenge)
    connack = client.expect(CONNACK, code=SUCCESS)
    assert connack.get(AUTHENTICATION_METHOD) == METHOD
    scram.check(connack.get(AUTHENTICATION_DATA))
    client.expect_nothing()


@covers("5:MQTT-4.12.0-4")
def test_a_wrong_password_is_refused(users_hub, dial):
    client, scram = dial(users_hub), Scram(USER, "wrong")
    go_on(client, scram, begin(client, scram))
    client.expect_refused(*REFUSED)


@pytest.mark.parametrize("code", [SUCCESS, REAUTHENTICATE, 0x42])
@covers("5:MQTT-4.12.0-3", "5:MQTT-3.15.2-1")
def test_the_answer_of_the_client_must_go_on(users_hub, dial, code):
    client, scram = dial(users_hub), Scram(USER, PASSWORD)
    go_on(client, scram, begin(client, scram), code=code)
    client.expect_refused(PROTOCOL_ERROR, MALFORMED)


@covers("5:MQTT-4.12.0-5")
def test_the_answer_of_the_client_must_name_the_method(users_hub, dial):
    client, scram = dial(users_hub), Scram(USER, PASSWORD)
    go_on(client, scram, begin(client, scram), method="SCRAM-SHA-512")
    client.expect_refused(PROTOCOL_ERROR, BAD_METHOD)


BEFORE_CONNACK = {
    "PUBLISH": packets.publish(V5, "a", b"x"),
    "SUBSCRIBE": packets.subscribe(V5, ("#", 0)),
    "PINGREQ": packets.PING,
    "CONNECT": packets.connect(V5, "c"),
}


@pytest.mark.parametrize("raw", [*BEFORE_CONNACK.values()], ids=[*BEFORE_CONNACK])
@covers("5:MQTT-3.1.2-30")
def test_only_auth_and_disconnect_may_come_before_connack(users_hub, dial, raw):
    client = dial(users_hub)
    begin(client, Scram(USER, PASSWORD))
    client.send(raw)
    client.expect_refused(PROTOCOL_ERROR)


@covers("5:MQTT-4.12.1-1")
def test_a_client_may_authenticate_again(authenticated):
    scram = Scram(USER, PASSWORD)
    authenticated.send(packets.auth(REAUTHENTICATE, method_and_data(scram.first())))
    go_on(authenticated, scram, authenticated.expect(AUTH, code=CONTINUE))
    done = authenticated.expect(AUTH, code=SUCCESS)
    assert done.get(AUTHENTICATION_METHOD) == METHOD
    authenticated.expect_nothing()


@covers("5:MQTT-4.12.1-1")
def test_authenticating_again_by_another_method_closes_the_connection(authenticated):
    authenticated.send(packets.auth(REAUTHENTICATE, method_and_data(b"x", method="SCRAM-SHA-512")))
    authenticated.expect_closed(PROTOCOL_ERROR, BAD_METHOD)


@covers("5:MQTT-4.12.1-2")
def test_authenticating_again_in_vain_closes_the_connection(authenticated):
    scram = Scram(USER, "wrong")
    authenticated.send(packets.auth(REAUTHENTICATE, method_and_data(scram.first())))
    go_on(authenticated, scram, authenticated.expect(AUTH, code=CONTINUE))
    packet = authenticated.expect(DISCONNECT)
    assert packet.code in REFUSED
    authenticated.expect_end()
