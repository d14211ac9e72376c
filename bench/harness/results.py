"""What was measured, on disk and as medians."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

Key = tuple[str, str, str]  # group, row, broker


class Results:
    """Rounds from 1 on count; round 0 warms up and is only written down."""

    def __init__(self, file: Path, about: dict) -> None:
        self.about = about  # of the run: date, versions, machine, command
        self.failures: list[str] = []  # of sluice, or of what it is measured against
        self.notes: list[str] = []  # of other peers, and peers that are not here
        self._values: dict[Key, list[dict]] = {}
        self._file = file
        file.write_text(json.dumps({"about": about}) + "\n")

    def add(self, round_: int, key: Key, figures: dict) -> None:
        self._append({"round": round_, "key": key, "figures": figures})
        if round_ > 0:
            self._values.setdefault(key, []).append(figures)

    def fail(self, key: Key, why: object, ours: bool) -> None:
        text = f"{key[0]}/{key[1]} on {key[2]}: {why}"
        self._append({"failure" if ours else "note": text})
        (self.failures if ours else self.notes).append(text)

    def values(self, key: Key, figure: str) -> list[float]:
        return [figures[figure] for figures in self._values.get(key, []) if figure in figures]

    def median(self, key: Key, figure: str) -> float | None:
        values = self.values(key, figure)
        return statistics.median(values) if values else None

    def groups(self) -> Iterable[str]:
        return dict.fromkeys(key[0] for key in self._values)

    def has(self, group: str, row: str) -> bool:
        return any(key[:2] == (group, row) for key in self._values)

    def _append(self, line: dict) -> None:
        with self._file.open("a") as out:
            out.write(json.dumps(line) + "\n")


def load(file: Path) -> Results:
    """Of an earlier run; what is added goes to a file beside it."""
    first, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    results = Results(file.with_suffix(".again.jsonl"), first["about"])
    for line in lines:
        if "key" in line:
            results.add(line["round"], tuple(line["key"]), line["figures"])
        results.failures += [line["failure"]] if "failure" in line else []
        results.notes += [line["note"]] if "note" in line else []
    return results
