"""The brokers that are measured: each knows whether it is here, its version, and how to run. A new one is a class and a line
in PEERS."""

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .machine import ROOT

START_DEADLINE_S = 60
STOP_DEADLINE_S = 60


class Failure(Exception):
    """What made a measurement worthless."""


@dataclass
class Broker:
    """A broker that runs: what load generators need."""

    name: str
    pid: int
    mqtt_port: int = 0
    kafka: str = ""  # bootstrap address
    ready_s: float = 0.0  # from the start of the process until it listens
    folder: Path = Path()  # what it writes
    admin: str = ""  # address of its metrics
    database: Path | None = None  # the file that it writes when it is sent SIGUSR1


@dataclass
class Setup:
    """How brokers are to be run."""

    bin: Path  # our programs
    folder: Path  # for data, configuration and logs
    before: list[str] = field(default_factory=list)  # the beginning of the command, such as that of taskset


@contextlib.contextmanager
def process(setup: Setup, name: str, *command: object) -> Iterator[subprocess.Popen]:
    with (setup.folder / f"{name}.log").open("ab") as log:
        words = [*setup.before, *map(str, command)]
        started = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_until(ready, started: subprocess.Popen, name: str) -> float:
    """Seconds it took."""
    began = time.monotonic()
    while not ready():
        if started.poll() is not None:
            raise Failure(f"{name} ended at once; see its log in .cache/bench")
        if time.monotonic() > began + START_DEADLINE_S:
            raise Failure(f"{name} does not listen after a minute")
        time.sleep(0.001)
    return time.monotonic() - began


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_line(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


class Peer:
    name = ""
    speaks = "mqtt"
    max_qos = 2
    settings = ""  # what of them matters, for the report

    def missing(self) -> str | None:
        """Why it can't run here."""
        return None

    def version(self, _setup: Setup) -> str:
        return ""

    def run(self, setup: Setup) -> contextlib.AbstractContextManager[Broker]:
        raise NotImplementedError


class Floor(Peer):
    name = "floor"
    settings = "sockets, framing and one copy, nothing else, one thread"

    @contextlib.contextmanager
    def run(self, setup: Setup) -> Iterator[Broker]:
        port = free_port()
        with process(setup, self.name, setup.bin / "floor", port) as server:
            ready_s = wait_until(lambda: accepts(port), server, self.name)
            yield Broker(self.name, server.pid, port, ready_s=ready_s)


class Sluice(Peer):
    speaks = "mqtt kafka"

    def __init__(self, name: str = "sluice", **settings: str) -> None:
        """`settings`: section_key=value"""
        self.name = name
        self.sets = [f"--set={key.replace('_', '.', 1)}={value}" for key, value in settings.items()]
        self.settings = " ".join(self.sets) or "defaults: everything in the log, synced before it is acknowledged"

    def version(self, setup: Setup) -> str:
        return first_line(setup.bin / "sluice", "--version").removeprefix("sluice ")

    @contextlib.contextmanager
    def run(self, setup: Setup) -> Iterator[Broker]:
        data = setup.folder / self.name.replace(" ", "-")
        shutil.rmtree(data, ignore_errors=True)
        with self.run_on(setup, data) as broker:
            yield broker
        shutil.rmtree(data, ignore_errors=True)

    @contextlib.contextmanager
    def run_on(self, setup: Setup, data: Path) -> Iterator[Broker]:
        """On what an earlier one may have left."""
        listeners = data / "listeners.json"
        listeners.unlink(missing_ok=True)
        ports = ["--set=mqtt.port=0", "--set=kafka.port=0", "--set=admin.port=0", "--set=mqtt.ws_port=off"]
        command = [setup.bin / "sluice", "server", "--data", data, *ports, *self.sets]
        with process(setup, self.name.replace(" ", "-"), *command) as server:
            ready_s = wait_until(listeners.exists, server, self.name)
            address = json.loads(listeners.read_text())
            port = int(address["mqtt"].rsplit(":", 1)[1])
            yield Broker(self.name, server.pid, port, address["kafka"], ready_s, data, address["admin"])


class Packaged(Peer):
    """A broker of MQTT with a configuration file; keeps what it writes in a directory of its own."""

    program = ""
    suffix = "conf"  # of the configuration file
    database = ""  # see Broker

    def path(self) -> str | None:
        return shutil.which(self.program, path=os.environ.get("PATH", "") + ":/usr/sbin")

    def missing(self) -> str | None:
        return None if self.path() else f"no {self.program}"

    def version(self, _setup: Setup) -> str:
        return first_line(self.path(), "--version").split(" ")[-1].removeprefix("v")

    def configuration(self, port: int, folder: Path) -> str:
        raise NotImplementedError

    @contextlib.contextmanager
    def run(self, setup: Setup) -> Iterator[Broker]:
        name = self.name.replace(" ", "-")
        folder, port = setup.folder / name, free_port()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        file = folder / f"{name}.{self.suffix}"
        file.write_text(self.configuration(port, folder))
        database = folder / self.database if self.database else None
        with process(setup, name, self.path(), "-c", file) as server:
            ready_s = wait_until(lambda: accepts(port), server, self.name)
            yield Broker(self.name, server.pid, port, ready_s=ready_s, folder=folder, database=database)
        shutil.rmtree(folder, ignore_errors=True)


class Mosquitto(Packaged):
    name = program = "mosquitto"
    settings = "persistence false, no bounds on queues"

    def version(self, _setup: Setup) -> str:
        return first_line(self.path(), "-h").split(" ")[-1]  # "mosquitto version 2.0.11"

    def configuration(self, port: int, folder: Path) -> str:
        return (
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n"
            "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
        )


class PersistentMosquitto(Mosquitto):
    name = "mosquitto persistent"
    settings = "persistence true, saved as it does by default (every 30 minutes, at its end), no bounds on queues"
    database = "mosquitto.db"

    def configuration(self, port: int, folder: Path) -> str:
        # With a user of its own it could not write there.
        whose = f"user {getpass.getuser()}\npersistence_location {folder}/\n"
        return super().configuration(port, folder).replace("persistence false", "persistence true") + whose


class Nats(Packaged):
    name, program = "nats", "nats-server"
    max_qos = 1  # what Debian 12 packages
    settings = "MQTT with JetStream on disk, which it does not sync"

    def configuration(self, port: int, folder: Path) -> str:
        return (
            f'server_name: bench\nlisten: "127.0.0.1:{free_port()}"\n'
            f'jetstream {{ store_dir: "{folder / "store"}" }}\nmqtt {{ listen: "127.0.0.1:{port}" }}\n'
        )


class Rumqttd(Packaged):
    name = program = "rumqttd"
    suffix = "toml"
    settings = "its own default configuration with room for more connections"
    release = "0.20.0"

    def path(self) -> str | None:
        built = ROOT / ".cache/rumqttd/bin/rumqttd"
        return str(built) if built.exists() else None

    def missing(self) -> str | None:
        """Builds it once."""
        if self.path():
            return None
        cargo = shutil.which("cargo")
        if not cargo:
            return "no cargo to build it with"
        print("bench: building rumqttd, once", flush=True)
        environment = {**os.environ, "CARGO_HOME": str(ROOT / ".cache/cargo")}
        command = [cargo, "install", "rumqttd", "--version", self.release, "--root", str(ROOT / ".cache/rumqttd")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else f"cargo: {done.stderr.strip().splitlines()[-1]}"

    def configuration(self, port: int, folder: Path) -> str:
        return (
            "id = 0\n[router]\nid = 0\nmax_connections = 40000\nmax_outgoing_packet_count = 200\n"
            "max_segment_size = 104857600\nmax_segment_count = 10\n"
            f'[v4.1]\nname = "v4-1"\nlisten = "127.0.0.1:{port}"\nnext_connection_delay_ms = 1\n'
            "[v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\nmax_inflight_count = 100\n"
            "dynamic_filters = true\n"
        )


class Kafka(Peer):
    name = "kafka"
    speaks = "kafka"
    settings = "tests/peers/kafka: one broker, heap of 1 GiB, no sync"
    scripts = ROOT / "tests/peers/kafka"

    def missing(self) -> str | None:
        return None if shutil.which("java") else "no java"

    def version(self, _setup: Setup) -> str:
        jars = sorted((ROOT / ".cache/kafka").glob("**/kafka-clients-*.jar"))
        return jars[-1].stem.removeprefix("kafka-clients-") if jars else "4"

    @contextlib.contextmanager
    def run(self, setup: Setup) -> Iterator[Broker]:
        folder = setup.folder / self.name
        maven = f"{os.environ.get('MAVEN_OPTS', '')} -Dmaven.repo.local={ROOT / '.cache/maven'}"
        environment = {**os.environ, "KAFKA_CACHE": str(ROOT / ".cache/kafka"), "MAVEN_OPTS": maven}
        command = [*setup.before, str(self.scripts / "kafka-up"), str(folder), str(self.free_port())]
        up = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        told = dict(line.split(" ", 1) for line in up.stdout.splitlines())
        try:
            ready_s = float(told["started_ms"]) / 1000
            yield Broker(self.name, int(told["pid"]), kafka=told["bootstrap"], ready_s=ready_s)
        finally:
            down = [self.scripts / "kafka-down", "--wipe", folder]
            subprocess.run(down, env=environment, check=True, stdout=subprocess.DEVNULL)

    @staticmethod
    def free_port() -> int:
        """kafka-up also takes the ports 1000 and 2000 above, and wants to stay below the ephemeral ones."""
        return next(p for p in range(19092, 28000, 10) if not any(accepts(p + step) for step in (0, 1000, 2000)))


SLUICE = Sluice()
SLUICE_OS = Sluice("sluice os", log_durability="os")
SLUICE_1 = Sluice("sluice 1 shard", server_shards="1")
SLUICE_2 = Sluice("sluice 2 shards", server_shards="2")
SLUICE_OS_2 = Sluice("sluice os 2 shards", log_durability="os", server_shards="2")
FLOOR, MOSQUITTO, NATS, RUMQTTD, KAFKA = Floor(), Mosquitto(), Nats(), Rumqttd(), Kafka()
MOSQUITTO_PERSISTENT = PersistentMosquitto()
