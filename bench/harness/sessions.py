"""Sessions that outlive their connections: away, far behind, slow. sessload makes them, publishes for them and lets them come
back; it fails when one of them misses a message, gets one twice or out of order."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable

from . import machine
from .measure import Figures, Run, drive, memory_while, result_of
from .peers import Broker, Failure
from .rows import Row

TIMEOUT_S = 900
SETTLE_S = 2  # for what a broker still does when its clients are gone
EACH = 100  # messages that a session misses
AGAIN_MAX = 10_000  # sessions that come once more: with all of 100,000 mosquitto takes a quarter of an hour for that alone
TOPICS, PREFIX, BEHIND = 1000, "plant", 500  # topics PREFIX/0 and so on; of these one is read
SLOW_S, SLOW_S_MIN, SLOW_PER_S, SLOW_WINDOW = 60, 20, 5, 20
SAMPLE_S = 1


def sessload(run: Run, broker: Broker, scenario: str, *arguments: object) -> list[str]:
    return run.command("sessload", scenario, "--port", broker.mqtt_port, *arguments)


def spent(broker: Broker, work: Callable[[], dict]) -> tuple[dict, float]:
    """What `work` told, and the CPU seconds that the broker used meanwhile and just after."""
    before = machine.cpu(broker.pid)
    told = work()
    time.sleep(SETTLE_S)
    return told, (machine.cpu(broker.pid) - before).total


def visit(run: Run, broker: Broker, *arguments: object) -> tuple[dict, float]:
    return spent(broker, lambda: drive(sessload(run, broker, "visit", *arguments), TIMEOUT_S))


def make(run: Run, broker: Broker, *arguments: object) -> tuple[dict, float]:
    return spent(broker, lambda: drive(sessload(run, broker, "make", *arguments), TIMEOUT_S))


def publish(run: Run, broker: Broker, *arguments: object) -> tuple[dict, float]:
    return spent(broker, lambda: drive(sessload(run, broker, "publish", *arguments), TIMEOUT_S))


def save(broker: Broker) -> float:
    """Has the broker write what it would otherwise write at its end; seconds that takes."""
    if not broker.database:
        return 0
    began = time.monotonic()
    before = broker.database.stat().st_mtime_ns if broker.database.exists() else 0
    os.kill(broker.pid, signal.SIGUSR1)
    while not broker.database.exists() or broker.database.stat().st_mtime_ns == before:
        if time.monotonic() > began + TIMEOUT_S:
            raise Failure("it does not save its sessions")
        time.sleep(0.01)
    return time.monotonic() - began


def state(broker: Broker, when: str) -> Figures:
    memory = machine.memory_mib(broker.pid)
    return {f"{when}_{name}": mib for name, mib in memory.items()} | {f"{when}_disk_mib": machine.disk_mib(broker.folder)}


def offline(run: Run, broker: Broker, row: Row) -> Figures:
    """All are made and go away, messages are published, all come back at once; some come once more, for one message each."""
    sessions = run.messages(row, broker)
    all_of_them = ("--sessions", sessions)
    made, make_cpu_s = make(run, broker, *all_of_them)
    save(broker)
    figures = {"make_s": made["seconds"], "make_cpu_us": make_cpu_s * 1e6 / sessions} | state(broker, "away")
    _, publish_cpu_s = publish(run, broker, *all_of_them, "--each", EACH)
    save_s = save(broker)
    figures |= {"publish_cpu_us": publish_cpu_s * 1e6 / (sessions * EACH)} | state(broker, "full")
    figures |= {"save_s": save_s} if broker.database else {}
    machine.forget_peak(broker.pid)
    storm, storm_cpu_s = visit(run, broker, *all_of_them, "--each", EACH)
    figures |= {"storm_peak_mib": machine.peak_mib(broker.pid), "storm_s": storm["seconds"], "storm_cpu_s": storm_cpu_s}
    one_more = ("--sessions", min(sessions, AGAIN_MAX), "--each", 1, "--from", EACH)
    publish(run, broker, *one_more)
    again, again_cpu_s = visit(run, broker, *one_more)
    return figures | {
        "storm_client_cpu_s": storm["client_cpu_s"],
        "again_s": again["seconds"],
        "again_cpu_s": again_cpu_s,
    }


def metric(broker: Broker, name: str) -> float:
    """The sum over all labels."""
    with urllib.request.urlopen(f"http://{broker.admin}/metrics", timeout=TIMEOUT_S) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def publish_to_topics(run: Run, broker: Broker, messages: int, payload: int) -> None:
    """By mqload, whose publisher i has the topic of session i."""
    load = ("pubonly", "--qos", 1, "--prefix", PREFIX, "--pubs", TOPICS, "--messages", messages, "--payload", payload)
    drive(run.command("mqload", *load, "--port", broker.mqtt_port, "--run", 0, "--timeout", TIMEOUT_S), TIMEOUT_S)


def catch_up(run: Run, broker: Broker, session: int, each: int, payload: int) -> Figures:
    """One of those sessions comes back and takes all that its topic got."""
    before = metric(broker, "sluice_log_read_bytes_total") if broker.admin else 0
    whose = ("--prefix", PREFIX, "--first", session, "--sessions", 1)
    told, cpu_s = visit(run, broker, *whose, "--each", each, "--payload", payload)
    figures = {"first_ms": told["first_s"] * 1e3, "last_ms": told["last_s"] * 1e3, "behind_cpu_ms": cpu_s * 1e3}
    if broker.admin:
        figures["behind_read_mib"] = (metric(broker, "sluice_log_read_bytes_total") - before) / (1 << 20)
    return figures


def behind(run: Run, broker: Broker, row: Row) -> Figures:
    each = run.messages(row, broker) // TOPICS
    make(run, broker, "--prefix", PREFIX, "--first", BEHIND, "--sessions", 1)
    publish_to_topics(run, broker, each * TOPICS, 100)
    return catch_up(run, broker, BEHIND, each, 100)


def slow(run: Run, broker: Broker, row: Row) -> Figures:
    """Beside figures the list `rss_over_time`: pairs of seconds and MiB."""
    sessions, seconds = run.messages(row, broker), max(SLOW_S_MIN, run.seconds(SLOW_S))
    make(run, broker, "--sessions", sessions)
    load = ("--sessions", sessions, "--each", SLOW_PER_S * seconds, "--rate", SLOW_PER_S * sessions)
    command = sessload(run, broker, "slow", *load, "--receive-maximum", SLOW_WINDOW)
    samples: list[tuple[float, float]] = []

    def take_slowly() -> dict:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as load:
            samples.extend(memory_while(load, broker, SAMPLE_S, TIMEOUT_S))
            return result_of(command, load, load.stdout.read())

    told, cpu_s = spent(broker, take_slowly)
    resident = [mib for _, mib in samples]
    return {
        "cpu_us": cpu_s * 1e6 / told["messages"],
        "rss_min_mib": min(resident),
        "rss_max_mib": max(resident),
        "rss_last_mib": resident[-1],
        "caught_up_s": told["last_s"] - told["published_s"],
        "slow_client_cpu_s": told["client_cpu_s"],
        "rss_over_time": samples,
    }
