"""A Mosquitto at the edge that bridges its topics to the hub, both ways, as its users have it."""

import subprocess

import pytest

from interop.mqtt_servers import free_ports, is_open
from support.hub import Hub
from support.mqtt import V311, MqttClient
from support.waiting import DEADLINE_S, eventually


class Edge:
    """A broker with `listeners` and `address` like those of a hub, for MqttClient."""

    def __init__(self, folder, hub, protocol):
        (port,) = free_ports(1)
        self.listeners = {"mqtt": f"127.0.0.1:{port}"}
        lines = [
            f"listener {port} 127.0.0.1",
            "allow_anonymous true",
            "user root",
            "connection hub",
            "address {}:{}".format(*hub.address("mqtt")),
            f"bridge_protocol_version {protocol}",
            "restart_timeout 1",
            "topic # both 1",
        ]
        (folder / "edge.conf").write_text("\n".join(lines) + "\n")
        self._log = (folder / "edge.log").open("wb")
        self._process = subprocess.Popen(["mosquitto", "-c", folder / "edge.conf"], stdout=self._log, stderr=self._log)
        eventually(lambda: is_open(self.address("mqtt")), "the edge listens")

    def address(self, listener):
        host, port = self.listeners[listener].rsplit(":", 1)
        return host, int(port)

    def stop(self):
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0
        self._log.close()


@pytest.fixture(params=["mqttv31", "mqttv311", "mqttv50"])
def bridged(request, tmp_path):
    hub = Hub(tmp_path).start()
    edge = Edge(tmp_path, hub, request.param)
    try:
        eventually(lambda: hub.metric("sluice_subscriptions") == 1, "the bridge has subscribed")
        yield hub, edge
    finally:
        edge.stop()
        assert hub.stop() == 0


def test_messages_cross_the_bridge_once_and_do_not_come_back(bridged):
    """Both ends hear everything; what the bridge brought is not given back to it, or it would go round."""
    hub, edge = bridged
    with MqttClient(hub, V311) as at_hub, MqttClient(edge, V311) as at_edge:
        for client in (at_hub, at_edge):
            client.subscribe("#", 1)
        at_edge.publish("sensors/1", "up")
        assert at_hub.receive_pairs(1) == [("sensors/1", b"up")]
        at_hub.publish("commands/1", "down")
        assert at_hub.receive_pairs(1) == [("commands/1", b"down")]
        assert at_edge.receive_pairs(2) == [("sensors/1", b"up"), ("commands/1", b"down")]
        at_edge.publish("fence", "up again")
        assert at_hub.receive_pairs(1) == [("fence", b"up again")]
        assert at_edge.receive_pairs(1) == [("fence", b"up again")]


def test_retained_messages_stay_retained_across_it(bridged):
    hub, edge = bridged
    with MqttClient(hub, V311) as at_hub:
        at_hub.subscribe("state/#", 1)
        with MqttClient(edge, V311) as at_edge:
            at_edge.publish("state/pump", "on", retain=True)
        assert at_hub.receive_pairs(1) == [("state/pump", b"on")]
    with MqttClient(hub, V311) as later:
        later.subscribe("state/#", 1)
        message = later.receive()
        assert (message.payload, bool(message.retain)) == (b"on", True)
        later.publish("state/valve", "shut", retain=True)
    with MqttClient(edge, V311) as at_edge:

        def valve_is_known():
            at_edge.subscribe("state/valve", 1)
            got = at_edge.receive()
            return got.payload == b"shut" and got.retain

        eventually(valve_is_known, "the edge has the valve's state")
