"""MQTT.js over TCP, TLS and WebSocket."""

import json
import os

import pytest
from interop.drivers import HERE, JS_ENVIRONMENT, prepare_js, run
from interop.servers import make_certificates

from support.hub import Hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mqtt-js")
    ca, certificate, key = make_certificates(folder)
    ports = {"mqtt.tls_port": 0, "mqtt.ws_port": 0, "mqtt.wss_port": 0}
    hub = Hub(folder, {**ports, "tls.certificate": certificate, "tls.key": key})
    hub.ca = ca
    prepare_js()
    yield hub.start()
    assert hub.stop() == 0


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])
@pytest.mark.parametrize(
    "listener,scheme,path",
    [("mqtt", "mqtt", ""), ("mqtts", "mqtts", ""), ("ws", "ws", "/mqtt"), ("wss", "wss", "/mqtt")],
    ids=["tcp", "tls", "ws", "wss"],
)
def test_messages_come_back_whole_and_in_order(hub, listener, scheme, path, version, qos):
    url = f"{scheme}://{hub.listeners[listener]}{path}"
    ca = [hub.ca] if scheme in ("mqtts", "wss") else []
    environment = {**os.environ, **JS_ENVIRONMENT}
    out = run("node", HERE / "js/mqtt_driver.js", url, version, qos, *ca, env=environment)
    assert json.loads(out) == {"received": 20, "right": True}
