"""The hub is offered far more than it can do: what must not grow is its memory."""

import json
import subprocess

from .measure import Figures, Run, drive, memory_while
from .peers import Broker, Failure
from .rows import Row

TIMES = 10
LOAD = ("--payload", 16384, "--qos", 1)
SAMPLE_S = 0.5
ALLOWED_GROWTH, ALLOWED_GROWTH_MIB = 1.2, 32


def overload(run: Run, broker: Broker, _row: Row) -> Figures:
    """Beside figures the list `rss_over_time`: pairs of seconds and MiB."""
    address = ("--port", broker.mqtt_port, "--pid", broker.pid)
    messages = max(2000, int(100_000 * run.size))
    able = drive(run.command("mqload", "fanin", *address, *LOAD, "--messages", messages))["msgs_per_s"]
    seconds = max(6, run.seconds(60))
    offer = ("latency", "--topology", "fanin", "--pubs", 100, "--subs", 1, "--rate", round(TIMES * able))
    limits = ("--warmup-s", 0, "--duration", seconds, "--timeout", seconds, "--stall", seconds)
    samples, told = sampled(run.command("mqload", *offer, *address, *LOAD, *limits), broker, seconds)
    if not told["acked"] or not told["delivered"]:
        raise Failure("nothing was accepted, or nothing delivered, under overload")
    # It still works: this fails when a message is lost.
    drive(run.command("mqload", "fanin", "--port", broker.mqtt_port, "--qos", 1, "--messages", 10_000, "--prefix", "after"))
    resident = [mib for _, mib in samples]
    first, second = max(resident[: len(resident) // 2]), max(resident[len(resident) // 2 :])
    if second > first * ALLOWED_GROWTH + ALLOWED_GROWTH_MIB:
        raise Failure(f"memory grows under overload: {first:.0f} MiB in the first half, then {second:.0f} MiB")
    return {
        "offered_per_s": TIMES * able,
        "accepted_per_s": told["acked"] / seconds,
        "per_s": told["delivered"] / seconds,
        "peak_first_mib": first,
        "peak_second_mib": second,
        "rss_over_time": samples,
    }


def sampled(command: list[str], broker: Broker, seconds: int) -> tuple[list[tuple[float, float]], dict]:
    """Resident memory over time while `command` runs, and what that told. That it is cut off with most of what was offered
    not sent is what is meant to happen, so its exit status says nothing here."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as load:
        samples = memory_while(load, broker, SAMPLE_S, 2 * seconds + 30)
        told = load.stdout.read()
    result = json.loads(told) if told.strip() else {}
    if result.get("protocol_errors", 1) != 0:
        raise Failure(f"overload: {told[:300]}")
    return samples, result
