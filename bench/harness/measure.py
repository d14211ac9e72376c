"""One run of one row on one broker: drives the load generators and returns figures.

Figures, by name: `per_cpu_s` messages per second of server CPU, `per_s` messages per second, `user_us` and `system_us` server
CPU µs per message (as many as CPU seconds per million), `cpu_us` their sum, `p50` and `p99` in µs, `*_mib` memory of the
server after the run. A load generator that finds loss, duplicates at exactly-once, damage or a protocol error is a Failure.
"""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .peers import Broker, Failure, Setup
from .rows import WARM_RECORDS, Row

Figures = dict[str, float]
TIMEOUT_S = 180
WARM_TOPIC = "warm"
SHARD_TRIES = 10


@dataclass
class Run:
    """What a measurement is made with."""

    setup: Setup
    generator: list[str]  # the beginning of the load generators' commands
    size: float  # share of the messages and of the time
    whole: float  # the same without the cut for a round that warms up
    number: int  # tells the runs of one broker apart

    def command(self, program: str, *arguments: object) -> list[str]:
        return [*self.generator, str(self.setup.bin / program), *map(str, arguments)]

    def messages(self, row: Row, broker: Broker) -> int:
        return max(100, int(row.messages_of(broker.name) * self.size))

    def seconds(self, whole: float) -> int:
        return max(1, round(whole * self.size))


def result_of(command: list[str], done: subprocess.CompletedProcess | subprocess.Popen, output: str) -> dict:
    last = output.strip().splitlines()[-1] if output.strip() else ""
    if done.returncode != 0 or not last:
        raise Failure(f"exit status {done.returncode}: {' '.join(command)}: {last[:600]}")
    return json.loads(last)


