"""Plots as SVG, without a library: bars with ranges, and lines over time."""

from dataclasses import dataclass
from html import escape

from .report import FIGURES, GroupReport, Series

WIDTH, LABEL, BAR, GAP, HEAD = 760, 150, 15, 4, 24
COLOURS = {"sluice": "#0969da", "floor": "#8c959f", "mosquitto": "#bf8700", "nats": "#1a7f37", "rumqttd": "#cf222e", "kafka": "#8250df"}


@dataclass(frozen=True)
class Bar:
    broker: str
    low: float
    median: float
    high: float
    text: str


def document(height: float, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def text(x: float, y: float, words: str, more: str = "", colour: str = "#1f2328") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}"{more}>{escape(words)}</text>'


def colour_of(broker: str) -> str:
    return COLOURS.get(broker.split()[0], "#57606a")


def bars(blocks: list[tuple[str, list[Bar]]], y: float) -> tuple[list[str], float]:
    """A block for each row, from `y` down, scaled to its own largest value; a thin line spans the range over the rounds. The
    parts and where they end."""
    parts = []
    for title, group in blocks:
        parts.append(text(8, y + 14, title, ' font-weight="bold"'))
        y += HEAD
        scale = (WIDTH - LABEL - 130) / (max(bar.high for bar in group) or 1)
        for bar in group:
            middle, length = y + BAR / 2, bar.median * scale
            parts.append(text(LABEL - 8, y + 12, bar.broker, ' text-anchor="end"'))
            parts.append(f'<rect x="{LABEL}" y="{y:.1f}" width="{max(length, 1):.1f}" height="{BAR}" fill="{colour_of(bar.broker)}"/>')
            low, high = LABEL + bar.low * scale, LABEL + bar.high * scale
            parts.append(f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}" stroke="#1f2328" stroke-width="1.5"/>')
            parts.append(text(max(LABEL + length, high) + 6, y + 12, bar.text))
            y += BAR + GAP
        y += 10
    return parts, y


def lines(title: str, series: dict[str, Series], y: float) -> tuple[list[str], float]:
    """MiB over seconds, a line for each broker, from `y` down. The parts and where they end."""
    left, top, width, height = 60, y + HEAD + 6, WIDTH - 80, 200
    last = max(one[-1][0] for one in series.values()) or 1
    highest = 1.2 * max(mib for one in series.values() for _, mib in one)
    parts = [text(8, y + 14, title, ' font-weight="bold"')]
    parts.append(f'<path d="M{left} {top:.1f}V{top + height:.1f}H{left + width}" stroke="#57606a" fill="none"/>')
    for share in (0, 0.5, 1):
        parts.append(text(left - 6, top + height * (1 - share) + 4, f"{highest * share:.0f}", ' text-anchor="end"'))
        parts.append(text(left + width * share, top + height + 18, f"{last * share:.0f} s", ' text-anchor="middle"'))
    for number, (broker, one) in enumerate(series.items()):
        points = " ".join(f"{left + width * at / last:.1f},{top + height * (1 - mib / highest):.1f}" for at, mib in one)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour_of(broker)}" stroke-width="2"/>')
        parts.append(text(left + 12, top + 12 + 16 * number, broker, colour=colour_of(broker)))
    return parts, top + height + 30


def of_group(report: GroupReport) -> str:
    parts, y = bars(blocks_of(report), 8.0)
    for row, series in report.over_time():
        more, y = lines(f"{row}: resident MiB over time", series, y)
        parts += more
    return document(y, parts)


def blocks_of(report: GroupReport) -> list[tuple[str, list[Bar]]]:
    group, blocks = report.group, []
    for name in group.figures if group.plotted is None else group.plotted:
        figure = FIGURES[name]
        for row in report.rows:
            found = []
            for broker in report.brokers:
                values = report.results.values((group.name, row.name, broker), name)
                if values:
                    median = report.results.median((group.name, row.name, broker), name)
                    found.append(Bar(broker, min(values), median, max(values), figure.text(median)))
            if found:
                blocks.append((f"{row.name}: {figure.title}", found))
    return blocks
