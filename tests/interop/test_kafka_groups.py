"""How groups answer members and tools that do not behave, on sluice and on Apache Kafka as control."""

import itertools
import subprocess

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from interop.kafka_drivers import PEER
from interop.kafka_servers import ApacheKafka, Sluice, kafka_environment
from interop.raw_groups import NOBODY, RawGroup
from support.waiting import eventually

NONE, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID = 0, 22, 25
NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID, GROUP_SUBSCRIBED_TO_TOPIC = 68, 69, 82, 86

_groups = itertools.count(1)


@pytest.fixture(scope="module", params=[Sluice, ApacheKafka], ids=["sluice", "kafka"])
def bootstrap(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp("groups"))
    found = started.connection()["BOOTSTRAP"]
    client = AdminClient({"bootstrap.servers": found})
    for created in client.create_topics([NewTopic(name, 1, 1) for name in ("t", "u")]).values():
        created.result(30)
    yield found
    started.stop()


@pytest.fixture
def name():
    return f"group-{next(_groups)}"


@pytest.fixture
def group(bootstrap, name):
    raw = RawGroup(bootstrap, name)
    eventually(raw.has_coordinator, "there is a coordinator")
    eventually(lambda: raw.committed("t")[0] == NONE, "it has read what it knows")
    yield raw
    raw.close()


def enter(group, **who):
    error, generation, member = group.join("t", **who)
    assert error == NONE
    assert group.sync("t", generation, member, who.get("instance")) == NONE
    return generation, member


def test_a_static_member_comes_back_without_a_rebalance_and_its_old_self_is_fenced(group):
    generation, member = enter(group, instance="i")
    error, again, new_member = group.join("t", instance="i")
    assert (error, again) == (NONE, generation)
    assert new_member != member
    assert group.heartbeat(generation, member, "i") == FENCED_INSTANCE_ID
    assert group.heartbeat(generation, new_member, "i") == NONE


def test_a_member_that_never_syncs_is_thrown_out(group):
    error, generation, member = group.join("t", rebalance_ms=1000)
    assert error == NONE
    eventually(lambda: group.heartbeat(generation, member) == UNKNOWN_MEMBER_ID, "the member is out")


def test_a_group_that_nobody_knows(group):
    assert group.committed("t") == (NONE, -1)
    assert group.delete() == GROUP_ID_NOT_FOUND
    assert group.delete_offset("t") == (GROUP_ID_NOT_FOUND, None)
    assert group.heartbeat(1, "stranger") == UNKNOWN_MEMBER_ID


def test_commits_of_wrong_generations_and_strangers_are_fenced(group):
    generation, member = enter(group)
    assert group.commit(generation, member, "t", 1) == NONE
    assert group.commit(generation + 1, member, "t", 2) == ILLEGAL_GENERATION
    assert group.commit(generation, "stranger", "t", 2) == UNKNOWN_MEMBER_ID
    assert group.commit(*NOBODY, "t", 2) == UNKNOWN_MEMBER_ID
    assert group.heartbeat(generation + 1, member) == ILLEGAL_GENERATION
    assert group.sync("t", generation + 1, member) == ILLEGAL_GENERATION
    assert group.committed("t") == (NONE, 1)


def test_offsets_of_a_group_at_work_are_kept_for_what_it_reads(group):
    generation, member = enter(group)
    for topic in ("t", "u"):
        assert group.commit(generation, member, topic, 5) == NONE
    assert group.delete() == NON_EMPTY_GROUP
    assert group.delete_offset("t") == (NONE, GROUP_SUBSCRIBED_TO_TOPIC)
    assert group.delete_offset("u") == (NONE, NONE)
    assert group.committed("t") == (NONE, 5)
    assert group.committed("u") == (NONE, -1)


def test_a_reset_of_a_group_at_work_is_refused(bootstrap, group, name):
    generation, member = enter(group, session_ms=120_000)  # the tool is slow to start
    assert group.commit(generation, member, "t", 5) == NONE
    tool = [PEER / "kafka-tool", "consumer-groups", "--bootstrap-server", bootstrap, "--group", name]
    reset = [*tool, "--topic", "t", "--reset-offsets", "--to-offset", "0", "--execute"]
    done = subprocess.run(reset, capture_output=True, text=True, env=kafka_environment())
    said = done.stdout + done.stderr
    assert "inactive" in said and "Stable" in said
    assert group.committed("t") == (NONE, 5)
