"""Judging another certifier's records again agrees with a reader's labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_aprqa.run.rejudge import Rejudged, Verdict, read_printed, rejudge_printed

LABELLED = Path(__file__).with_name("incumbent_answers.json")
LABELS = [record["label"] for record in json.loads(LABELLED.read_text())["evidence"]]
SUM = "What is 2+2?"
VERDICTS = {
    "right": Verdict.CORROBORATED,
    "unfinished": Verdict.CORROBORATED,  # its prompt asks for no single sum: no garbage is enough
    "wrong": Verdict.FALSIFIED,
    "garbage": Verdict.FALSIFIED,
    "empty": Verdict.EMPTY,
    "not applicable": Verdict.UNJUDGED,
}


@pytest.fixture(scope="module")
def rejudged() -> list[Rejudged]:
    records = read_printed(LABELLED.read_bytes(), LABELLED.name)
    assert records is not None
    return list(rejudge_printed(records))


@pytest.mark.parametrize(
    ("number", "label"),
    [pytest.param(n, label, id=f"{n}-{label}") for n, label in enumerate(LABELS)],
)
def test_a_record_judged_again_gets_the_verdict_a_reader_gave(
    rejudged: list[Rejudged], number: int, label: str
) -> None:
    assert rejudged[number].new is VERDICTS[label], rejudged[number].reason


def test_a_sum_is_passed_only_where_a_reader_found_its_value(rejudged: list[Rejudged]) -> None:
    asked = [(one, label) for one, label in zip(rejudged, LABELS, strict=True) if one.prompt == SUM]
    passed = [label for one, label in asked if one.new.passes]
    assert passed == ["right"] * 11
    assert sum(one.old.passes for one, _ in asked) > 5 * len(passed)


def test_the_labelled_records_are_of_every_kind() -> None:
    assert len(LABELS) >= 80
    assert set(LABELS) == set(VERDICTS)
