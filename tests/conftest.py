"""Fixtures of the end-to-end and crash tests: hubs, and names that no other test uses."""

import itertools
import re

import pytest

from support.cluster import KafkaCluster
from support.hub import BINARY, Hub, on_cluster

_names = itertools.count(1)

LOG_SHOWN = 4000  # characters of a log's end
BROKER_LINES_SHOWN = 30
# Whoever writes what retention may take shall notice at once, not when the look that Kafka takes after half a minute,
# and then each five minutes, falls into the test.
QUICK_RETENTION = {"log.initial.task.delay.ms": 0, "log.retention.check.interval.ms": 500}

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the hubs of the test have logged last, and what the cluster's brokers say of its streams."""
    report = yield
    if report.failed:
        for hub in _hubs_of(item):
            report.sections.append((f"log of the hub in {hub.data.parent}", _end_of_log(hub)))
            if hub.cluster:
                lines = [line for line in hub.cluster.log().splitlines() if item.funcargs.get("name", "") in line]
                report.sections.append(("brokers", "\n".join(lines[-BROKER_LINES_SHOWN:])))
    return report


def _hubs_of(item):
    arguments = getattr(item, "funcargs", {})
    hubs = [arguments.get("hub"), *getattr(arguments.get("new_hub"), "hubs", [])]
    return [hub for hub in hubs if isinstance(hub, Hub) and hub.log_path.exists()]


def _end_of_log(hub):
    return hub.log()[-LOG_SHOWN:]


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory):
    """One broker of Apache Kafka for all tests, started when the first of them needs it."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("cluster"), settings=QUICK_RETENTION).start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session", params=["one-shard", "two-shards", ON_CLUSTER])
def hub(request, tmp_path_factory):
    """A hub that all tests share which need nothing special; they run on one shard and on two, and those marked
    both_backends on a Kafka cluster, too."""
    settings = {"server.shards": 1 if request.param == "one-shard" else 2}
    cluster = request.getfixturevalue("kafka_cluster") if request.param == ON_CLUSTER else None
    if cluster:
        settings |= on_cluster(cluster)
    hub = Hub(tmp_path_factory.mktemp("hub"), settings)
    hub.cluster = cluster
    yield from _serve(hub)


@pytest.fixture
def new_hub(tmp_path_factory):
    """Makes hubs of one test: new_hub(settings) is started, new_hub(settings, start=False) is not."""
    hubs = []

    def make(settings=None, args=(), start=True):
        hub = Hub(tmp_path_factory.mktemp("own"), {**SMALL, **(settings or {})}, args)
        hubs.append(hub)
        return hub.start() if start else hub

    make.hubs = hubs
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
    assert hub.running(), f"the hub ended during the tests:\n{_end_of_log(hub)}"
    status = hub.stop()
    assert status == 0, f"the hub did not stop cleanly: {status}\n{_end_of_log(hub)}"
