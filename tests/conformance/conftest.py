"""The marker `covers`, and connections to one hub that all tests share."""

import itertools

import pytest

from conformance import packets
from conformance.client import Client
from conformance.packets import SUBACK, V5, V311
from support.hub import Hub

STANDARDS = {"3.1.1": V311, "5": V5}


def pytest_configure(config):
    config.addinivalue_line("markers", "covers(*statements): '3.1.1:MQTT-3.1.0-1' and the like; see conformance/table.py")


def pytest_generate_tests(metafunc):
    """A test runs in each version of which it covers a statement."""
    if "version" not in metafunc.fixturenames:
        return
    statements = [statement for marker in metafunc.definition.iter_markers("covers") for statement in marker.args]
    standards = sorted({statement.split(":")[0] for statement in statements})
    assert standards and set(standards) <= STANDARDS.keys(), f"{metafunc.definition.name} covers {statements}"
    metafunc.parametrize("version", [STANDARDS[standard] for standard in standards], ids=[f"v{each}" for each in standards])


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    hub = Hub(tmp_path_factory.mktemp("conformance")).start()
    yield hub
    assert hub.running(), f"the hub ended during the tests:\n{hub.log()[-4000:]}"
    assert hub.stop() == 0, f"the hub did not stop cleanly:\n{hub.log()[-4000:]}"


@pytest.fixture
def dial(hub, version):
    """dial() is a connection on which nothing was said yet; dial(other_hub) one to a hub of the test's own."""
    clients = []

    def make(to=hub, version=version):
        clients.append(Client(to.address("mqtt"), version))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def connected(dial):
    """connected("id", keep_alive=5, ...) is a client that the hub has accepted; `connack` is its answer."""

    def make(client_id="", *, to=None, **options):
        client = dial(to) if to else dial()
        client.connack = client.connect(client_id, **options)
        return client

    return make


@pytest.fixture
def due(connected, name):
    """due(client) is what the hub still had for `client`: all that comes before a message that is published now."""
    numbers = itertools.count(1)

    def ask(client):
        topic = f"{name}-due/{next(numbers)}"
        client.send(packets.subscribe(client.version, (topic, 0), packet_id=60_000))
        found = []
        while (packet := client.receive()).kind != SUBACK:
            found.append(packet)
        connected().publish(topic)
        while (packet := client.receive()).topic != topic:
            found.append(packet)
        return found

    return ask
