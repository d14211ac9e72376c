"""A hub on a Kafka cluster: what was acknowledged stays when either of them dies, and what cannot be stored is said."""

import json
import time

import pytest

from crash.load import MqttPublisher, kill_under_load, wait_for_progress
from crash.test_kill import numbers_of, read_all
from support import kafka
from support.cluster import KafkaCluster
from support.hub import on_cluster
from support.mqtt import MqttClient
from support.waiting import eventually

# Dead brokers are noticed sooner than Kafka's defaults would.
QUICK = {
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "replica.lag.time.max.ms": 3000,
}
CLUSTER_DEADLINE_S = 90


@pytest.fixture
def new_cluster(tmp_path_factory):
    clusters = []

    def make(brokers=1, settings=None, start=True):
        cluster = KafkaCluster(tmp_path_factory.mktemp("cluster"), brokers, settings)
        clusters.append(cluster)
        return cluster.start() if start else cluster

    yield make
    for cluster in clusters:
        cluster.stop()


def reasons(hub):
    """Why the hub is not ready; none: it is."""
    status, body = hub.get("/readyz")
    return [] if status == 200 else json.loads(body)["reasons"]


def wait_until_in_sync(hub, replicas):
    client = kafka.admin(hub)

    def all_in_sync():
        topic = client.list_topics("mqtt", timeout=CLUSTER_DEADLINE_S).topics["mqtt"]
        return all(len(partition.isrs) == replicas for partition in topic.partitions.values())

    eventually(all_in_sync, f"{replicas} replicas are in sync", CLUSTER_DEADLINE_S)


def starts_publishers(hub, count=3, size=0):
    publishers = [
        MqttPublisher(hub, f"devices/dev{i}", retain=i == 0, size=size, patience_s=CLUSTER_DEADLINE_S) for i in range(count)
    ]
    for publisher in publishers:
        publisher.start()
    return publishers


def finish_with_all_stored(hub, publishers):
    for publisher in publishers:
        publisher.finish()
    records = read_all(hub, "mqtt", 1)
    for publisher in publishers:
        assert publisher.acknowledged == publisher.sent
        numbers = numbers_of(records, publisher.topic)
        assert list(dict.fromkeys(numbers)) == list(range(publisher.sent)), publisher.topic


def finish_with_all_stored_after_recovery(hub, publishers):
    eventually(lambda: reasons(hub) == [], "the hub is ready", CLUSTER_DEADLINE_S)
    wait_for_progress(publishers, 100, CLUSTER_DEADLINE_S)
    finish_with_all_stored(hub, publishers)


def assert_retained(hub, publisher):
    """Whoever subscribes now gets the last value that was acknowledged before, or a later one."""
    acknowledged = publisher.acknowledged
    with MqttClient(hub) as device:
        device.subscribe(publisher.topic)
        message = device.receive()
        # A value that is replaced while the retained ones are read comes as what it is: a new message.
        assert message.retain or publisher.is_alive()
        assert acknowledged - 1 <= int(message.payload) < publisher.sent


def test_acknowledged_messages_survive_kills_of_the_hub(new_hub, new_cluster):
    hub = new_hub(on_cluster(new_cluster()))
    publishers = starts_publishers(hub)
    kill_under_load(hub, publishers, kills=3, answers=100, then=lambda: assert_retained(hub, publishers[0]))
    finish_with_all_stored(hub, publishers)
    hub.kill()
    hub.start()
    assert_retained(hub, publishers[0])


def test_acknowledged_messages_survive_kills_of_brokers(new_hub, new_cluster):
    cluster = new_cluster(3, {**QUICK, "min.insync.replicas": 2})
    hub = new_hub(on_cluster(cluster))
    publishers = starts_publishers(hub)
    for broker in (1, 2, 3):
        wait_for_progress(publishers, 100)
        cluster.kill(broker)
        wait_for_progress(publishers, 100, CLUSTER_DEADLINE_S)
        assert hub.running()
        assert_retained(hub, publishers[0])
        cluster.start_again(broker)
        wait_until_in_sync(hub, 3)
    finish_with_all_stored(hub, publishers)
    assert_retained(hub, publishers[0])


