"""Fixtures of the end-to-end and crash tests: hubs, and names that no other test uses."""

import itertools
import re

import pytest

from support.hub import BINARY, Hub

_names = itertools.count(1)

# Small files for the hubs of one test; what clients send at once must fit into a journal file.
SMALL = {"log.journal_size": "4MiB", "mqtt.packet_max": "1MiB", "kafka.request_max": "2MiB"}


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: run ./dev build release", returncode=2)


@pytest.fixture(scope="session", params=[1, 2], ids=["one-shard", "two-shards"])
def hub(request, tmp_path_factory):
    """A hub that all tests share which need nothing special; they run on one shard and on two."""
    yield from _serve(Hub(tmp_path_factory.mktemp("hub"), {"server.shards": request.param}))


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
