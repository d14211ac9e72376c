"""Fixtures of the end-to-end and crash tests: hubs, and names that no other test uses."""

import itertools
import re

import pytest

from support.cluster import KafkaCluster
from support.hub import BINARY, Hub, on_cluster

_names = itertools.count(1)

# Small files for the hubs of one test; what clients send at once must fit into a journal file.
SMALL = {"log.journal_size": "4MiB", "mqtt.packet_max": "1MiB", "kafka.request_max": "2MiB"}


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: run ./dev build release", returncode=2)


ON_CLUSTER = "on-kafka"


def pytest_configure(config):
    config.addinivalue_line("markers", "both_backends: runs on a hub whose streams lie on a Kafka cluster as well")
    config.addinivalue_line("markers", "quick: clients of other people that the end-to-end stage runs as well")


def pytest_collection_modifyitems(items):
    """What a test says of the hub's own Kafka does not hold for a hub without one."""

    def runs(item):
        parameters = getattr(item, "callspec", None) and item.callspec.params or {}
        return parameters.get("hub") != ON_CLUSTER or item.get_closest_marker("both_backends")

    items[:] = filter(runs, items)


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory):
    """One broker of Apache Kafka for all tests, started when the first of them needs it."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("cluster")).start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session", params=["one-shard", "two-shards", ON_CLUSTER])
def hub(request, tmp_path_factory):
    """A hub that all tests share which need nothing special; they run on one shard and on two, and those marked
    both_backends on a Kafka cluster, too."""
    settings = {"server.shards": 1 if request.param == "one-shard" else 2}
    if request.param == ON_CLUSTER:
        settings |= on_cluster(request.getfixturevalue("kafka_cluster"))
    yield from _serve(Hub(tmp_path_factory.mktemp("hub"), settings))


@pytest.fixture
def new_hub(tmp_path_factory):
    """Makes hubs of one test: new_hub(settings) is started, new_hub(settings, start=False) is not."""
    hubs = []

    def make(settings=None, args=(), start=True):
        hub = Hub(tmp_path_factory.mktemp("own"), {**SMALL, **(settings or {})}, args)
        hubs.append(hub)
        return hub.start() if start else hub

    yield make
    for hub in hubs:
        if hub.running():
            hub.kill()


@pytest.fixture
def name(request):
    """A stream name or first topic level of this test alone."""
    return re.sub(r"[^a-z0-9]+", "-", request.function.__name__.removeprefix("test_"))[:40] + f"-{next(_names)}"


def _serve(hub):
    hub.start()
    yield hub
    assert hub.running(), f"the hub ended during the tests:\n{hub.log()[-4000:]}"
    status = hub.stop()
    assert status == 0, f"the hub did not stop cleanly: {status}\n{hub.log()[-4000:]}"
