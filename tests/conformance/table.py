#!/usr/bin/env python3
"""Which test covers which statement: checks that none is left out, and writes the table in docs/reference/mqtt.md.

    tests/conformance/table.py               # says what is wrong, if anything
    tests/conformance/table.py --write-docs  # and brings the table up to date
"""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/reference/mqtt.md"
BEGIN, END = "<!-- conformance -->", "<!-- /conformance -->"

STANDARDS = {"3.1.1": "statements_311.toml", "5": "statements_5.toml"}
BINDS = ("client", "server", "both")

# Why a statement has no test, or (`partly`) has one for a part of it only.
REASONS = {
    "client_unseen": "obliges the client, and the server cannot see it",
    "client_order": "obliges the client; a server may take its answers in any order, and sluice does",
    "supported": "applies to servers without a feature that sluice has",
    "no_user_properties": "sluice sends no User Properties in this packet",
    "no_auth_properties": "sluice sends no such property in AUTH",
    "no_bridge": "sluice connects to no other MQTT server",
    "whole_suite": "the whole suite uses none",
}


class Statement(NamedTuple):
    binds: str
    says: str
    reason: str = ""  # a key of REASONS: why there is no test
    partly: str = ""  # likewise: what the tests leave out
    also: tuple = ()  # tests elsewhere, as "Suite.Name" of C++


def statements():
    """{"5:MQTT-1.5.4-1": Statement} of both standards, in their order."""
    found = {}
    for standard, file in STANDARDS.items():
        for identifier, fields in tomllib.loads((HERE / file).read_text()).items():
            found[f"{standard}:{identifier}"] = Statement(**fields)
    return found


def _covers_of(function):
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "covers":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


class CoveringTest(NamedTuple):
    module: str
    name: str


def tests():
    """(tests by the statement that they cover, those that cover none)"""
    covering, idle = defaultdict(list), []
    for file in sorted(HERE.glob("test_*.py")):
        if file.stem == "test_table":
            continue
        for node in ast.parse(file.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            test = CoveringTest(file.stem, node.name)
            covered = list(_covers_of(node))
            for statement in covered:
                covering[statement].append(test)
            if not covered:
                idle.append(test)
    return covering, idle


def cpp_tests():
    """"Suite.Name" of all C++ tests."""
    pattern = re.compile(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", re.MULTILINE)
    return {".".join(match) for file in (ROOT / "src").glob("*/*_test.cc") for match in pattern.findall(file.read_text())}


def problems():
    """What is wrong, as sentences."""
    known = statements()
    covering, idle = tests()
    elsewhere = cpp_tests()
    found = [f"{test.module}: {test.name} covers no statement" for test in idle]
    for statement, by in covering.items():
        if statement not in known:
            found.append(f"{by[0].module}: {by[0].name} covers {statement}, which is no statement")
    for identifier, statement in known.items():
        covered = covering.get(identifier) or statement.also
        if statement.binds not in BINDS:
            found.append(f"{identifier} binds '{statement.binds}'")
        for reason in filter(None, (statement.reason, statement.partly)):
            if reason not in REASONS:
                found.append(f"{identifier} has the unknown reason '{reason}'")
        if not covered and not statement.reason:
            found.append(f"{identifier} has neither a test nor a reason")
        if covered and statement.reason:
            found.append(f"{identifier} has a reason to have no test, and a test")
        if statement.partly and not covered:
            found.append(f"{identifier} is tested in part, and has no test")
        found += [f"{identifier} names the test {name}, which is not there" for name in statement.also if name not in elsewhere]
    return found


# --- the page


def _tests_as_text(covering, statement):
    by_module = defaultdict(list)
    for test in covering:
        by_module[test.module].append(test.name.removeprefix("test_"))
    parts = [f"*{module.removeprefix('test_')}*: {', '.join(names)}" for module, names in by_module.items()]
    if statement.also:
        parts.append(f"*unit tests*: {', '.join(statement.also)}")
    if statement.partly:
        parts.append(f"**in part only**: {REASONS[statement.partly]}")
    return "; ".join(parts)


def _section(standard, known, covering):
    mine = {key.partition(":")[2]: value for key, value in known.items() if key.startswith(f"{standard}:")}
    tested = {identifier: value for identifier, value in mine.items() if not value.reason}
    partly = [identifier for identifier, value in mine.items() if value.partly]
    lines = [
        f"### MQTT {standard}: {len(mine)} statements",
        "",
        f"{len(tested)} have tests, {len(partly)} of these for a part only. The others, and these:",
        "",
        "| why not tested | statements |",
        "|---|---|",
    ]
    for reason, text in REASONS.items():
        named = [(key.removeprefix("MQTT-"), value) for key, value in mine.items() if reason in (value.reason, value.partly)]
        if named:
            lines.append(f"| {text} | {', '.join(key + (' (in part)' if value.partly else '') for key, value in named)} |")
    lines += ["", "| statement | says | covered by |", "|---|---|---|"]
    for identifier, value in mine.items():
        by = REASONS[value.reason] if value.reason else _tests_as_text(covering.get(f"{standard}:{identifier}", ()), value)
        lines.append(f"| {identifier} | {value.says.replace('|', chr(92) + '|')} | {by} |")
    return "\n".join(lines)


def rendered():
    """What stands between the marks of the page."""
    known, (covering, _) = statements(), tests()
    sections = "\n\n".join(_section(standard, known, covering) for standard in STANDARDS)
    return f"{BEGIN}\n\n{sections}\n\n{END}"


def page_with(content):
    """The page as it should be."""
    page = PAGE.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"{PAGE} has no marks {BEGIN} and {END}")
    before, rest = page.split(BEGIN)
    return before + content + rest.split(END)[1]


def main(arguments):
    if arguments not in ([], ["--write-docs"]):
        sys.exit(__doc__)
    found = problems()
    page = page_with(rendered())
    if arguments:
        PAGE.write_text(page)
    elif page != PAGE.read_text():
        found.append(f"{PAGE.relative_to(ROOT)} is out of date: run {Path(__file__).relative_to(ROOT)} --write-docs")
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
