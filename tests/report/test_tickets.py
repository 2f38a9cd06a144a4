from __future__ import annotations

import shlex
from pathlib import Path

from pytest_aprqa.report.tickets import command, tickets
from pytest_aprqa.words import Outcome

NASTY = "`id` $(id) ';id;' \x1b[31m\u202e\n````\n# heading @someone"


def test_failures_of_one_cause_are_one_ticket_with_all_their_checks(run_with):
    found = tickets(run_with(gguf=Outcome.FALSIFIED))
    failed = [r.check for r in run_with().records if r.outcome.fails]
    assert sorted(check for ticket in found for check in ticket.checks) == sorted(failed)
    assert len(found) < len(failed)


def test_a_run_without_failures_has_no_ticket_but_for_its_timeout(run_with):
    found = tickets(run_with(gguf=Outcome.CORROBORATED))
    assert [ticket.checks for ticket in found] == [("long",)]
    assert tickets(run_with(gguf=Outcome.CORROBORATED), least=2) == []


def test_crashes_come_first(run_with):
    assert "priority:P0" in tickets(run_with(gguf=Outcome.CRASHED))[0].labels


def test_text_of_a_model_ends_no_code_block_and_steers_no_terminal(run_with):
    for ticket in tickets(run_with(text=NASTY)):
        assert "\x1b" not in ticket.body + ticket.title
        assert "\u202e" not in ticket.body + ticket.title
        assert "\n" not in ticket.title
        opened = ""
        for line in ticket.body.splitlines():
            if not opened and line.startswith("```"):
                opened = line.removesuffix("text")
            elif opened and line == opened:
                opened = ""
            elif not opened:
                assert not line.startswith("# heading")
        assert not opened


def test_the_command_is_one_line_whose_words_are_the_texts(run_with):
    for ticket in tickets(run_with(text=NASTY)):
        line = command(ticket, "org/repo; id", Path("a b.md"))
        words = shlex.split(line)
        assert "\n" not in line
        assert words[4:8] == ["org/repo; id", "--title", ticket.title, "--label"]
        assert words[-2:] == ["--body-file", "a b.md"]
