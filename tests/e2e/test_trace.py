"""Live traces of a hub: `sluice trace client|topic|ip`, and what they say of messages that were not delivered."""

import re
import signal
import socket
import time

import pytest

from support.hub import Hub, sluice
from support.kafka import produce
from support.mqtt import V5, V311, MqttClient, connected_raw, publish_packet, subscribe_packet
from support.trace import tracing
from support.waiting import DEADLINE_S, eventually

NOT_AUTHORIZED = 0x87


@pytest.mark.parametrize("version", [V311, V5])
def test_a_client_is_seen_from_its_connect_to_its_end(hub, name, version):
    with tracing(hub, "client", name) as trace:
        with MqttClient(hub, version, client_id=name) as client:
            client.subscribe(f"{name}/+", 1)
            client.publish(f"{name}/x", "12345", qos=2)
            client.receive()
        trace.event("received", packet="CONNECT", version="5" if version == V5 else "3.1.1")
        trace.event("login", ok=True)
        trace.event("sent", packet="CONNACK")
        trace.event("received", packet="SUBSCRIBE")
        trace.event("sent", packet="SUBACK", codes=["0x01"])
        publish = trace.event("received", packet="PUBLISH")
        assert publish["topic"] == f"{name}/x" and publish["qos"] == 2 and publish["payload_size"] == 5
        assert "payload" not in publish
        trace.event("ended", reason="success")
    stored = next(event for event in trace.seen if event["event"] == "stored")
    delivered = next(event for event in trace.seen if event["event"] == "delivered")
    place = [stored[key] for key in ("stream", "partition", "offset")]
    assert place == [delivered[key] for key in ("stream", "partition", "offset")]
    assert delivered["qos"] == 1 and delivered["published_qos"] == 2
    assert {"PUBREC", "PUBCOMP"} <= {event.get("packet") for event in trace.seen if event["event"] == "sent"}


@pytest.mark.both_backends
def test_a_topic_shows_who_gets_its_messages_and_that_nobody_does(hub, name):
    with tracing(hub, "topic", f"{name}/#") as trace:
        with MqttClient(hub, client_id=f"{name}-p") as publisher:
            publisher.publish(f"{name}/lonely", "1")
            assert trace.event("message", topic=f"{name}/lonely")["subscribers"] == 0
            readers = [MqttClient(hub, client_id=f"{name}-{number}") for number in range(3)]
            for reader in readers:
                reader.subscribe(f"{name}/#")
            publisher.publish(f"{name}/x", "2")
            # Matches are counted a moment after the message went out: nobody leaves before.
            while trace.count("message") < 2 or trace.count("delivered") < 3:
                trace.next()
            for reader in readers:
                reader.close()
    assert [event["subscribers"] for event in trace.seen if event["event"] == "message"] == [0, 3]
    got = {event["client"] for event in trace.seen if event["event"] == "delivered"}
    assert got == {f"{name}-{number}" for number in range(3)}


def test_messages_of_kafka_clients_are_seen(hub, name):
    with tracing(hub, "topic", f"{name}/k", "--payload") as trace, MqttClient(hub, client_id=name) as reader:
        reader.subscribe(f"{name}/k", 1)
        produce(hub, "mqtt", [(f"{name}/k", b"by kafka")])
        message = trace.event("message", **{"from": "kafka"})
        assert message["subscribers"] == 1 and message["payload"] == "by kafka"


def test_a_client_that_is_denied_says_why(tmp_path):
    hub = Hub(tmp_path)
    sluice("user", "add", "ann", "--data", hub.data, input="pw")
    sluice("user", "add", "dev", "--data", hub.data, "--allow", "publish open/#", input="pw")
    hub.start()
    password = tmp_path / "pw"
    password.write_text("pw")
    login = ["--user", "ann", "--password-file", password]
    with tracing(hub, "client", "dev1", *login) as trace:
        MqttClient(hub, client_id="dev1", login=("dev", "wrong")).close()
        refused = trace.event("login", ok=False)
        assert "password" in refused["text"]
        trace.event("sent", packet="CONNACK", code="0x86")
        with MqttClient(hub, client_id="dev1", login=("dev", "pw")) as client:
            assert client.publish("closed/x", "1") == NOT_AUTHORIZED
            assert client.subscribe("open/x") == NOT_AUTHORIZED
        denied = trace.event("not_stored", topic="closed/x")
        assert denied["reason"] == "not_authorized"
        assert trace.event("sent", packet="SUBACK")["codes"] == ["0x87 not_authorized"]
    assert "a user and a password are needed" in sluice("trace", "client", "x", "--data", hub.data, expect=1).stderr
    assert hub.stop() == 0


