"""Users, passwords and rules as MQTT, Kafka and HTTP clients meet them; `sluice user`; changes while the hub runs."""

import base64
import json
import os
import stat
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from support.hub import ANY_PORTS, Hub, sluice
from support.kafka import QUIET
from support.mqtt import V5, V311, MqttClient
from support.tls import Authority
from support.waiting import DEADLINE_S, eventually

ANN = ("ann", "secret of ann")
BOB = ("bob", "secret of bob")
BAD_USER_OR_PASSWORD = 0x86
NOT_AUTHORIZED = 0x87


def add_user(data, name, password, *flags):
    return sluice("user", "add", name, "--data", data, *flags, input=password + "\n")


@pytest.fixture(scope="module")
def users_hub(tmp_path_factory):
    """ann may do everything; bob only what concerns `open`."""
    hub = Hub(tmp_path_factory.mktemp("users"))
    add_user(hub.data, *ANN)
    add_user(
        hub.data,
        *BOB,
        *["--allow=publish open/%c/#", "--allow=subscribe open/#", "--deny=subscribe open/secret/#"],
        *["--allow=read open", "--allow=write open"],
    )
    hub.start()
    client = admin(hub, ANN)
    for topic in ("open", "closed"):
        create(client, topic)
    yield hub
    assert hub.stop() == 0


def sasl(login, mechanism="PLAIN"):
    return {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanisms": mechanism,
        "sasl.username": login[0],
        "sasl.password": login[1],
    }


def admin(hub, login):
    return AdminClient({"bootstrap.servers": hub.kafka, **QUIET, **sasl(login)})


def create(client, topic):
    client.create_topics([NewTopic(topic, 1, 1)], operation_timeout=DEADLINE_S)[topic].result(DEADLINE_S)


def topics(hub, login, mechanism="PLAIN"):
    client = AdminClient({"bootstrap.servers": hub.kafka, **QUIET, **sasl(login, mechanism)})
    return set(client.list_topics(timeout=DEADLINE_S).topics)


def refusal(hub, login, mechanism):
    """What a Kafka client is told that may not log in."""
    errors = []
    client = Producer(
        {"bootstrap.servers": hub.kafka, **QUIET, **sasl(login, mechanism), "error_cb": lambda error: errors.append(error)}
    )
    eventually(lambda: client.poll(0.1) is not None and errors, "an error of the login")
    return errors[0]


def next_message(reader):
    """A record or an error."""
    return eventually(lambda: [message for message in [reader.poll(0.5)] if message is not None], "a message")[0]


# --- sluice user


def test_the_file_of_users_is_made_listed_and_changed_by_commands(tmp_path):
    told = add_user(tmp_path, *ANN).stdout
    assert "added user 'ann'" in told and "may do everything" in told
    file = tmp_path / "users.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ANN[1] not in file.read_text()
    generated = sluice("user", "add", "dev1", "--file", file, "--generate", "--allow", "publish d/%u/#").stdout
    assert len(generated.split("password: ")[1].strip()) == 24

    rows = [json.loads(line) for line in sluice("user", "list", "--data", tmp_path, "-o", "json").stdout.splitlines()]
    assert rows == [
        {"name": "ann", "password": "set", "rules": ["allow all"]},
        {"name": "dev1", "password": "set", "rules": ["allow publish d/%u/#"]},
    ]
    before = file.read_text()
    sluice("user", "passwd", "ann", "--data", tmp_path, input="another\n")
    assert file.read_text() != before
    sluice("user", "remove", "dev1", "--data", tmp_path)
    assert "nobody can log in" in sluice("user", "remove", "ann", "--data", tmp_path).stdout


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["user", "add", "x", "--allow", "pubish a"], 'did you mean "publish"'),
        (["user", "add", "x", "--deny", "publish a/#/b"], "'#' before its last level"),
        (["user", "add", "a/b"], "a user's name has"),
        (["user", "add", "x", "--iterations", "5"], "iterations"),
        (["user", "add", "x"], "there is no password in the standard input"),
    ],
)
def test_what_cannot_be_is_refused_and_named(tmp_path, arguments, told):
    assert told in sluice(*arguments, "--data", tmp_path, expect=2, input="").stderr
    assert not (tmp_path / "users.toml").exists()


def test_users_that_are_there_or_not_there(tmp_path):
    add_user(tmp_path, *ANN)
    assert "there is a user 'ann'" in sluice("user", "add", "ann", "--data", tmp_path, expect=1, input="x\n").stderr
    for verb in ("passwd", "remove"):
        told = sluice("user", verb, "bob", "--data", tmp_path, expect=1, input="x\n").stderr
        assert "there is no user 'bob'" in told


