"""Every Kafka client x every capability, on sluice and on Apache Kafka as control.

Each test fills a cell of the matrix that is printed at the end (conftest.py).
"""

import itertools
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.kafka_drivers import DRIVERS
from interop.kafka_servers import ApacheKafka, Sluice

from support.waiting import DEADLINE_S, eventually

COUNT = 100
PARTITIONS = 4
REFERENCE = next(driver for driver in DRIVERS if driver.name.startswith("librdkafka 2.16"))

_topics = itertools.count(1)


@pytest.fixture(scope="module", params=[Sluice, ApacheKafka], ids=["sluice", "kafka"])
def server(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp(request.param.__name__.lower()))
    yield started
    started.stop()


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def client(request):
    return request.param


@pytest.fixture
def cell(request, server, client):
    """Names the matrix cell of this test: cell("group")."""

    def name(capability):
        request.node.user_properties.append(("cell", ("Kafka", server.name, client.name, capability)))

    return name


def make_topic(connection, partitions=1):
    settings = {"bootstrap.servers": connection["BOOTSTRAP"], "security.protocol": "plaintext"}
    if "TLS_CA" in connection:
        settings |= {"security.protocol": "ssl", "ssl.ca.location": connection["TLS_CA"]}
    if "SASL_MECHANISM" in connection:
        settings |= {
            "security.protocol": "sasl_" + settings["security.protocol"],
            "sasl.mechanism": connection["SASL_MECHANISM"],
            "sasl.username": connection["SASL_USER"],
            "sasl.password": connection["SASL_PASSWORD"],
        }
    topic = f"matrix-{next(_topics)}"
    admin = AdminClient(settings)
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(DEADLINE_S)
    return topic


def expected(count, first=0):
    return {f"k{i}": f"v{i}" for i in range(first, first + count)}


def records(lines):
    found = {line["key"]: line["value"] for line in lines}
    assert len(found) == len(lines), "a record came twice"
    return found


def test_produce(server, client, cell):
    cell("produce")
    connection = server.connection()
    topic = make_topic(connection, PARTITIONS)
    assert client.call(connection, "produce", topic, COUNT, "none") == [{"produced": COUNT}]
    assert records(REFERENCE.call(connection, "consume", topic, COUNT)) == expected(COUNT)


def test_consume(server, client, cell):
    cell("consume")
    connection = server.connection()
    topic = make_topic(connection, PARTITIONS)
    REFERENCE.call(connection, "produce", topic, COUNT, "none")
    assert records(client.call(connection, "consume", topic, COUNT)) == expected(COUNT)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compression(server, client, cell, codec):
    cell(codec)
    if codec not in client.codecs:
        pytest.skip(f"{client.name} has no {codec}")
    connection = server.connection()
    topic = make_topic(connection)
    client.call(connection, "produce", topic, COUNT, codec)
    assert records(client.call(connection, "consume", topic, COUNT)) == expected(COUNT)
    assert records(REFERENCE.call(connection, "consume", topic, COUNT)) == expected(COUNT)


def test_group_with_rebalance(server, client, cell):
    cell("group")
    connection = server.connection()
    topic = make_topic(connection, PARTITIONS)
    everything = set(range(PARTITIONS))
    with client.member(connection, topic, f"{topic}-group") as first:
        first.wait(lambda: first.assigned == everything, "the first member has all partitions")
        with client.member(connection, topic, f"{topic}-group") as second:
            second.wait(lambda: second.assigned, "the second member has some partitions")

            def shared():
                first.drain()
                second.drain()
                both = first.assigned and second.assigned
                return both and not first.assigned & second.assigned and first.assigned | second.assigned == everything

            eventually(shared, "both members share the partitions")
            REFERENCE.call(connection, "produce", topic, COUNT, "none")

            def all_read():
                first.drain()
                second.drain()
                return len(first.values) + len(second.values) >= COUNT

            eventually(all_read, "both members together have read everything")
            assert sorted(first.values + second.values) == sorted(expected(COUNT).values())
            second.stop()
        first.wait(lambda: first.assigned == everything, "the first member has all partitions again")


def test_commit(server, client, cell):
    cell("commit")
    connection = server.connection()
    topic = make_topic(connection)
    group = f"{topic}-group"
    REFERENCE.call(connection, "produce", topic, COUNT, "none")
    with client.member(connection, topic, group) as member:
        member.wait(lambda: len(member.values) == COUNT, "everything is read")
        member.stop()
    REFERENCE.call(connection, "produce", topic, 3, "none")
    with client.member(connection, topic, group) as member:
        member.wait(lambda: len(member.values) == 3, "what came since is read")
        member.stop()
        assert member.values == ["v0", "v1", "v2"], "committed records came again"


def test_seek_by_time(server, client, cell):
    cell("seek by time")
    connection = server.connection()
    topic = make_topic(connection)
    REFERENCE.call(connection, "produce", topic, 5, "none")
    after = int(time.time() * 1000) + 1
    eventually(lambda: time.time() * 1000 > after, "a later millisecond")
    REFERENCE.call(connection, "produce", topic, 5, "none")
    [found] = client.call(connection, "seek", topic, after)
    assert found["offset"] == 5


def test_tls(server, client, cell):
    cell("TLS")
    check_both_ways(server.connection(tls=True), client)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl(server, client, cell, mechanism):
    cell(mechanism)
    if mechanism not in server.mechanisms:
        pytest.skip(f"{server.name} is set up without {mechanism}")
    if (client.name, mechanism) in getattr(server, "impossible", ()):
        pytest.skip(f"{server.name} refuses {mechanism} of {client.name}")
    check_both_ways(server.connection(mechanism=mechanism), client)


def test_tls_and_sasl(server, client, cell):
    cell("SASL_SSL")
    check_both_ways(server.connection(tls=True, mechanism="PLAIN"), client)


def check_both_ways(connection, client):
    topic = make_topic(connection)
    client.call(connection, "produce", topic, COUNT, "none")
    assert records(client.call(connection, "consume", topic, COUNT)) == expected(COUNT)
