"""Goes over rows, brokers and rounds."""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import machine, measure
from .faces import kafka_to_mqtt, mqtt_to_kafka
from .measure import Run
from .overload import overload
from .peers import Broker, Failure, Peer, Setup
from .results import Results
from .rows import Group, Row
from .sessions import behind, offline, slow

KINDS: dict[str, Callable[[Run, Broker, Row], measure.Figures]] = {
    function.__name__: function
    for function in (
        measure.rate, measure.latency, measure.same_shard, measure.other_shard, measure.idle, measure.start,
        measure.produce, measure.consume, measure.record_latency, mqtt_to_kafka, kafka_to_mqtt, overload, offline,
        behind, slow,
    )
}  # fmt: skip
WARM_UP_SHARE = 0.25  # of a round's messages


@dataclass(frozen=True)
class Chosen:
    """What of a group is to be measured."""

    group: Group
    rows: list[Row]
    peers: list[Peer]

    def rounds(self, wanted: int) -> range:
        first = 1 if self.group.fresh else 0  # round 0 warms up
        return range(first, min(wanted, self.group.rounds_max) + 1)

    def seconds(self, row: Row, wanted: int, scale: float) -> float:
        """About how long."""
        a_round = 2 + (row.seconds - 2) * scale
        return len(self.rounds(wanted)) * a_round * len(self.peers_of(row, self.peers))

    @staticmethod
    def peers_of(row: Row, peers: list) -> list:
        return [peer for peer in peers if getattr(peer, "max_qos", 2) >= row.qos]


def rotated(items: list, by: int) -> list:
    by %= max(len(items), 1)
    return items[by:] + items[:by]


def ours(peer: Peer) -> bool:
    """What fails there fails the whole; others may be broken."""
    return peer.name.startswith(("sluice", "floor"))


def run_group(chosen: Chosen, setup: Setup, options: argparse.Namespace, results: Results, say) -> None:
    pin = options.pin and chosen.group.pin
    setup = replace(setup, before=machine.pinned(0) if pin else [])
    generator = machine.pinned(1) if pin else []

    def run_of(round_: int) -> Run:
        return Run(setup, generator, options.scale * (1 if round_ else WARM_UP_SHARE), options.scale, round_)

    with contextlib.ExitStack() as running:
        brokers: dict[str, Broker] = {}
        for peer in [] if chosen.group.fresh else chosen.peers:
            try:
                brokers[peer.name] = running.enter_context(peer.run(setup))
                if chosen.group.name == "kafka":
                    say(f"{peer.name}: records that warm it up")
                    measure.warm_kafka(run_of(1), brokers[peer.name])
            except Failure as failure:
                results.fail((chosen.group.name, "start", peer.name), failure, ours(peer))
        peers = [peer for peer in chosen.peers if chosen.group.fresh or peer.name in brokers]
        for round_ in chosen.rounds(options.rounds):
            for row in chosen.rows:
                for peer in rotated(chosen.peers_of(row, peers), round_):
                    say(f"round {round_}: {chosen.group.name}/{row.name}, {peer.name}")
                    key = (chosen.group.name, row.name, peer.name)
                    try:
                        results.add(round_, key, one_run(run_of(round_), row, peer, setup, brokers.get(peer.name)))
                    except (Failure, OSError) as failure:  # OSError: no such process any more
                        results.fail(key, failure, ours(peer))


def one_run(run: Run, row: Row, peer: Peer, setup: Setup, broker: Broker | None) -> measure.Figures:
    with contextlib.ExitStack() as running:
        broker = broker or running.enter_context(peer.run(setup))
        figures = KINDS[row.kind](run, broker, row)
        return machine.memory_mib(broker.pid) | figures
