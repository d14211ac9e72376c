"""Consumer groups as librdkafka (confluent-kafka, kcat) and aiokafka use them."""

import asyncio
import json
import subprocess
import time

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from support import kafka
from support.hub import sluice
from support.waiting import DEADLINE_S, eventually


class Member:
    """A consumer of a group: polled by the test, it remembers what it was given and what it read."""

    def __init__(self, hub, group, topic, **config):
        settings = {key.replace("__", "."): value for key, value in config.items()}
        self.assigned = set()
        self.assignments = 0
        self.values = []
        self.errors = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": hub.kafka,
                "group.id": group,
                "session.timeout.ms": 10000,
                "heartbeat.interval.ms": 300,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                **kafka.QUIET,
                **settings,
            }
        )
        self.consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke)

    def _on_assign(self, _, partitions):
        self.assignments += 1
        self.assigned = {p.partition for p in partitions}

    def _on_revoke(self, _, __):
        self.assigned = set()

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None and message.error():
            self.errors.append(message.error())
        elif message is not None:
            self.values.append(message.value().decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()


def poll_until(members, done, what):
    def attempt():
        for member in members:
            member.poll()
        return done()

    return eventually(attempt, what)


def poll_for(members, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for member in members:
            member.poll()


def share(members, partitions):
    """Whether the members have all partitions between them, each one once, and none is idle."""
    parts = [p for member in members for p in member.assigned]
    return sorted(parts) == list(range(partitions)) and all(member.assigned for member in members)


def committed(hub, group, topic, partitions):
    reader = kafka.consumer(hub, group__id=group)
    try:
        wanted = [TopicPartition(topic, p) for p in range(partitions)]
        return [max(p.offset, -1) for p in (reader.committed([w], timeout=DEADLINE_S)[0] for w in wanted)]
    finally:
        reader.close()


def describe(hub, group):
    client = kafka.admin(hub)
    return client.describe_consumer_groups([group])[group].result(DEADLINE_S)


def test_members_share_the_partitions_and_take_over_from_each_other(hub, name):
    kafka.create_topic(hub, name, partitions=4)
    with Member(hub, name, name) as first:
        poll_until([first], lambda: share([first], 4), "all partitions for the only member")
        with Member(hub, name, name) as second, Member(hub, name, name) as third:
            members = [first, second, third]
            poll_until(members, lambda: share(members, 4), "partitions for each of three")
            kafka.produce(hub, name, [(str(i), str(i)) for i in range(200)])
            poll_until(members, lambda: sum(len(m.values) for m in members) >= 200, "all records")
            read = sorted(int(v) for m in members for v in m.values)
            assert read == list(range(200)), "each record goes to one member, once"
        poll_until([first], lambda: share([first], 4), "all partitions again when the others have left")


def test_cooperative_members_share_the_partitions_too(hub, name):
    kafka.create_topic(hub, name, partitions=4)
    config = {"partition__assignment__strategy": "cooperative-sticky"}

    def assignment(member):
        return {p.partition for p in member.consumer.assignment()}

    with Member(hub, name, name, **config) as first, Member(hub, name, name, **config) as second:

        def shared():
            a, b = assignment(first), assignment(second)
            return a and b and not a & b and a | b == {0, 1, 2, 3}

        poll_until([first, second], shared, "partitions for both")


def test_a_group_goes_on_where_it_has_committed(hub, name):
    kafka.produce(hub, name, [(None, str(i)) for i in range(10)])
    with Member(hub, name, name) as reader:
        poll_until([reader], lambda: len(reader.values) >= 10, "the records")
        reader.consumer.commit(offsets=[TopicPartition(name, 0, 6, "half way")], asynchronous=False)
    assert committed(hub, name, name, 1) == [6]
    with Member(hub, name, name) as reader:
        poll_until([reader], lambda: len(reader.values) >= 4, "the rest")
        assert reader.values == ["6", "7", "8", "9"]
        assert reader.consumer.committed([TopicPartition(name, 0)], timeout=DEADLINE_S)[0].metadata == "half way"


def test_auto_commit_survives_an_orderly_close(hub, name):
    kafka.produce(hub, name, [(None, str(i)) for i in range(10)])
    with Member(hub, name, name, enable__auto__commit=True) as reader:
        poll_until([reader], lambda: len(reader.values) >= 10, "the records")
    assert committed(hub, name, name, 1) == [10]


def test_nothing_is_committed_for_an_unknown_group(hub, name):
    kafka.create_topic(hub, name)
    assert committed(hub, f"{name}-nobody", name, 1) == [-1]


def test_a_static_member_restarts_without_a_rebalance(hub, name):
    kafka.create_topic(hub, name, partitions=2)
    config = {"session__timeout__ms": 30000}
    with Member(hub, name, name, group__instance__id="a", **config) as first:
        second = Member(hub, name, name, group__instance__id="b", **config)
        poll_until([first, second], lambda: share([first, second], 2), "a partition each")
        had, seen = second.assigned, first.assignments
        second.consumer.close()
        with Member(hub, name, name, group__instance__id="b", **config) as again:
            poll_until([first, again], lambda: again.assigned == had, "the same partition as before")
            poll_for([first, again], 1)
            assert first.assignments == seen, "the other member has not noticed"


def test_a_second_static_member_of_the_same_name_fences_the_first(hub, name):
    kafka.create_topic(hub, name)
    first = Member(hub, name, name, group__instance__id="a")
    poll_until([first], lambda: first.assigned, "a partition")
    with Member(hub, name, name, group__instance__id="a") as second:
        poll_until([first, second], lambda: second.assigned and first.errors, "the first one's end")
        assert any("fenced" in error.str() for error in first.errors)
    first.consumer.close()


def test_a_member_seeks_by_time(hub, name):
    kafka.produce(hub, name, [(None, "old")])
    time.sleep(0.05)
    moment = int(time.time() * 1000)
    kafka.produce(hub, name, [(None, "new")])
    with Member(hub, name, name) as reader:
        poll_until([reader], lambda: len(reader.values) >= 2, "both")
        found = reader.consumer.offsets_for_times([TopicPartition(name, 0, moment)], timeout=DEADLINE_S)
        reader.consumer.seek(found[0])
        poll_until([reader], lambda: len(reader.values) >= 3, "the newer once more")
        assert reader.values == ["old", "new", "new"]


def test_groups_are_described_and_deleted_when_empty(hub, name):
    kafka.create_topic(hub, name)
    client = kafka.admin(hub)
    with Member(hub, name, name, client__id="me") as member:
        poll_until([member], lambda: member.assigned, "a partition")
        member.consumer.commit(offsets=[TopicPartition(name, 0, 0)], asynchronous=False)
        described = describe(hub, name)
        assert described.state.name == "STABLE"
        assert described.partition_assignor == "range"
        assert [m.client_id for m in described.members] == ["me"]
        assert described.members[0].host == "/127.0.0.1"
        assert described.members[0].assignment.topic_partitions == [TopicPartition(name, 0)]
        with pytest.raises(KafkaException) as refused:
            client.delete_consumer_groups([name])[name].result(DEADLINE_S)
        assert refused.value.args[0].name() == "NON_EMPTY_GROUP"
    assert describe(hub, name).state.name == "EMPTY"
    client.delete_consumer_groups([name])[name].result(DEADLINE_S)
    listed = client.list_consumer_groups().result(DEADLINE_S)
    assert name not in [g.group_id for g in listed.valid]
    assert committed(hub, name, name, 1) == [-1]


def test_offsets_are_altered_and_listed_by_tools(hub, name):
    kafka.create_topic(hub, name, partitions=2)
    client = kafka.admin(hub)
    wanted = [TopicPartition(name, 0, 3), TopicPartition(name, 1, 4)]
    client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, wanted)])[name].result(DEADLINE_S)
    listed = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result(DEADLINE_S)
    assert sorted((p.partition, p.offset) for p in listed.topic_partitions) == [(0, 3), (1, 4)]


