"""Messages that come in by one protocol and leave by another: mqload and kload at the same time, which check each other's."""

import subprocess
import time
from collections.abc import Callable

from . import machine
from .measure import Figures, Run, TIMEOUT_S, costs, drive, result_of
from .peers import Broker, Failure
from .rows import Row

SUBSCRIBERS = 500


def with_reader(reader: list[str], write: Callable[[], object]) -> dict:
    """Starts a load generator that reads and says "ready"; then writes; what the reader told in the end."""
    reading = subprocess.Popen(reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = reading.stderr.readline()
        if said.strip() != "ready":
            raise Failure(f"{' '.join(reader)}: {said.strip()}")
        write()
        output, _ = reading.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"no end after {TIMEOUT_S} s: {' '.join(reader)}") from late
    finally:
        if reading.poll() is None:
            reading.kill()
            reading.wait()
    return result_of(reader, reading, output)


def across(broker: Broker, count: int, reader: list[str], writer: list[str]) -> Figures:
    """Figures of both faces together, `count` messages read."""
    began: list[tuple[float, machine.Cpu]] = []

    def write() -> None:
        began.append((time.monotonic(), machine.cpu(broker.pid)))
        drive(writer)

    with_reader(reader, write)
    seconds = time.monotonic() - began[0][0]
    return costs(count, machine.cpu(broker.pid) - began[0][1], seconds)


def mqtt_to_kafka(run: Run, broker: Broker, row: Row) -> Figures:
    """100 publishers at QoS 1 into the default stream, one consumer of its topic."""
    messages, number = run.messages(row, broker), 1000 + run.number
    # The topic `mqtt` is there with the first message that somebody publishes.
    drive(run.command("mqload", "pubonly", "--port", broker.mqtt_port, "--messages", 1000))
    reader = ("consume", "-b", broker.kafka, "-t", "mqtt", "--follow", 1, "-n", messages, "--idle", 20)
    writer = ("pubonly", "--port", broker.mqtt_port, "--qos", row.qos, "--messages", messages)
    return across(
        broker,
        messages,
        run.command("kload", *reader, "--format", "mqload", "--run", number),
        run.command("mqload", *writer, "--run", number),
    )


def kafka_to_mqtt(run: Run, broker: Broker, row: Row) -> Figures:
    """One producer whose records have the key 0, which is the topic STREAM/0 of 500 subscribers."""
    records, number = run.messages(row, broker), 2000 + run.number
    stream = f"fan-{run.number}"
    create = ("stream", "create", stream, "--data", broker.folder)
    subprocess.run([str(run.setup.bin / "sluice"), *map(str, create)], check=True, capture_output=True)
    reader = ("subonly", "--port", broker.mqtt_port, "--prefix", stream, "--subs", SUBSCRIBERS, "--messages", records)
    writer = ("produce", "-b", broker.kafka, "-t", stream, "--key", 0, "-n", records, "-P", "linger.ms=1")
    return across(
        broker,
        records * SUBSCRIBERS,
        run.command("mqload", *reader, "--run", number, "--stall", 20),
        run.command("kload", *writer, "--format", "mqload", "--run", number),
    )
