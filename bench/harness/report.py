"""Tables of results, and whether the gates held."""

from dataclasses import dataclass

from .results import Results
from .rows import Group, Row


WHOLE = "{:,.0f}"


@dataclass(frozen=True)
class Figure:
    title: str
    form: str = WHOLE
    divisor: float = 1

    def text(self, value: float | None) -> str:
        if value is None:
            return "-"
        scaled = value / self.divisor
        small = self.form == WHOLE and 0 < abs(scaled) < 10
        return f"{scaled:.2g}" if small else self.form.format(scaled)


FIGURES = {
    "per_cpu_s": Figure("thousand messages per server CPU second", divisor=1000),
    "per_s": Figure("thousand messages per second", divisor=1000),
    "offered_per_s": Figure("thousand messages offered per second", divisor=1000),
    "accepted_per_s": Figure("thousand messages acknowledged per second", divisor=1000),
    "user_us": Figure("CPU s per million, user", "{:,.3g}"),
    "system_us": Figure("system", "{:,.3g}"),
    "cpu_us": Figure("server CPU s per million, or µs a message", "{:,.3g}"),
    "p50": Figure("p50, µs"),
    "p99": Figure("p99, µs"),
    "connection_bytes": Figure("bytes per connection"),
    "connects_per_s": Figure("connections per second"),
    "ready_s": Figure("seconds from start to ready", "{:.3f}"),
    "rss_mib": Figure("resident MiB"),
    "anon_mib": Figure("anonymous MiB", "{:.1f}"),
    "binary_mb": Figure("binary, stripped, MB", "{:.1f}"),
    "peak_first_mib": Figure("highest resident MiB, first half"),
    "peak_second_mib": Figure("highest resident MiB, second half"),
    "make_s": Figure("seconds to make them", "{:,.1f}"),
    "make_cpu_us": Figure("server CPU µs to make one"),
    "away_rss_mib": Figure("all away, resident MiB"),
    "away_anon_mib": Figure("all away, anonymous MiB"),
    "away_disk_mib": Figure("all away, MiB on disk"),
    "publish_cpu_us": Figure("publishing, server CPU µs a message", "{:,.2f}"),
    "full_rss_mib": Figure("published, resident MiB"),
    "full_anon_mib": Figure("published, anonymous MiB"),
    "full_disk_mib": Figure("published, MiB on disk"),
    "save_s": Figure("seconds in which all is saved", "{:,.1f}"),
    "storm_s": Figure("storm, seconds", "{:,.1f}"),
    "storm_cpu_s": Figure("storm, server CPU s", "{:,.1f}"),
    "storm_client_cpu_s": Figure("storm, CPU s of the load generator", "{:,.1f}"),
    "storm_peak_mib": Figure("storm, highest resident MiB"),
    "again_s": Figure("once more, seconds", "{:,.1f}"),
    "again_cpu_s": Figure("once more, server CPU s", "{:,.1f}"),
    "first_ms": Figure("ms to the first message", "{:,.1f}"),
    "last_ms": Figure("ms to the last message", "{:,.0f}"),
    "behind_cpu_ms": Figure("server CPU ms"),
    "behind_read_mib": Figure("MiB read from the log", "{:,.1f}"),
    "rss_min_mib": Figure("lowest resident MiB"),
    "rss_max_mib": Figure("highest resident MiB"),
    "rss_last_mib": Figure("resident MiB at the end"),
    "caught_up_s": Figure("seconds until all have the rest", "{:,.1f}"),
    "slow_client_cpu_s": Figure("CPU s of the load generator", "{:,.1f}"),
}

Series = list[tuple[float, float]]  # seconds, MiB


def ratio(value: float | None, base: float | None) -> str:
    return "-" if not value or not base else f"{value / base:.2f}"


def spread(values: list[float], figure: Figure) -> str:
    return f"{figure.text(min(values))} to {figure.text(max(values))}" if values else "-"


def mib_at(series: Series, second: float) -> str:
    """Nothing after its end."""
    before = [mib for at, mib in series if at <= second]
    return f"{before[-1]:.0f}" if before and second <= series[-1][0] else "-"


def markdown(heading: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in [heading, *rows]) for i in range(len(heading))]

    def line(cells: list[str]) -> str:
        padded = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(heading), rule, *map(line, rows)])


