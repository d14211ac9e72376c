"""TLS for both faces, with the clients that people use."""

import re
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from support.hub import ROOT, sluice
from support.kafka import QUIET
from support.mqtt import MqttClient
from support.tls import Authority, Pair
from support.waiting import DEADLINE_S, eventually

TLS_PORTS = {"mqtt.tls_port": 0, "mqtt.wss_port": 0, "kafka.tls_port": 0}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def own(authority, tmp_path):
    """A certificate in files that a test may replace."""
    issued = authority.issue("localhost", "hub")
    return Pair(*(shutil.copy(path, tmp_path) for path in issued))


def settings(pair, **more):
    return {**TLS_PORTS, "tls.certificate": pair.certificate, "tls.key": pair.key, **more}


def secured(authority, pair=None):
    """paho's options."""
    files = {"certfile": pair.certificate, "keyfile": pair.key} if pair else {}
    return {"ca_certs": authority.certificate, **files}


def kafka_topics(hub, authority, **more):
    config = {"bootstrap.servers": hub.listeners["kafkas"], "security.protocol": "SSL", **QUIET, **more}
    admin = AdminClient({"ssl.ca.location": str(authority.certificate), **config})
    return set(admin.list_topics(timeout=5).topics)


def shown_certificate(hub, listener="mqtts", name="localhost"):
    """The subject of the certificate that a client gets to see, and the version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(hub.address(listener), timeout=DEADLINE_S) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            der = secure.getpeercert(binary_form=True)
    text = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-noout", "-subject"], input=der, capture_output=True, check=True
    )
    return text.stdout.decode().strip().removeprefix("subject=CN = ")


def alert(hub, pair=None):
    """What the hub says to a client that shows a certificate, or none. In TLS 1.3 it says so after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(*pair)
    with socket.create_connection(hub.address("mqtts"), timeout=DEADLINE_S) as plain:
        with pytest.raises(ssl.SSLError) as refused, context.wrap_socket(plain) as secure:
            secure.recv(1)
    return str(refused.value)


def s_client(hub, *args):
    host, port = hub.address("mqtts")
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", *args]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S)


