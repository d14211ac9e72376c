"""Measures sluice beside other brokers, interleaved in rounds, and fails when it falls below its gates.

All brokers of a group run at the same time on one machine, and each row goes over all of them before the next, in an order
that rotates, so that a slow minute hits all alike. Figures are medians over the rounds; one more round before them warms up.
A run in which a load generator finds loss, duplicates at exactly-once or a protocol error fails the whole. All results:
.cache/bench/results.jsonl. Which row is what: bench/README.md.
"""

import argparse
import contextlib
import datetime
import fcntl
import math
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import docs, machine
from .peers import Peer, Setup
from .report import GroupReport
from .results import Results, load
from .rounds import Chosen, run_group
from .rows import GROUPS, Group

RESULTS = machine.WORK / "results.jsonl"
LOCK = Path(tempfile.gettempdir()) / "sluice-bench.lock"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", default="", help="rows whose GROUP/ROW contains this regular expression")
    parser.add_argument("--list", action="store_true", help="print the rows, their brokers and about how long they take")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="one round of a quarter of the messages")
    parser.add_argument("--scale", type=float, help="share of the messages and of the time; default 1, with --quick 0.25")
    parser.add_argument("--pin", action="store_true", help="servers on processor 0, load generators on 1; not for two shards")
    parser.add_argument("--without", metavar="BROKER", action="append", default=[], help="leave one out; may be repeated")
    parser.add_argument("--bin", type=Path, default=machine.ROOT / "build/release/bin", help="the programs to measure")
    parser.add_argument("--write-docs", action="store_true", help="put tables and plots into docs/benchmarks.md")
    parser.add_argument("--report", action="store_true", help="run nothing: report the results of the last run again")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 5)
    chosen.scale = chosen.scale or (0.25 if chosen.quick else 1.0)
    return chosen


def chosen_groups(options: argparse.Namespace) -> list[Chosen]:
    pattern = re.compile(options.only, re.IGNORECASE)
    chosen = []
    for group in GROUPS:
        names = {row.name for row in group.rows if pattern.search(f"{group.name}/{row.name}")}
        # What a row is compared with is measured, too.
        names |= {row.base for row in group.rows if row.name in names and row.base}
        rows = [row for row in group.rows if row.name in names]
        peers = [peer for peer in group.peers if peer.name not in options.without]
        if rows and peers:
            chosen.append(Chosen(group, rows, peers))
    return chosen


def list_rows(chosen: list[Chosen], rounds: int, scale: float) -> None:
    in_all = 0.0
    for part in chosen:
        seconds = sum(part.seconds(row, rounds, scale) for row in part.rows)
        in_all += seconds
        print(f"{part.group.title}: {', '.join(peer.name for peer in part.peers)}; about {math.ceil(seconds / 60)} min")
        for row in part.rows:
            print(f"  {part.group.name}/{row.name}")
    print(f"in all about {math.ceil(in_all / 60)} minutes")


def missing_peers(chosen: list[Chosen]) -> dict[str, str]:
    """Names and reasons of those that can't run here."""
    peers = {peer.name: peer for part in chosen for peer in part.peers}
    return {name: reason for name, peer in peers.items() if (reason := peer.missing())}


def about(options: argparse.Namespace, setup: Setup, peers: dict[str, Peer]) -> dict:
    pinning = "Servers on processor 0, load generators on processor 1." if options.pin else "Nothing pinned."
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine.description(),
        "rounds": ("1 round" if options.rounds == 1 else f"{options.rounds} rounds") + (f" of {options.scale:g} of the messages" if options.scale != 1 else ""),
        "pinning": pinning,
        "command": shlex.join(["./dev", "bench", *(word for word in sys.argv[1:] if word not in ("--write-docs", "--report"))]),
        "versions": {name: peer.version(setup) for name, peer in peers.items()},
    }


def say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two on one machine would measure each other."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("bench: another one is running on this machine")
        yield


def measure(options: argparse.Namespace, chosen: list[Chosen]) -> Results:
    shutil.rmtree(machine.WORK, ignore_errors=True)
    machine.WORK.mkdir(parents=True)
    machine.allow_many_files()
    setup = Setup(options.bin, machine.WORK)
    missing = missing_peers(chosen)
    chosen = [Chosen(part.group, part.rows, [peer for peer in part.peers if peer.name not in missing]) for part in chosen]
    peers = {peer.name: peer for part in chosen for peer in part.peers}
    results = Results(RESULTS, about(options, setup, peers))
    for name, reason in missing.items():
        say(f"without {name}: {reason}")
        results.notes.append(f"without {name}: {reason}")
    say(machine.touch_free_memory(options.scale))
    for part in chosen:
        run_group(part, setup, options, results, say)
    return results


def report_on(group: Group, results: Results) -> GroupReport:
    report = GroupReport(group, results)
    print(f"\n## {group.title}\n\n{report.text()}", flush=True)
    return report


def main() -> int:
    options = arguments()
    chosen = chosen_groups(options)
    if not chosen:
        sys.exit(f"bench: no row contains '{options.only}'; see --list")
    if options.list:
        list_rows(chosen, options.rounds, options.scale)
        return 0
    if options.report:
        results = load(RESULTS)
    else:
        with alone():
            results = measure(options, chosen)
    print(f"{results.about['machine']}; {results.about['rounds']}. {results.about['pinning']}")
    reports = [report_on(part.group, results) for part in chosen if part.group.name in results.groups()]
    if options.write_docs:
        docs.write(reports)
    missed = [f"below the gate: {gate}" for report in reports for gate in report.missed_gates()]
    print()
    for note in results.notes:
        print(f"note: {note}")
    for problem in results.failures + missed:
        print(f"FAILED {problem}")
    if not results.failures and not missed:
        print("all gates held")
    return 1 if results.failures or missed else 0