# --- the network


def test_beyond_loopback_a_hub_wants_users_or_the_line_that_says_otherwise(tmp_path):
    sets = [f"--set={key}={value}" for key, value in ANY_PORTS.items()]
    command = ["server", "--data", tmp_path / "data", *sets, "--set=mqtt.address=0.0.0.0"]
    told = sluice(*command, expect=1).stderr
    assert "access.allow_anonymous = true" in told
    assert f"sluice user add NAME --file {tmp_path}/data/users.toml" in told

    add_user(tmp_path / "data", *ANN)
    hub = Hub(tmp_path, {"mqtt.address": "0.0.0.0"}).start()
    assert hub.stop() == 0


def test_a_broken_file_ends_the_start_and_the_line_is_named(tmp_path):
    (tmp_path / "users.toml").write_text('[users.ann]\nrules = [\n  "allow evrything",\n]\n')
    told = sluice("server", "--data", tmp_path, expect=1).stderr
    assert f'{tmp_path}/users.toml:3: user "ann": rule "allow evrything"' in told


# --- MQTT


@pytest.mark.parametrize("version, code", [(V311, NOT_AUTHORIZED), (V5, BAD_USER_OR_PASSWORD)])
@pytest.mark.parametrize("login", [("ann", "wrong"), ("nobody", "x"), None])
def test_mqtt_clients_are_let_in_by_the_right_password_only(users_hub, version, code, login):
    with MqttClient(users_hub, version, login=ANN) as client:
        assert client.connack_reason.value == 0
    refused = MqttClient(users_hub, version, login=login)
    assert refused.connack_reason.value in (code, BAD_USER_OR_PASSWORD, NOT_AUTHORIZED)
    assert refused.connack_reason.is_failure
    refused.close()


