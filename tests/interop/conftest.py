"""Prints the matrix of clients and capabilities after the tests, and keeps it in build/interop.md."""

from collections import defaultdict

from support.hub import ROOT

MARKS = {"passed": "yes", "failed": "NO", "skipped": "-"}

_cells = defaultdict(dict)  # server -> (client, capability) -> mark


def pytest_runtest_logreport(report):
    if report.when != "call" and report.outcome == "passed":
        return
    for name, value in report.user_properties:
        if name == "cell":
            server, client, capability = value
            _cells[server][client, capability] = MARKS[report.outcome]


def pytest_terminal_summary(terminalreporter):
    if not _cells:
        return
    text = "\n\n".join(f"{server}:\n\n{table(cells)}" for server, cells in _cells.items())
    terminalreporter.write_sep("=", "clients x capabilities")
    terminalreporter.write_line(text)
    (ROOT / "build/interop.md").write_text(text + "\n")


def table(cells):
    clients = list(dict.fromkeys(client for client, _ in cells))
    capabilities = list(dict.fromkeys(capability for _, capability in cells))
    rows = [["", *capabilities], ["---"] * (len(capabilities) + 1)]
    rows += [[client, *(cells.get((client, what), "") for what in capabilities)] for client in clients]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)