def test_a_client_that_lags_says_where_it_is_and_when_it_has_caught_up(new_hub):
    hub = new_hub({"mqtt.max_inflight": 2})
    with tracing(hub, "client", "slow") as trace, MqttClient(hub, client_id="slow", manual_ack=True) as slow:
        slow.subscribe("t", 1)
        with MqttClient(hub) as publisher:
            for number in range(4):
                publisher.publish("t", str(number))
        full = trace.event("full", reason="client_does_not_acknowledge")
        assert full["in_flight"] == 2
        assert trace.event("left_tail")["reason"] == "takes_no_more"
        for _ in range(4):
            message = slow.receive()
            slow.client.ack(message.mid, message.qos)
        trace.event("joined_tail")
    assert sum(event["event"] == "delivered" for event in trace.seen) == 4


def test_an_address_shows_connections_that_never_log_in(hub, name):
    with tracing(hub, "ip", "127.0.0.1") as trace, connected_raw(hub, client_id=name):
        accepted = trace.event("accepted", listener=hub.listeners["mqtt"])
        assert accepted["peer"].startswith("127.0.0.1:")
        trace.event("received", packet="CONNECT", client=name)
        with socket.create_connection(hub.address("mqtt")) as stranger:
            stranger.sendall(b"\x00\x00")
            assert trace.event("ended", reason="malformed")["peer"].startswith("127.0.0.1:")


def test_the_text_is_for_people_and_shows_no_control_characters(hub, name):
    client_id = f"{name}\x1b[31m"
    with tracing(hub, "topic", f"{name}/#", "--payload", output="text") as trace:
        with MqttClient(hub, client_id=client_id) as client:
            client.subscribe(f"{name}/#")
            client.publish(f"{name}/\x07", "a\x1bb")
            wanted = ["<- PUBLISH", "-> PUBLISH", "1 subscriber matches"]
            while not all(any(part in line for line in trace.seen) for part in wanted):
                trace.next()
    seen = "\n".join(trace.seen)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", seen), seen
    published = next(line for line in trace.seen if "<- PUBLISH" in line)
    assert f"{name}\\x1b[31m" in published and f"{name}/\\x07" in published and '"a\\x1bb"' in published


def test_a_trace_ends_with_its_time_and_with_ctrl_c(hub, name):
    started = time.monotonic()
    told = sluice("trace", "client", name, "--data", hub.data, "--seconds", "1").stdout
    assert "the trace ends: the time is over" in told and time.monotonic() - started < DEADLINE_S
    with tracing(hub, "client", name) as trace:
        trace.process.send_signal(signal.SIGINT)
        assert trace.process.wait(DEADLINE_S) == 0


def test_a_hub_that_stops_ends_its_traces(new_hub):
    hub = new_hub()
    with tracing(hub, "client", "x") as trace:
        assert hub.stop() == 0
        assert trace.process.wait(DEADLINE_S) == 1
        assert "sluice:" in trace.process.stderr.read()


def test_there_are_at_most_four_traces(new_hub):
    hub = new_hub()
    with tracing(hub, "client", "1"), tracing(hub, "client", "2"), tracing(hub, "topic", "3"):
        with tracing(hub, "ip", "127.0.0.4") as last:
            refused = sluice("trace", "client", "5", "--data", hub.data, expect=1).stderr
            assert "4 traces are on already" in refused
            last.process.kill()
        told = eventually(lambda: started(hub), "a free place")
        assert "tracing client 5" in told


def started(hub):
    done = sluice("trace", "client", "5", "--data", hub.data, "--seconds", "1", expect=None)
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("words", [["client"], ["topic", "a/#/b"], ["client", "x", "--seconds", "0"], ["ip", ""]])
def test_wrong_usage_is_said(hub, words):
    assert sluice("trace", *words, "--data", hub.data, expect=2).stderr


@pytest.mark.parametrize("shards", [1, 2])
def test_a_reader_that_stalls_costs_bounded_memory_and_is_told_what_it_missed(new_hub, shards):
    """A bare socket that asks for a trace and does not read while very much happens."""
    hub = new_hub({"server.shards": shards})
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(hub.address("admin"))
        stalled.sendall(b"GET /api/v1/trace?topic=%23&payload=1024 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stalled.settimeout(DEADLINE_S)
        first = b""
        while b'"tracing"' not in first:
            first += stalled.recv(4096)
        with connected_raw(hub, client_id="flood") as flood:
            batch = publish_packet("t", b"x" * 1000, qos=0) * 50
            flood.send(subscribe_packet("t"))
            before = hub.metric("process_resident_memory_bytes")
            for _ in range(1200):
                flood.send(batch)
                flood.socket.recv(1 << 20)
            eventually(lambda: hub.metric("sluice_messages_received_total") >= 60_000, "all messages")
            grown = hub.metric("process_resident_memory_bytes") - before
        assert grown < 120 << 20, "60,000 messages make more than 200 MB of trace"
        text = first
        while b'"event":"dropped","count":' not in text:
            piece = stalled.recv(1 << 20)
            assert piece
            text += piece
        with MqttClient(hub) as other:
            assert other.publish("u", "x") == 0
