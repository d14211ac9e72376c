"""Writes results into docs/benchmarks.md, between the marks `<!-- bench:GROUP -->` and `<!-- /bench:GROUP -->` of their
group, and the plots beside it. What stands outside the marks, and groups that did not run, stay as they are."""

import sys

from . import plot
from .machine import ROOT
from .report import GroupReport

PAGE = ROOT / "docs/benchmarks.md"
PLOTS = ROOT / "docs/benchmarks"


def section(report: GroupReport) -> str:
    group, about = report.group, report.results.about
    versions = ", ".join(f"{peer.name} {about['versions'][peer.name]}".strip() for peer in group.peers if peer.name in report.brokers)
    settings = "".join(f"\n- {peer.name}: {peer.settings}" for peer in group.peers if peer.name in report.brokers)
    return (
        f"Measured {about['date']} on {about['machine']}; {about['rounds']}. {about['pinning']} {versions}.\n{settings}\n\n"
        f"    {about['command']}\n\n"
        f"{report.text()}\n\n"
        f"![{group.title}](benchmarks/{group.name}.svg)"
    )


def replaced(page: str, name: str, content: str) -> str:
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        sys.exit(f"bench: {PAGE} has no marks {begin} and {end}")
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}"


def write(reports: list[GroupReport]) -> None:
    page = PAGE.read_text()
    PLOTS.mkdir(exist_ok=True)
    for report in reports:
        page = replaced(page, report.group.name, section(report))
        (PLOTS / f"{report.group.name}.svg").write_text(plot.of_group(report))
    PAGE.write_text(page)
