"""Which questions a run leaves out."""

from __future__ import annotations

import pytest

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.early_stop import EarlyStop
from pytest_aprqa.verdict.spared import is_spared
from pytest_aprqa.words import Backend, Category, Cell, Format, Modality, Outcome, Tier

RUN = Cell(Format.GGUF, Backend.CPU, Modality.RUN)
CHAT = Cell(Format.GGUF, Backend.CPU, Modality.CHAT)


def question(number: int, cell: Cell = RUN, category: Category = Category.QUAL) -> Check:
    return Check(f"q{number}[{cell}]", "g", CheckKind.SCENARIO, category, cell)


def after(stop: EarlyStop, outcome: Outcome, count: int, cell: Cell = RUN) -> EarlyStop:
    for number in range(count):
        check = question(number, cell)
        stop.observe(check, not_run(check, outcome, ""))
    return stop


@pytest.mark.parametrize("outcome", [Outcome.FALSIFIED, Outcome.TIMEOUT, Outcome.CRASHED])
def test_a_cell_that_is_certainly_bad_is_not_asked_any_further(outcome: Outcome) -> None:
    stop = EarlyStop(Tier.STANDARD, enabled=True)
    assert after(stop, outcome, 4).spared(question(4)) is None
    record = after(stop, outcome, 1).spared(question(5))
    assert record is not None
    assert record.outcome is Outcome.SKIPPED
    assert is_spared(record)


def test_another_cell_is_asked_on() -> None:
    stop = after(EarlyStop(Tier.STANDARD, enabled=True), Outcome.FALSIFIED, 5)
    assert stop.spared(question(5, CHAT)) is None


def test_no_edge_is_left_out() -> None:
    stop = after(EarlyStop(Tier.STANDARD, enabled=True), Outcome.FALSIFIED, 5)
    assert stop.spared(question(5, category=Category.EDGE)) is None


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.INCONCLUSIVE])
def test_what_came_to_no_verdict_decides_nothing(outcome: Outcome) -> None:
    stop = after(EarlyStop(Tier.STANDARD, enabled=True), outcome, 50)
    assert stop.spared(question(50)) is None


def test_switched_off_every_question_is_asked() -> None:
    stop = after(EarlyStop(Tier.STANDARD, enabled=False), Outcome.FALSIFIED, 50)
    assert stop.spared(question(50)) is None


def test_a_resumed_run_goes_on_counting() -> None:
    checks = [question(number) for number in range(6)]
    records = {c.name: not_run(c, Outcome.FALSIFIED, "") for c in checks[:5]}
    stop = EarlyStop(Tier.STANDARD, enabled=True)
    stop.recall(checks, records)
    assert stop.spared(checks[5]) is not None


def test_at_best_each_cell_is_asked_until_it_is_certainly_good() -> None:
    checks = [question(number, cell) for cell in (RUN, CHAT) for number in range(60)]
    asked = list(EarlyStop(Tier.DEEP, enabled=True).asked_at_best(checks))
    assert asked == checks[:55] + checks[60:115]
    assert list(EarlyStop(Tier.DEEP, enabled=False).asked_at_best(checks)) == checks