def test_messages_pass_between_the_faces(new_hub, authority, own, name):
    hub = new_hub(settings(own))
    with MqttClient(hub, listener="mqtts", tls=secured(authority)) as client:
        client.subscribe(f"{name}/#", 1)
        client.publish(f"{name}/paho", "p")
        host, port = hub.address("mqtts")
        subprocess.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(port), "--cafile", authority.certificate]
            + ["-q", "1", "-t", f"{name}/mosquitto", "-m", "m"],
            check=True,
            timeout=DEADLINE_S,
        )
        assert client.receive_pairs(2) == [(f"{name}/paho", b"p"), (f"{name}/mosquitto", b"m")]
    read = subprocess.run(
        ["kcat", "-q", "-b", hub.listeners["kafkas"], "-X", "security.protocol=SSL"]
        + ["-X", f"ssl.ca.location={authority.certificate}", "-C", "-t", "mqtt", "-o", "beginning", "-e", "-f", "%k=%s\\n"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert read.stdout.splitlines() == [f"{name}/paho=p", f"{name}/mosquitto=m"], read.stderr
    assert hub.metric("sluice_tls_handshakes_total", protocol="mqtt", version="TLSv1.3") == 2


def test_large_messages_pass(new_hub, authority, own, name):
    hub = new_hub(settings(own))
    payload = bytes(range(256)) * 3000
    with MqttClient(hub, listener="mqtts", tls=secured(authority)) as client:
        client.subscribe(f"{name}/large", 1)
        for _ in range(5):
            client.publish(f"{name}/large", payload)
        assert all(message.payload == payload for message in (client.receive() for _ in range(5)))


def test_kafka_clients_find_the_listener_that_they_came_by(new_hub, authority, own):
    hub = new_hub(settings(own))
    assert "mqtt" in kafka_topics(hub, authority)
    with pytest.raises(KafkaException):
        kafka_topics(hub, authority, **{"security.protocol": "PLAINTEXT", "socket.timeout.ms": 3000})


def test_kafka_clients_are_sent_to_the_address_advertised_for_tls(new_hub, authority, own):
    told = {"kafka.advertised": "plain.example:9092", "kafka.tls_advertised": "secure.example:9093"}
    hub = new_hub(settings(own, **told))
    config = {"bootstrap.servers": hub.listeners["kafkas"], "security.protocol": "SSL", **QUIET}
    client = AdminClient({**config, "ssl.ca.location": str(authority.certificate)})
    (broker,) = client.list_topics(timeout=DEADLINE_S).brokers.values()
    assert (broker.host, broker.port) == ("secure.example", 9093)


def test_only_tls_1_2_and_1_3_are_spoken(new_hub, own):
    hub = new_hub(settings(own))
    for version, spoken in [("-tls1_2", True), ("-tls1_3", True), ("-tls1_1", False), ("-tls1", False)]:
        done = s_client(hub, version, "-cipher", "DEFAULT@SECLEVEL=0")
        assert (done.returncode == 0) == spoken, (version, done.stdout, done.stderr)
    assert hub.metric("sluice_channel_failures_total", reason="tls", transport="tls") == 2
    assert "tls: unsupported protocol" in hub.log()


def test_the_lowest_version_can_be_raised(new_hub, own):
    hub = new_hub(settings(own, **{"tls.min_version": "1.3"}))
    assert s_client(hub, "-tls1_2").returncode != 0
    assert s_client(hub, "-tls1_3").returncode == 0


def test_a_client_certificate_is_required_and_checked(new_hub, authority, own, tmp_path, name):
    hub = new_hub(
        settings(own, **{"tls.client_ca": authority.certificate, "tls.client_certificates": "required"})
    )
    stranger = Authority(tmp_path, "stranger").issue("device")
    expired = authority.issue("late device", "late", expired=True)
    assert "unknown ca" in alert(hub, stranger)
    assert "expired" in alert(hub, expired)
    assert "certificate required" in alert(hub)
    with MqttClient(hub, listener="mqtts", tls=secured(authority, authority.issue("device"))) as client:
        assert client.publish(f"{name}/a", "x") in (0, 0x10)
    eventually(lambda: "certificate has expired (CN=late device)" in hub.log(), "the reason in the log")
    assert hub.metric("sluice_channel_failures_total", reason="client_certificate") == 3


def test_the_host_name_chooses_the_certificate(new_hub, authority, own, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.mkdir()
    for host, common_name in [("a.example.org", "exact"), ("_.example.org", "wild")]:
        issued = authority.issue(common_name)
        shutil.copy(issued.certificate, hosts / f"{host}.crt")
        shutil.copy(issued.key, hosts / f"{host}.key")
    hub = new_hub(settings(own, **{"tls.sni_dir": hosts}))
    shown = [shown_certificate(hub, name=name) for name in ("a.example.org", "b.example.org", "other.org")]
    assert shown == ["exact", "wild", "localhost"]


def replace(pair, issued):
    for target, source in zip(pair, issued, strict=True):
        shutil.copy(source, target)


def test_a_signal_reloads_without_dropping_anybody(new_hub, authority, own, name):
    hub = new_hub(settings(own))
    with MqttClient(hub, listener="mqtts", tls=secured(authority)) as client:
        client.subscribe(f"{name}/a", 1)
        replace(own, authority.issue("second"))
        hub.process.send_signal(signal.SIGHUP)
        eventually(lambda: shown_certificate(hub) == "second", "the new certificate")
        assert shown_certificate(hub, "kafkas") == shown_certificate(hub, "wss") == "second"
        client.publish(f"{name}/a", "still here")
        assert client.receive().payload == b"still here"
        assert client.disconnected.empty()


def test_renewed_files_are_noticed(new_hub, authority, own):
    hub = new_hub(settings(own))
    replace(own, authority.issue("renewed"))
    eventually(lambda: shown_certificate(hub) == "renewed", "the new certificate")


def test_a_reload_that_fails_keeps_the_old_certificate(new_hub, authority, own):
    hub = new_hub(settings(own))
    shutil.copy(authority.issue("other").key, own.key)
    eventually(lambda: "the key does not belong to the certificate" in hub.log(), "the reason in the log")
    assert shown_certificate(hub) == "localhost"


def test_an_expired_certificate_is_served_with_a_warning(new_hub, authority, own):
    replace(own, authority.issue("late hub", "late-hub", expired=True))
    hub = new_hub(settings(own))
    assert "the certificate expired on 2020-02-01" in hub.log()
    with pytest.raises(ssl.SSLError, match="expired"):
        MqttClient(hub, listener="mqtts", tls=secured(authority))
    assert hub.metric("sluice_tls_certificate_expiry_timestamp_seconds") == 1580515200


@pytest.mark.parametrize(
    "broken,told",
    [
        ({"tls.certificate": "/nowhere.crt"}, "tls.certificate: /nowhere.crt: No such file or directory"),
        ({"tls.certificate": "/etc/hostname"}, "/etc/hostname: no certificate in PEM format"),
        ({"tls.certificate": ""}, 'mqtt.tls_port needs a certificate: add certificate = "/path/to/server.crt"'),
        ({"tls.client_certificates": "required"}, "needs an authority to check them by"),
    ],
    ids=["missing", "not-pem", "not-set", "no-authority"],
)
def test_a_wrong_setting_is_told(own, tmp_path, broken, told):
    values = {"mqtt.port": 0, "mqtt.ws_port": 0, "kafka.port": 0, "admin.port": 0, "mqtt.tls_port": 0}
    values |= {"tls.certificate": own.certificate, "tls.key": own.key, **broken}
    sets = [f"--set={key}={value}" for key, value in values.items()]
    assert told in sluice("server", "--data", tmp_path / "data", *sets, expect=1).stderr


def test_the_lines_of_the_manual_make_certificates_that_work(new_hub, tmp_path, name):
    manual = (ROOT / "docs/reference/tls.md").read_text()
    lines = re.search(r"```sh\n(.*?)```", manual, re.DOTALL)[1]
    subprocess.run(["sh", "-e", "-c", lines], cwd=tmp_path, check=True, capture_output=True, timeout=DEADLINE_S)
    hub = new_hub(settings(Pair(tmp_path / "hub.crt", tmp_path / "hub.key")))
    with MqttClient(hub, listener="mqtts", tls={"ca_certs": tmp_path / "ca.crt"}) as client:
        assert client.publish(f"{name}/a", "x") in (0, 0x10)
