"""The table of statements and tests is complete, and the page shows it."""

import pytest

from conformance import table
from conformance.table import CoveringTest, Statement

COUNTS = {"3.1.1": 141, "5": 251}  # of the appendices B


def test_every_statement_has_a_test_or_a_reason():
    assert table.problems() == []


def test_the_page_shows_the_table():
    assert table.page_with(table.rendered()) == table.PAGE.read_text(), "run tests/conformance/table.py --write-docs"


@pytest.mark.parametrize("standard", COUNTS)
def test_no_statement_is_missing(standard):
    """Of each section they are numbered without a gap; 2.2.1 of MQTT 5 begins with 2."""
    found = [key.partition(":MQTT-")[2] for key in table.statements() if key.startswith(f"{standard}:")]
    assert len(found) == COUNTS[standard]
    sections = {}
    for statement in found:
        section, number = statement.rsplit("-", 1)
        sections.setdefault(section, []).append(int(number))
    for section, numbers in sections.items():
        first = 2 if (standard, section) == ("5", "2.2.1") else 1
        assert numbers == [*range(first, first + len(numbers))], section


@pytest.fixture
def told(monkeypatch):
    """What `problems` says of one statement, the ids that tests cover, tests that cover none, and C++ tests."""

    def problems(statement, covering=(), idle=(), cpp=()):
        test = CoveringTest("m", "t")
        monkeypatch.setattr(table, "statements", lambda: {"5:a": statement})
        monkeypatch.setattr(table, "tests", lambda: ({each: [test] for each in covering}, [test for _ in idle]))
        monkeypatch.setattr(table, "cpp_tests", lambda: set(cpp))
        return " ".join(table.problems())

    return problems


def test_nothing_is_said_of_what_is_right(told):
    assert told(Statement("both", "x"), covering=["5:a"]) == ""
    assert told(Statement("both", "x", reason="supported")) == ""
    assert told(Statement("both", "x", also=("A.B",)), cpp=["A.B"]) == ""


def test_what_is_wrong_is_said(told):
    assert "neither a test nor a reason" in told(Statement("both", "x"))
    assert "tested in part" in told(Statement("both", "x", partly="client_unseen"))
    assert "and a test" in told(Statement("both", "x", reason="supported"), covering=["5:a"])
    assert "unknown reason" in told(Statement("both", "x", reason="no"))
    assert "binds" in told(Statement("nobody", "x"), covering=["5:a"])
    assert "which is no statement" in told(Statement("both", "x"), covering=["5:a", "5:b"])
    assert "which is not there" in told(Statement("both", "x", also=("A.B",)))
    assert "covers no statement" in told(Statement("both", "x"), covering=["5:a"], idle=["t"])


def test_the_command_says_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(table, "rendered", lambda: "another table")
    assert table.main([]) == 1
    assert "out of date" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        table.main(["--no-such-option"])