def test_kcat_reads_in_a_group(hub, name):
    kafka.produce(hub, name, [(None, str(i)) for i in range(5)])
    command = ["kcat", "-b", hub.kafka, "-G", name, "-X", "auto.offset.reset=earliest", "-q", "-c", "5", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert done.stdout.split() == [str(i) for i in range(5)]


def test_aiokafka_reads_in_a_group(hub, name):
    kafka.produce(hub, name, [(None, str(i)) for i in range(5)])

    async def read(count):
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=hub.kafka, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            records = [await asyncio.wait_for(consumer.getone(), DEADLINE_S) for _ in range(count)]
            await consumer.commit()
            return [r.value.decode() for r in records]
        finally:
            await consumer.stop()

    assert asyncio.run(read(3)) == ["0", "1", "2"]
    assert asyncio.run(read(2)) == ["3", "4"]


@pytest.mark.parametrize("shards", [1, 2])
def test_a_group_lives_through_kill_9_of_the_hub(new_hub, name, shards):
    hub = new_hub({"server.shards": shards})
    kafka.create_topic(hub, name, partitions=2)
    with Member(hub, name, name) as first, Member(hub, name, name) as second:
        members = [first, second]
        poll_until(members, lambda: share(members, 2), "a partition each")
        kafka.produce(hub, name, [(str(i), str(i)) for i in range(100)])
        poll_until(members, lambda: sum(len(m.values) for m in members) >= 100, "the records")
        acknowledged = sorted((p.partition, p.offset) for m in members for p in m.consumer.commit(asynchronous=False))
        generation = [m.assignments for m in members]
        for _ in range(2):
            hub.kill()
            hub.start()
            kafka.produce(hub, name, [(str(i), str(i)) for i in range(20)])
            total = sum(len(m.values) for m in members) + 20
            poll_until(members, lambda total=total: sum(len(m.values) for m in members) >= total, "the members go on")
        assert [m.assignments for m in members] == generation, "nobody had to join again"
        assert list(enumerate(committed(hub, name, name, 2))) == acknowledged


def test_the_command_line_shows_and_resets_groups(hub, name):
    kafka.produce(hub, name, [(None, str(i)) for i in range(10)])
    at = f"--kafka={hub.kafka}"
    with Member(hub, name, name) as member:
        poll_until([member], lambda: len(member.values) >= 10, "the records")
        member.consumer.commit(offsets=[TopicPartition(name, 0, 7)], asynchronous=False)
        shown = json.loads(sluice("group", "show", name, at, "-o", "json").stdout)
        assert (shown["state"], shown["members"]) == ("Stable", 1)
        part = shown["partitions"][0]
        assert (part["stream"], part["committed"], part["end"], part["lag"]) == (name, 7, 10, 3)
        assert name in sluice("group", "list", at).stdout
        refused = sluice("group", "reset", name, at, "--to", "earliest", expect=1)
        assert "active member" in refused.stderr
    sluice("group", "reset", name, at, "--to", "2")
    assert committed(hub, name, name, 1) == [2]
    sluice("group", "reset", name, at, "--to", "latest", "--stream", name)
    assert committed(hub, name, name, 1) == [10]
    sluice("group", "reset", name, at, "--to", "1h")
    assert committed(hub, name, name, 1) == [0]
    assert "outside" in sluice("group", "reset", name, at, "--to", "11", expect=1).stderr
    assert "did you mean" in sluice("group", "show", name + "x", at, expect=1).stderr


def test_group_metrics_count(new_hub, name):
    hub = new_hub()
    kafka.create_topic(hub, name)
    with Member(hub, name, name) as member:
        poll_until([member], lambda: member.assigned, "a partition")
        assert hub.metric("sluice_groups") == 1
        assert hub.metric("sluice_group_members") == 1
        assert hub.metric("sluice_group_rebalances_total") >= 1
    assert hub.metric("sluice_group_members") == 0
