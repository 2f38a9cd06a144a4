"""Two playbooks of one model in one session."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.plugin.contention import contending

A, B = Path("a.jsonl"), Path("b.jsonl")


@pytest.mark.parametrize(
    ("items", "parallel", "found"),
    [
        ([("one", A), ("one", A), ("two", A)], False, ()),
        ([("one", A), ("two", A)], True, ("one", "two")),
        ([("one", A), ("two", A), ("one", A)], False, ("one", "two")),
        ([("one", A), ("two", B), ("one", A)], False, ()),
        ([("one", A), ("two", B), ("one", A)], True, ()),
        ([("two", B), ("one", A), ("two", B), ("three", A)], False, ()),
    ],
    ids=["in-turn", "workers", "mixed", "two-models", "two-models-and-workers", "one-pausing"],
)
def test_records_mix_where_two_playbooks_of_one_journal_overlap(items, parallel, found):
    assert contending(items, parallel=parallel) == found


def test_with_workers_they_are_refused_before_anything_runs(session):
    session.write(session.playbook.replace("name: tiny", "name: other"), name="other")
    result = session.run("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*other.playbook.yaml and tiny.playbook.yaml are about one model*"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not session.output.exists()


def test_with_workers_a_selection_of_one_of_them_runs(session):
    session.write(session.playbook.replace("name: tiny", "name: other"), name="other")
    result = session.run("-n", "2", "-k", "tiny and G0")
    assert result.ret == 0
