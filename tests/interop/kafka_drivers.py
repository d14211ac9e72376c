"""The Kafka clients of the matrix: how each driver is made and run."""

import contextlib
import os
import sys
from pathlib import Path

from interop.programs import CACHE, HERE, JS_ENVIRONMENT, Lines, Program, prepare_js, run
from support.hub import ROOT

KAFKA_CACHE = Path(os.environ.get("KAFKA_CACHE", ROOT / ".cache/kafka"))
PEER = ROOT / "tests/peers/kafka"

ALL_CODECS = ("gzip", "snappy", "lz4", "zstd")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Driver(Program):
    def __init__(self, name, command, codecs=ALL_CODECS, **options):
        super().__init__(name, command, **options)
        self.codecs = codecs

    @contextlib.contextmanager
    def member(self, server, topic, group):
        with self.process(server, "group", topic, group) as process:
            yield Member(process)


class Member:
    """A driver in a group, while it runs."""

    def __init__(self, process):
        self._process = process
        self._lines = Lines(process)
        self.assigned = None
        self.values = []
        self.closed = False

    def wait(self, done, what):
        """Takes what the driver says until `done()` holds."""
        while not done():
            self._take(self._lines.next(f"{what}; assigned {self.assigned}"))

    def drain(self):
        for line in self._lines.waiting():
            self._take(line)

    def _take(self, line):
        if "assigned" in line:
            self.assigned = set(line["assigned"])
        elif "value" in line:
            self.values.append(line["value"])
        elif "closed" in line:
            self.closed = True

    def stop(self):
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        self.wait(lambda: self.closed, "the member leaves")


# --- what the drivers need


def prepare_java():
    classes = CACHE / "java"
    source = HERE / "java/KafkaDriver.java"
    run("bash", "-c", f'. "{PEER}/kafka-env.sh" && kafka_resolve', env={**os.environ, "KAFKA_CACHE": str(KAFKA_CACHE)})
    made = classes / "KafkaDriver.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        run("javac", "-d", classes, "-cp", f"{KAFKA_CACHE}/libs-4/*", source)


def prepare_go():
    run("go", "build", "-o", CACHE / "go/kafka_driver", ".", cwd=HERE / "go")


DRIVERS = [
    Driver(
        "java 4.3.1",
        ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{CACHE}/java:{KAFKA_CACHE}/libs-4/*", "KafkaDriver"],
        prepare=prepare_java,
    ),
    Driver("librdkafka 2.0.2", [sys.executable, HERE / "python/kcat_driver.py"]),
    Driver("librdkafka 2.16.1", [sys.executable, HERE / "python/confluent_driver.py"]),
    Driver("franz-go 1.16.1", [CACHE / "go/kafka_driver"], prepare=prepare_go),
    Driver(
        "kafkajs 2.2.4",
        ["node", HERE / "js/kafka_driver.js"],
        codecs=("gzip", "snappy"),
        prepare=prepare_js,
        environment=JS_ENVIRONMENT | {"KAFKAJS_NO_PARTITIONER_WARNING": "1"},
    ),
    Driver("aiokafka 0.14.0", [sys.executable, HERE / "python/aiokafka_driver.py"]),
]
