"""Kafka's own command-line tools, on sluice and on Apache Kafka as control."""

import itertools
import re
import subprocess

import pytest
from interop.kafka_drivers import PEER
from interop.kafka_servers import ApacheKafka, Sluice, kafka_environment
from interop.programs import run

_topics = itertools.count(1)


@pytest.fixture(scope="module", params=[Sluice, ApacheKafka], ids=["sluice", "kafka"])
def bootstrap(request, tmp_path_factory):
    started = request.param(tmp_path_factory.mktemp("tools"))
    yield started.connection()["BOOTSTRAP"]
    started.stop()


@pytest.fixture
def topic():
    return f"tools-{next(_topics)}"


def tool(name, bootstrap, *args, **options):
    return run(PEER / "kafka-tool", name, "--bootstrap-server", bootstrap, *args, env=kafka_environment(), **options)


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_topics_are_created_listed_described_grown_and_deleted(bootstrap, topic):
    tool("topics", bootstrap, "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=60000")
    assert topic in lines_of(tool("topics", bootstrap, "--list"))
    tool("topics", bootstrap, "--alter", "--topic", topic, "--partitions", "3")
    described = tool("topics", bootstrap, "--describe", "--topic", topic)
    assert "PartitionCount: 3" in described and "retention.ms=60000" in described
    tool("topics", bootstrap, "--delete", "--topic", topic)
    assert topic not in lines_of(tool("topics", bootstrap, "--list"))


def test_settings_are_described_and_altered(bootstrap, topic):
    tool("topics", bootstrap, "--create", "--topic", topic)
    entity = ("--entity-type", "topics", "--entity-name", topic)
    tool("configs", bootstrap, *entity, "--alter", "--add-config", "cleanup.policy=compact,retention.ms=1234567")
    described = tool("configs", bootstrap, *entity, "--describe")
    assert "cleanup.policy=compact" in described and "retention.ms=1234567" in described
    tool("configs", bootstrap, *entity, "--alter", "--delete-config", "retention.ms")
    assert "retention.ms=1234567" not in tool("configs", bootstrap, *entity, "--describe")


def test_console_clients_and_a_group_from_start_to_end(bootstrap, topic):
    group = f"{topic}-group"
    tool("topics", bootstrap, "--create", "--topic", topic)
    lines = "".join(f"k{i}:v{i}\n" for i in range(20))
    reader = ("--property", "parse.key=true", "--property", "key.separator=:")
    tool("console-producer", bootstrap, "--topic", topic, *rename(reader, "--reader-property"), input=lines)
    read = tool(
        "console-consumer", bootstrap, "--topic", topic, "--from-beginning", "--max-messages", "20", "--group", group
    )
    assert lines_of(read) == [f"v{i}" for i in range(20)]

    assert group in lines_of(tool("consumer-groups", bootstrap, "--list"))
    described = tool("consumer-groups", bootstrap, "--describe", "--group", group)
    assert re.search(rf"{group}\s+{topic}\s+0\s+20\s+20\s+0\s", described), described

    offsets = ("--group", group, "--topic", topic, "--reset-offsets", "--execute")
    tool("consumer-groups", bootstrap, *offsets, "--to-offset", "15")
    described = tool("consumer-groups", bootstrap, "--describe", "--group", group)
    assert re.search(rf"{group}\s+{topic}\s+0\s+15\s+20\s+5\s", described), described
    tool("consumer-groups", bootstrap, "--delete", "--group", group)
    assert group not in lines_of(tool("consumer-groups", bootstrap, "--list"))


def test_records_are_deleted(bootstrap, topic, tmp_path):
    tool("topics", bootstrap, "--create", "--topic", topic)
    tool("console-producer", bootstrap, "--topic", topic, input="a\nb\nc\n")
    wanted = tmp_path / "offsets.json"
    wanted.write_text(f'{{"partitions": [{{"topic": "{topic}", "partition": 0, "offset": 2}}], "version": 1}}')
    assert "low_watermark: 2" in tool("delete-records", bootstrap, "--offset-json-file", wanted)
    earliest = tool("get-offsets", bootstrap, "--topic", topic, "--time", "earliest")
    assert lines_of(earliest) == [f"{topic}:0:2"]
    latest = tool("get-offsets", bootstrap, "--topic", topic, "--time", "latest")
    assert lines_of(latest) == [f"{topic}:0:3"]


def test_broker_versions_are_listed(bootstrap):
    listed = tool("broker-api-versions", bootstrap)
    assert "Produce(0)" in listed and "UNKNOWN" not in listed.split("Produce(0)")[0]


def test_a_wrong_topic_name_is_an_error_that_says_so(bootstrap):
    done = subprocess.run(
        [PEER / "kafka-tool", "topics", "--bootstrap-server", bootstrap, "--create", "--topic", "no good"],
        capture_output=True,
        text=True,
        env=kafka_environment(),
    )
    assert done.returncode != 0 and "no good" in done.stdout + done.stderr


def rename(options, name):
    return [name if option == "--property" else option for option in options]