def test_mosquitto_clients_log_in(users_hub):
    options = [*users_hub.mosquitto_options(), "-t", "open/m/1", "-m", "x", "-q", "1"]
    subprocess.run(["mosquitto_pub", *options, "-u", ANN[0], "-P", ANN[1]], check=True, timeout=DEADLINE_S)
    done = subprocess.run(
        ["mosquitto_pub", *options, "-u", ANN[0], "-P", "wrong"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode != 0
    assert "bad user name or password" in done.stderr


def test_rules_say_what_an_mqtt_client_may(users_hub):
    with MqttClient(users_hub, client_id="c1", login=BOB) as bob:
        assert bob.publish("open/c1/a", "x") in (0, 0x10)
        assert bob.publish("open/c2/a", "x") == NOT_AUTHORIZED
        assert bob.publish("closed/a", "x") == NOT_AUTHORIZED
        assert bob.subscribe("open/c1/+", 1) == 1
        for forbidden in ("#", "open/#", "open/+/a", "open/secret/x", "closed/#"):
            assert bob.subscribe(forbidden, 1) == NOT_AUTHORIZED, forbidden
        assert bob.publish("open/c1/a", "y") in (0, 0x10)
        assert bob.receive().topic == "open/c1/a"
    with MqttClient(users_hub, V311, client_id="c1", login=BOB) as bob:
        assert bob.subscribe("closed/#", 1) == 0x80


# --- Kafka


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_kafka_clients_log_in_by_each_mechanism(users_hub, mechanism):
    assert {"open", "closed", "mqtt"} <= topics(users_hub, ANN, mechanism)
    failures = users_hub.metric("sluice_auth_failures_total", reason="wrong_password")
    error = refusal(users_hub, ("ann", "wrong"), mechanism)
    assert "wrong user or password" in str(error) or "Authentication" in str(error)
    assert users_hub.metric("sluice_auth_failures_total", reason="wrong_password") > failures
    assert "login refused" in users_hub.log() and "wrong password" in users_hub.log()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_kcat_logs_in(users_hub, mechanism):
    """Debian's kcat has a librdkafka that doubles its nonce."""
    flags = [f"-X{key}={value}" for key, value in sasl(ANN, mechanism).items()]
    done = subprocess.run(
        ["kcat", "-b", users_hub.kafka, *flags, "-L", "-J"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
    assert "open" in {topic["topic"] for topic in json.loads(done.stdout)["topics"]}


def test_a_replay_gives_nobody_more_than_a_subscription_would(users_hub):
    with MqttClient(users_hub, login=BOB) as bob, MqttClient(users_hub, login=ANN) as ann:
        for topic in ("open/replayed", "open/secret/replayed"):
            ann.publish(topic, topic)
        for stream_filter in ("mqtt", "mqtt/#", "mqtt/open/#", "open", "open/secret/replayed", "closed", "closed/replayed"):
            assert bob.replay(f"$stream/{stream_filter}", "earliest")[0] == NOT_AUTHORIZED, stream_filter
        for client, stream_filter in [(bob, "open/replayed"), (ann, "open/+"), (ann, "open/secret/replayed")]:
            assert client.replay(f"$stream/{stream_filter}", "earliest") == (1, None)
        assert bob.receive().topic == "open/replayed"
        assert {ann.receive().topic for _ in range(2)} == {"open/replayed", "open/secret/replayed"}


def test_a_kafka_client_without_a_login_is_closed_with_a_line_in_the_log(users_hub):
    done = subprocess.run(
        ["kcat", "-b", users_hub.kafka, "-L", "-m", "2"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode != 0
    assert "no user given" in users_hub.log()


def test_a_command_says_that_its_login_is_refused(users_hub, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    for command in (["stream", "list"], ["pub", "a", "-m", "x"]):
        told = sluice(*command, "--data", users_hub.data, expect=1).stderr
        assert "--user NAME" in told
    login = ("--data", users_hub.data, "--user", "ann", "--password-file", wrong)
    assert "refused the login of 'ann'" in sluice("stream", "list", *login, expect=1).stderr
    assert "Bad User Name or Password" in sluice("pub", "a", "-m", "x", *login, expect=1).stderr


def test_rules_say_what_a_kafka_client_may(users_hub):
    assert topics(users_hub, BOB) == {"open"}
    producer = Producer({"bootstrap.servers": users_hub.kafka, **QUIET, **sasl(BOB)})
    outcome = {}
    for topic in ("open", "closed"):
        producer.produce(topic, b"x", on_delivery=lambda error, message: outcome.update({message.topic(): error}))
    assert producer.flush(DEADLINE_S) == 0
    assert outcome["open"] is None
    assert outcome["closed"].name() == "TOPIC_AUTHORIZATION_FAILED"

    reader = Consumer({"bootstrap.servers": users_hub.kafka, "group.id": "bobs", **QUIET, **sasl(BOB)})
    reader.subscribe(["closed"])
    message = next_message(reader)
    assert message.error().name() == "TOPIC_AUTHORIZATION_FAILED"
    reader.close()
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        create(admin(users_hub, BOB), "new")
    client = admin(users_hub, BOB)
    for topic in ("open", "closed"):
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            client.delete_topics([topic])[topic].result(DEADLINE_S)


def test_a_group_may_be_used_by_who_may_read(users_hub):
    producer = Producer({"bootstrap.servers": users_hub.kafka, **QUIET, **sasl(BOB)})
    producer.produce("open", b"for the group")
    assert producer.flush(DEADLINE_S) == 0
    settings = {"group.id": "readers", "auto.offset.reset": "earliest", **QUIET, **sasl(BOB)}
    reader = Consumer({"bootstrap.servers": users_hub.kafka, **settings})
    reader.subscribe(["open"])
    assert next_message(reader).error() is None
    reader.commit(asynchronous=False)
    reader.close()


# --- HTTP


def test_the_admin_port_asks_for_a_login_beyond_its_open_pages(users_hub):
    for page in ("/healthz", "/readyz", "/metrics"):
        assert users_hub.get(page)[0] == 200

    def status(login):
        request = urllib.request.Request(f"http://{users_hub.listeners['admin']}/else")
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=DEADLINE_S)
        return raised.value.code, raised.value.headers.get("WWW-Authenticate")

    assert status(None) == (401, 'Basic realm="sluice", charset="UTF-8"')
    assert status(("ann", "wrong"))[0] == 401
    assert status(BOB)[0] == 403
    assert status(ANN)[0] == 404


# --- while the hub runs


def test_a_change_of_the_file_holds_for_open_connections_and_a_broken_one_for_none(new_hub):
    hub = new_hub(start=False)
    add_user(hub.data, *ANN)
    hub.start()
    file = hub.data / "users.toml"
    good = file.read_text()

    def replace(text):
        next_file = file.with_suffix(".next")
        next_file.write_text(text)
        os.replace(next_file, file)

    with MqttClient(hub, login=ANN) as ann:
        assert ann.publish("a/b", "x") in (0, 0x10)
        replace(good.replace("allow all", "allow publish c/#"))
        eventually(lambda: ann.publish("a/b", "x") == NOT_AUTHORIZED, "the new rule")
        assert ann.publish("c/d", "x") in (0, 0x10)

        replace(good.replace("allow all", "allow anything"))
        eventually(lambda: 'users.toml:' in hub.log() and "allow anything" in hub.log(), "a line about the broken file")
        assert ann.publish("c/d", "x") in (0, 0x10)
        assert ann.publish("a/b", "x") == NOT_AUTHORIZED

        file.unlink()
        eventually(lambda: "is gone" in hub.log(), "a line about the missing file")
        assert ann.publish("a/b", "x") == NOT_AUTHORIZED

        sluice("user", "add", BOB[0], "--file", file, "--no-password")
        eventually(lambda: ann.publish("c/d", "x") == NOT_AUTHORIZED, "ann is no user any more")


def test_the_first_user_closes_an_open_hub(new_hub):
    hub = new_hub()
    with MqttClient(hub) as anybody:
        assert anybody.publish("a/b", "x") in (0, 0x10)
        add_user(hub.data, *ANN)
        eventually(lambda: anybody.publish("a/b", "x") == NOT_AUTHORIZED, "the first user")
    with MqttClient(hub, login=ANN) as ann:
        assert ann.publish("a/b", "x") in (0, 0x10)


def test_anonymous_clients_have_rules_of_their_own(new_hub):
    hub = new_hub({"access.allow_anonymous": "true"}, start=False)
    add_user(hub.data, *ANN)
    sluice("user", "add", "anonymous", "--data", hub.data, "--allow", "publish open/#", "--allow", "read mqtt")
    hub.start()
    with MqttClient(hub) as anybody:
        assert anybody.publish("open/a", "x") in (0, 0x10)
        assert anybody.publish("closed/a", "x") == NOT_AUTHORIZED
    client = AdminClient({"bootstrap.servers": hub.kafka, **QUIET})
    assert set(client.list_topics(timeout=DEADLINE_S).topics) == {"mqtt"}


def test_a_client_certificate_names_a_user(new_hub, tmp_path):
    authority = Authority(tmp_path)
    own = authority.issue("localhost")
    settings = {
        **{"mqtt.tls_port": 0, "kafka.tls_port": 0, "tls.certificate": own.certificate, "tls.key": own.key},
        **{"tls.client_ca": authority.certificate, "tls.client_certificates": "optional"},
    }
    hub = new_hub(settings, start=False)
    sluice("user", "add", "device", "--data", hub.data, "--no-password", "--allow=publish d/%u/#", "--allow=read mqtt")
    hub.start()

    def certificate(name):
        pair = authority.issue(name)
        return {"ca_certs": authority.certificate, "certfile": pair.certificate, "keyfile": pair.key}

    with MqttClient(hub, listener="mqtts", tls=certificate("device")) as device:
        assert device.publish("d/device/a", "x") in (0, 0x10)
        assert device.publish("d/other/a", "x") == NOT_AUTHORIZED
    for tls in (certificate("stranger"), {"ca_certs": authority.certificate}):
        refused = MqttClient(hub, listener="mqtts", tls=tls)
        assert refused.connack_reason.is_failure
        refused.close()

    pair = authority.issue("device")
    client = AdminClient(
        {
            **{"bootstrap.servers": hub.listeners["kafkas"], "security.protocol": "SSL", **QUIET},
            **{"ssl.ca.location": str(authority.certificate), "ssl.endpoint.identification.algorithm": "none"},
            **{"ssl.certificate.location": str(pair.certificate), "ssl.key.location": str(pair.key)},
        }
    )
    assert set(client.list_topics(timeout=DEADLINE_S).topics) == {"mqtt"}


# --- storms


def test_messages_flow_while_many_try_wrong_passwords(new_hub):
    """A password of 200,000 iterations takes some 50 ms to check; forty clients try wrong ones all the time."""
    hub = new_hub(start=False)
    add_user(hub.data, *ANN)
    add_user(hub.data, *BOB, "--iterations", "200000")
    hub.start()
    stop = threading.Event()

    def try_wrong_passwords(number):
        while not stop.is_set():
            client = MqttClient(hub, login=("bob", f"wrong {number}"))
            assert client.connack_reason.is_failure
            client.close()

    with MqttClient(hub, login=ANN) as ann:
        ann.subscribe("a/#", 1)
        threads = [threading.Thread(target=try_wrong_passwords, args=(i,)) for i in range(40)]
        for thread in threads:
            thread.start()
        failures = lambda: hub.metric("sluice_auth_failures_total", reason="wrong_password")  # noqa: E731
        eventually(lambda: failures() >= 3, "the storm")
        begun = failures()
        for number in range(200):
            assert ann.publish("a/b", str(number)) in (0, 0x10)
            assert ann.receive().payload == str(number).encode()
        during = failures() - begun
        stop.set()
        for thread in threads:
            thread.join()
    # Had each message waited behind the passwords, 200 of them would have seen hundreds checked.
    assert during < 200, "messages waited for passwords"
