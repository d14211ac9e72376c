"""The Kafka clients of the matrix: how each driver is made and run."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from support.hub import ROOT
from support.waiting import DEADLINE_S

HERE = Path(__file__).resolve().parent / "clients"
CACHE = ROOT / ".cache/interop"
KAFKA_CACHE = Path(os.environ.get("KAFKA_CACHE", ROOT / ".cache/kafka"))
PEER = ROOT / "tests/peers/kafka"

ALL_CODECS = ("gzip", "snappy", "lz4", "zstd")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Driver:
    def __init__(self, name, command, codecs=ALL_CODECS, prepare=lambda: None, environment=None):
        self.name = name
        self._command = command
        self.codecs = codecs
        self._prepare = prepare
        self._environment = environment or {}
        self._ready = False

    def command(self, args):
        if not self._ready:
            self._prepare()
            self._ready = True
        return [str(part) for part in (*self._command, *args)]

    def environment(self, server):
        return {**os.environ, **self._environment, **server}

    def call(self, server, *args):
        """What the driver prints until it ends."""
        out = run(*self.command(args), env=self.environment(server), timeout=2 * DEADLINE_S)
        return [json.loads(line) for line in out.splitlines()]

    @contextlib.contextmanager
    def member(self, server, topic, group):
        with subprocess.Popen(
            self.command(["group", topic, group]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(server),
        ) as process:
            member = Member(process)
            try:
                yield member
            finally:
                process.kill()


class Member:
    """A driver in a group, while it runs."""

    def __init__(self, process):
        self._process = process
        self._lines = queue.Queue()
        self.assigned = None
        self.values = []
        self.closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def wait(self, done, what):
        """Takes what the driver says until `done()` holds."""
        while not done():
            try:
                line = self._lines.get(timeout=DEADLINE_S)
            except queue.Empty:
                raise AssertionError(f"not within {DEADLINE_S} s: {what}; assigned {self.assigned}") from None
            assert line is not None, f"the driver ended before {what}: {self._process.stderr.read()[-2000:]}"
            self._take(line)

    def drain(self):
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
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


def prepare_js():
    folder = CACHE / "js"
    lock = folder / "package-lock.json"
    if lock.exists() and lock.read_bytes() == (HERE / "js/package-lock.json").read_bytes():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "js" / name, folder / f"{name}")
    run("npm", "ci", "--omit=dev", "--no-audit", "--no-fund", cwd=folder)


def prepare_go():
    run("go", "build", "-o", CACHE / "go/kafka_driver", ".", cwd=HERE / "go")


JS_ENVIRONMENT = {"NODE_PATH": str(CACHE / "js/node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}

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
        environment=JS_ENVIRONMENT,
    ),
    Driver("aiokafka 0.14.0", [sys.executable, HERE / "python/aiokafka_driver.py"]),
]
