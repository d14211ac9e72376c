"""Changes of topics by a Kafka admin client, and what the hub's own clients see of them."""

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    OffsetSpec,
)

from support import kafka
from support.hub import sluice
from support.waiting import DEADLINE_S


def alter(hub, name, *entries):
    """entries: (setting, value, operation)"""
    changes = [
        ConfigEntry(setting, value, source=ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=operation)
        for setting, value, operation in entries
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=changes)
    client = kafka.admin(hub)
    return client.incremental_alter_configs([resource])[resource].result(DEADLINE_S)


def test_settings_are_changed_one_by_one(hub, name):
    kafka.create_topic(hub, name)
    default = kafka.describe(hub, name)["segment.ms"]
    alter(hub, name, ("retention.ms", "60000", AlterConfigOpType.SET), ("segment.ms", "90000", AlterConfigOpType.SET))
    settings = kafka.describe(hub, name)
    assert (settings["retention.ms"], settings["segment.ms"]) == ("60000", "90000")
    alter(hub, name, ("segment.ms", None, AlterConfigOpType.DELETE))
    alter(hub, name, ("cleanup.policy", "compact", AlterConfigOpType.APPEND))
    settings = kafka.describe(hub, name)
    assert (settings["retention.ms"], settings["segment.ms"]) == ("60000", default)
    assert set(settings["cleanup.policy"].split(",")) == {"compact", "delete"}


def test_a_wrong_setting_is_named_with_the_nearest(hub, name):
    kafka.create_topic(hub, name)
    with pytest.raises(KafkaException, match="retention.bytes"):
        alter(hub, name, ("retention.byte", "1", AlterConfigOpType.SET))


def test_the_older_request_sets_the_rest_to_defaults(hub, name):
    kafka.create_topic(hub, name, retention__ms="60000")
    default = kafka.describe(hub, "mqtt")["retention.ms"]
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, set_config={"segment.ms": "90000"})
    client = kafka.admin(hub)
    client.alter_configs([resource])[resource].result(DEADLINE_S)
    settings = kafka.describe(hub, name)
    assert (settings["retention.ms"], settings["segment.ms"]) == (default, "90000")


def test_the_brokers_settings_can_be_read_but_not_changed(hub):
    client = kafka.admin(hub)
    broker = ConfigResource(ConfigResource.Type.BROKER, "0")
    assert client.describe_configs([broker])[broker].result(DEADLINE_S)["broker.id"].value == "0"
    change = ConfigEntry("num.partitions", "3", incremental_operation=AlterConfigOpType.SET)
    broker = ConfigResource(ConfigResource.Type.BROKER, "0", incremental_configs=[change])
    with pytest.raises(KafkaException, match="hub's configuration"):
        client.incremental_alter_configs([broker])[broker].result(DEADLINE_S)


def test_a_topic_gets_more_partitions_which_take_records(hub, name):
    kafka.create_topic(hub, name, 1)
    client = kafka.admin(hub)
    client.create_partitions([NewPartitions(name, 3)])[name].result(DEADLINE_S)
    assert kafka.topics(hub)[name] == 3
    placed = kafka.produce(hub, name, [(f"key{number}", b"x") for number in range(30)])
    assert {partition for partition, _ in placed} == {0, 1, 2}
    with pytest.raises(KafkaException, match="it can only get more"):
        client.create_partitions([NewPartitions(name, 2)])[name].result(DEADLINE_S)


def test_the_stream_of_plain_mqtt_keeps_its_one_partition(hub):
    client = kafka.admin(hub)
    with pytest.raises(KafkaException, match="one order"):
        client.create_partitions([NewPartitions("mqtt", 3)])["mqtt"].result(DEADLINE_S)
    assert kafka.topics(hub)["mqtt"] == 1


def test_deleted_records_are_gone_for_all_readers(hub, name):
    kafka.create_topic(hub, name)
    kafka.produce(hub, name, [("k", str(number).encode()) for number in range(5)])
    assert kafka.delete_records(hub, name, 0, 3) == 3
    assert kafka.offsets(hub, name) == (3, 5)
    assert [record.value for record in kafka.read(hub, name, 2)] == [b"3", b"4"]
    with pytest.raises(KafkaException, match="OFFSET_OUT_OF_RANGE"):
        kafka.delete_records(hub, name, 0, 9)
    assert sluice("stream", "show", name, "--kafka", hub.kafka).stdout.splitlines()[1].split() == ["0", "3", "5"]
    client = kafka.admin(hub)
    earliest = client.list_offsets({TopicPartition(name, 0): OffsetSpec.earliest()})
    assert [future.result(DEADLINE_S).offset for future in earliest.values()] == [3]
