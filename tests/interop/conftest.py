"""Prints the matrices of clients and capabilities after the tests, and keeps them in build/interop.md."""

from collections import defaultdict

from support.hub import ROOT

MARKS = {"passed": "yes", "failed": "NO", "skipped": "-"}

_cells = defaultdict(dict)  # (protocol, server) -> (client, capability) -> mark
_skipped = defaultdict(dict)  # (protocol, server) -> why, in the order of the tests


def pytest_runtest_logreport(report):
    if report.when != "call" and report.outcome == "passed":
        return
    for name, value in report.user_properties:
        if name == "cell":
            protocol, server, client, capability = value
            _cells[protocol, server][client, capability] = MARKS[report.outcome]
            if report.skipped:
                _skipped[protocol, server][report.longrepr[2].removeprefix("Skipped: ")] = None


def pytest_terminal_summary(terminalreporter):
    if not _cells:
        return
    text = "\n\n".join(section(*of) for of in _cells)
    terminalreporter.write_sep("=", "clients x capabilities")
    terminalreporter.write_line(text)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/interop.md").write_text(text + "\n")


def section(protocol, server):
    found = f"{protocol}, {server}:\n\n{table(_cells[protocol, server])}"
    if reasons := _skipped[protocol, server]:
        found += "\n\n`-`:\n\n" + "\n".join(f"- {reason}" for reason in reasons)
    return found


def table(cells):
    clients = list(dict.fromkeys(client for client, _ in cells))
    capabilities = list(dict.fromkeys(capability for _, capability in cells))
    rows = [["", *capabilities], ["---"] * (len(capabilities) + 1)]
    rows += [[client, *(cells.get((client, what), "") for what in capabilities)] for client in clients]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)