def drive(command: list[str], timeout_s: float = TIMEOUT_S) -> dict:
    """Runs a load generator; the line of JSON that it ends with."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"no end after {timeout_s} s: {' '.join(command)}") from late
    return result_of(command, done, done.stdout)


def memory_while(load: subprocess.Popen, broker: Broker, every_s: float, timeout_s: float) -> list[tuple[float, float]]:
    """Seconds and resident MiB of the broker until `load` ends."""
    samples: list[tuple[float, float]] = []
    began = time.monotonic()
    while load.poll() is None:
        if time.monotonic() > began + timeout_s:
            load.kill()
            raise Failure("the load generator does not end")
        samples.append((round(time.monotonic() - began, 1), machine.memory_mib(broker.pid)["rss_mib"]))
        time.sleep(every_s)
    return samples


def costs(count: float, used: machine.Cpu, seconds: float) -> Figures:
    if not count or not seconds or not used.total:
        raise Failure("too short: no message or no CPU time was counted")
    return {
        "per_cpu_s": count / used.total,
        "per_s": count / seconds,
        "user_us": used.user * 1e6 / count,
        "system_us": used.system * 1e6 / count,
        "cpu_us": used.total * 1e6 / count,
    }


def mqload(run: Run, broker: Broker, row: Row, *arguments: object) -> dict:
    topology, *others = row.arguments
    address = ("--port", broker.mqtt_port, "--pid", broker.pid, "--qos", row.qos)
    return drive(run.command("mqload", topology, *others, *address, *arguments))


def mqtt_costs(told: dict) -> Figures:
    used = machine.Cpu(told["broker_user_s"], told["broker_sys_s"])
    return costs(told["messages"], used, told["seconds"]) | {"lost": told["lost"]}


def rate(run: Run, broker: Broker, row: Row) -> Figures:
    messages = run.messages(row, broker)
    return mqtt_costs(mqload(run, broker, row, "--messages", messages, "--warmup", messages // 10))


def latency(run: Run, broker: Broker, row: Row) -> Figures:
    timed = Row(row.name, row.kind, ("latency", *row.arguments), qos=row.qos)
    told = mqload(run, broker, timed, "--duration", run.seconds(8), "--warmup-s", 1)
    return mqtt_costs(told) | {"p50": told["latency_us"]["p50"], "p99": told["latency_us"]["p99"]}


def one_publisher(run: Run, broker: Broker, row: Row, shards_that_work: int) -> Figures:
    """Tries until one publisher landed on the shard of the partition's owner (one shard works) or on the other (two do)."""
    only_one = Row(row.name, row.kind, ("pubonly", "--pubs", 1, "--window", 1024), qos=row.qos)
    messages = run.messages(row, broker)
    for _ in range(SHARD_TRIES):
        before = machine.cpu_of_threads(broker.pid)
        told = mqload(run, broker, only_one, "--messages", messages, "--warmup", messages // 10)
        after = machine.cpu_of_threads(broker.pid)
        used = [after[name] - before.get(name, 0) for name in after if name.startswith("shard-")]
        working = sum(1 for seconds in used if seconds > 0.1 * max(used))
        if len(used) < 2 or working == shards_that_work:
            return mqtt_costs(told)
    raise Failure(f"one publisher never landed where it should in {SHARD_TRIES} tries")


def same_shard(run: Run, broker: Broker, row: Row) -> Figures:
    return one_publisher(run, broker, row, 1)


def other_shard(run: Run, broker: Broker, row: Row) -> Figures:
    return one_publisher(run, broker, row, 2)


def idle(run: Run, broker: Broker, row: Row) -> Figures:
    def hold(*arguments: object) -> dict:
        return drive(run.command("mqload", "idle", "--port", broker.mqtt_port, "--pid", broker.pid, *arguments))

    hold("--conns", 200, "--duration", 0.5)  # what is allocated once
    option, connections = row.arguments
    told = hold(option, int(connections * min(run.size, 1)), "--duration", 2)
    return {"connection_bytes": told["anonymous_bytes_per_connection"], "connects_per_s": told["connects_per_s"]}


def start(run: Run, broker: Broker, _row: Row) -> Figures:
    time.sleep(2)  # what it still does after it listens
    figures = machine.memory_mib(broker.pid) | {"ready_s": broker.ready_s}
    if broker.name.startswith("sluice"):
        figures["binary_mb"] = stripped_mb(run.setup.bin / "sluice", run.setup.folder / "sluice.stripped")
    return figures


def stripped_mb(binary: Path, copy: Path) -> float:
    if not shutil.which("strip"):
        return float("nan")
    subprocess.run(["strip", "-o", str(copy), str(binary)], check=True)
    size = copy.stat().st_size / 1e6
    copy.unlink()
    return size


# --- Kafka


def kload(run: Run, broker: Broker, mode: str, topic: str, *arguments: object) -> dict:
    address = ("-b", broker.kafka, "-t", topic, "--pid", broker.pid)
    return drive(run.command("kload", mode, *address, *arguments))


def kafka_costs(told: dict, count: float, seconds: float) -> Figures:
    """User and system time come in steps of 10 ms, their sum does not: it is divided as they are."""
    user, system, precise = (told[f"server_{part}_s"] for part in ("user", "sys", "cpu"))
    share = user / (user + system) if user + system else 0.5
    return costs(count, machine.Cpu(precise * share, precise * (1 - share)), seconds)


def warm_kafka(run: Run, broker: Broker) -> None:
    """A JVM costs five times as much before it has seen two million records. `consume` reads these later."""
    kload(run, broker, "produce", WARM_TOPIC, "-n", int(WARM_RECORDS * run.size), "--create", 1)


def produce(run: Run, broker: Broker, row: Row) -> Figures:
    records = run.messages(row, broker)
    told = kload(run, broker, "produce", f"bench-{run.number}", "-n", records, "--create", 1, *row.arguments)
    return kafka_costs(told, told["delivered"], told["seconds"])


def consume(run: Run, broker: Broker, _row: Row) -> Figures:
    """All that was there before the first round, whatever the size of this run."""
    records = int(WARM_RECORDS * run.whole)
    told = kload(run, broker, "consume", WARM_TOPIC, "-n", records)
    return kafka_costs(told, records, records / max(told["records_per_s"], 1))


def record_latency(run: Run, broker: Broker, row: Row) -> Figures:
    topic = f"single-{row.arguments[1]}-{run.number}"
    told = kload(run, broker, "latency", topic, "-d", run.seconds(8), "--warm", 1, "--create", 1, *row.arguments)
    count = told["e2e_us"]["n"]
    return kafka_costs(told, count, told["seconds"]) | {"p50": told["e2e_us"]["p50"], "p99": told["e2e_us"]["p99"]}