def test_too_few_replicas_are_named_and_publishers_wait_for_them(new_hub, new_cluster):
    cluster = new_cluster(3, {**QUICK, "min.insync.replicas": 3})
    hub = new_hub(on_cluster(cluster, **{"kafka_cluster.timeout": "2m"}))
    publishers = starts_publishers(hub)
    wait_for_progress(publishers, 100)
    cluster.kill(3)

    def names_replicas():
        return any("of 3 in-sync replicas" in reason for reason in reasons(hub))

    eventually(names_replicas, "readyz names the replicas", CLUSTER_DEADLINE_S)
    cluster.start_again(3)
    finish_with_all_stored_after_recovery(hub, publishers)


def test_a_cluster_that_is_slow_makes_publishers_wait_and_then_fails_them(new_hub, new_cluster):
    timeout_s = 6
    cluster = new_cluster()
    hub = new_hub(on_cluster(cluster, **{"kafka_cluster.timeout": f"{timeout_s}s"}))
    with MqttClient(hub) as device:
        assert device.publish("dev/1", "before") == 0
        cluster.pause(1)
        begun = time.monotonic()
        assert device.publish("dev/1", "too late") >= 0x80
        waited = time.monotonic() - begun
        assert waited >= timeout_s - 1, "it was refused without waiting"  # the client's own deadline is the upper bound
        assert any("kafka_cluster" in reason for reason in reasons(hub)), reasons(hub)
        cluster.resume(1)
        eventually(lambda: reasons(hub) == [], "the hub is ready", CLUSTER_DEADLINE_S)
        assert device.publish("dev/1", "after") == 0


def test_a_full_buffer_makes_publishers_wait_in_bounded_memory(new_hub, new_cluster):
    cluster = new_cluster()
    hub = new_hub(on_cluster(cluster, **{"kafka_cluster.buffer": "4MiB", "kafka_cluster.timeout": "2m"}))
    # What they may send without an answer is 32 x 64 x 64 KiB: 128 MiB.
    publishers = starts_publishers(hub, 32, size=64 << 10)
    wait_for_progress(publishers, 10, CLUSTER_DEADLINE_S)
    before = hub.metric("process_resident_memory_bytes")
    cluster.pause(1)
    eventually(lambda: any("kafka_cluster.buffer is full" in reason for reason in reasons(hub)), "readyz names the buffer")
    assert hub.metric("process_resident_memory_bytes") - before < 48 << 20
    cluster.resume(1)
    finish_with_all_stored_after_recovery(hub, publishers)


def test_a_cluster_that_refuses_writes_fails_publishers_until_it_takes_them_again(new_hub, new_cluster):
    """Too few replicas stand for whatever makes brokers refuse: a full disk ends a broker instead."""
    cluster = new_cluster(3, {**QUICK, "min.insync.replicas": 3})
    hub = new_hub(on_cluster(cluster, **{"kafka_cluster.timeout": "6s"}))
    with MqttClient(hub) as device:
        assert device.publish("dev/1", "before") == 0
        cluster.kill(3)
        eventually(lambda: any("in-sync replicas" in reason for reason in reasons(hub)), "readyz", CLUSTER_DEADLINE_S)
        assert device.publish("dev/1", "refused") >= 0x80
        cluster.start_again(3)
        eventually(lambda: reasons(hub) == [], "the hub is ready", CLUSTER_DEADLINE_S)
        assert device.publish("dev/1", "after") == 0


def test_a_hub_waits_for_its_cluster_and_says_so(new_hub, new_cluster):
    cluster = new_cluster(start=False)
    hub = new_hub(on_cluster(cluster), start=False)
    hub.launch()
    hub.wait_for_admin()
    eventually(lambda: any("no broker answers" in reason for reason in reasons(hub)), "readyz names the cluster")
    assert "starting" in reasons(hub)
    cluster.start()
    hub.wait_until_listening()
    with MqttClient(hub) as device:
        assert device.publish("dev/1", "x") == 0
    assert reasons(hub) == []


def test_a_hub_that_waits_for_its_cluster_can_be_stopped(new_hub, new_cluster):
    hub = new_hub(on_cluster(new_cluster(start=False)), start=False)
    hub.launch()
    hub.wait_for_admin()
    assert hub.stop() == 0