class GroupReport:
    def __init__(self, group: Group, results: Results) -> None:
        self.group, self.results = group, results
        self.rows = [row for row in group.rows if results.has(group.name, row.name)]
        self.brokers = [p.name for p in group.peers if any(self._median(row, p.name, None) is not None for row in self.rows)]

    def _median(self, row: Row, broker: str, figure: str | None) -> float | None:
        figures = [figure] if figure else [*self.group.figures, *self.group.details]
        medians = (self.results.median((self.group.name, row.name, broker), name) for name in figures)
        return next((median for median in medians if median is not None), None)

    def _base(self, row: Row, broker: str, figure: str) -> float | None:
        """What `broker` is compared with in `row`."""
        if row.base:
            return self.results.median((self.group.name, row.base, broker), figure)
        return self._median(row, self.group.base, figure) if broker != self.group.base else None

    def subject_ratio(self, row: Row, figure: str) -> float | None:
        ours, base = self._median(row, self.group.subject, figure), self._base(row, self.group.subject, figure)
        return ours / base if ours and base else None

    def missed_gates(self) -> list[str]:
        """None when the base was left out of the run."""
        missed = []
        for row in self.rows if self.group.base in self.brokers else []:
            reached = self.subject_ratio(row, self.group.figures[0])
            if row.gate and (reached is None or reached < row.gate):
                told = "no figure" if reached is None else f"{reached:.2f}"
                missed.append(f"{self.group.name}/{row.name}: {told} of {self.group.base}, wanted {row.gate}")
        return missed

    def headline(self) -> str:
        """A line for each row and figure: medians, in parentheses as share of the base; the subject's range; the aims."""
        group, lines = self.group, []
        gated = any(row.gate for row in self.rows)
        for figure in group.figures:
            for row in self.rows:
                medians = {broker: self._median(row, broker, figure) for broker in self.brokers}
                if all(median is None for median in medians.values()):
                    continue
                cells = [self._cell(row, broker, figure, median) for broker, median in medians.items()]
                ranged = spread(self.results.values((group.name, row.name, group.subject), figure), FIGURES[figure])
                target, best = row.aims.get(figure, ("-", "-"))
                gate = [str(row.gate or "-") if figure == group.figures[0] else "-"] if gated else []
                name = row.name if len(group.figures) == 1 else f"{row.name}: {FIGURES[figure].title}"
                lines.append([name, *cells, ranged, target, best, *gate])
        what = FIGURES[group.figures[0]].title if len(group.figures) == 1 else "row"
        heading = [what, *self.brokers, f"{group.subject}, range", "target", "best known"]
        return markdown(heading + (["gate"] if gated else []), lines)

    def _cell(self, row: Row, broker: str, figure: str, median: float | None) -> str:
        base = self._base(row, broker, figure)
        share = f" ({ratio(median, base)})" if median and base else ""
        return FIGURES[figure].text(median) + share

    def detail(self) -> str:
        """A line for each row and broker."""
        group, lines = self.group, []
        names = [name for name in group.details if name not in group.figures]
        for row in self.rows:
            for broker in self.brokers:
                key = (group.name, row.name, broker)
                if self._median(row, broker, None) is None:
                    continue
                cells = [FIGURES[name].text(self.results.median(key, name)) for name in names]
                ranged = spread(self.results.values(key, group.figures[0]), FIGURES[group.figures[0]])
                lines.append([row.name, broker, *cells, ranged, str(len(self.results.values(key, group.figures[0])))])
        heading = ["row", "broker", *(FIGURES[name].title for name in names)]
        return markdown([*heading, f"{FIGURES[group.figures[0]].title}, range", "rounds"], lines)

    def over_time(self) -> list[tuple[str, dict[str, Series]]]:
        """Rows that recorded memory over time, with that of each broker's first run."""
        found = []
        for row in self.rows:
            runs = {peer.name: self.results.values((self.group.name, row.name, peer.name), "rss_over_time") for peer in self.group.peers}
            series = {broker: values[0] for broker, values in runs.items() if values}
            found += [(row.name, series)] if series else []
        return found

    def time_table(self, series: dict[str, Series], steps: int = 12) -> str:
        last = max(one[-1][0] for one in series.values())
        seconds = [last * step / steps for step in range(steps + 1)]
        lines = [[f"{second:.0f}", *(mib_at(one, second) for one in series.values())] for second in seconds]
        return markdown(["second", *(f"{broker}, resident MiB" for broker in series)], lines)

    def text(self) -> str:
        """Everything in Markdown, without the heading."""
        parts = [self.group.note, self.headline()]
        parts += [self.detail()] if self.group.details else []
        parts += [self.time_table(series) for _, series in self.over_time()]
        return "\n\n".join(part for part in parts if part)
