"""Spares a cell the questions that no longer change its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_aprqa.judge.early_stop import sequential_test, stop_reason
from pytest_aprqa.judge.statistics import Sprt
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.spared import SPARED
from pytest_aprqa.words import Category, Cell, Outcome, Tier


class EarlyStop:
    """The sequential tests of the cells of one plan.

    All checks of a cell are carried out by one process, in the order of the plan, so the same run
    stops at the same question whenever it is made.
    """

    def __init__(self, tier: Tier, *, enabled: bool) -> None:
        """Begin with no answers. A tier without a sequential test asks every question."""
        self._fresh = sequential_test(tier) if enabled else None
        self._tests: dict[Cell, Sprt] = {}

    def recall(self, checks: Iterable[Check], records: Mapping[str, Evidence]) -> None:
        """Take in the answers of an earlier part of the run."""
        for check in checks:
            if check.name in records:
                self.observe(check, records[check.name])

    def observe(self, check: Check, evidence: Evidence) -> None:
        """Take in a verdict; one that says nothing of the model says nothing here either."""
        self._take(check, evidence.outcome)

    def asked_at_best(self, checks: Iterable[Check]) -> Iterator[Check]:
        """Yield the checks that are carried out when all of them pass."""
        for check in checks:
            if self.spared(check) is None:
                self._take(check, Outcome.CORROBORATED)
                yield check

    def _take(self, check: Check, outcome: Outcome) -> None:
        if self._fresh is None or not _counts(check) or not outcome.executed:
            return
        test = self._tests.get(check.cell, self._fresh)
        if not stop_reason(test):
            self._tests[check.cell] = test.observe(outcome.passes)

    def spared(self, check: Check) -> Evidence | None:
        """Return the record of a question that need not be asked any more, else None."""
        if self._fresh is None or not _counts(check):
            return None
        test = self._tests.get(check.cell, self._fresh)
        reason = stop_reason(test)
        if not reason:
            return None
        record = not_run(check, Outcome.SKIPPED, reason)
        seen = {"passes": test.passes, "failures": test.failures, "decision": test.decision}
        return record.model_copy(update={"observation": {SPARED: seen}})


def _counts(check: Check) -> bool:
    return check.kind is CheckKind.SCENARIO and check.category is Category.QUAL
