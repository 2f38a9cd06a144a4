"""The figures of a run, as its records tell them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import cached_property

from pytest_aprqa.playbook.figures import Figure, Source
from pytest_aprqa.verdict.certificate import prove
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import settled
from pytest_aprqa.verdict.mqs import Mqs, score_records
from pytest_aprqa.verdict.plan import RunPlan
from pytest_aprqa.words import Outcome

Ends = tuple[float, float]
"""Least and greatest value that a figure may have, at 95 %; the same for what is exact."""


class Figures:
    """What the records of a run say about itself."""

    def __init__(self, plan: RunPlan, records: Iterable[Evidence]) -> None:
        """Look at records of a plan, of each check the last."""
        self._plan = plan
        self._records = {record.check: record for record in records}

    def value(self, figure: Figure) -> Ends | bool | None:
        """Return a figure, None when it was not measured.

        A gateway is a truth; it holds in a part of the run when it holds everywhere in it.
        """
        match figure.metric.source:
            case Source.SCORE:
                return _exact(self._of_score(figure.metric.name))
            case Source.COUNT:
                return _exact(self._count(figure))
            case Source.GATEWAY:
                return self._gateway(figure)
            case Source.MEASUREMENT:
                return self._measured(figure)

    def _covered(self, figure: Figure) -> list[Evidence | None]:
        planned = filter(figure.covers, self._plan.checks)
        return [self._records.get(check.check) for check in planned]

    @cached_property
    def _mqs(self) -> Mqs:
        return score_records(self._plan, self._records.values())

    def _of_score(self, name: str) -> float | None:
        if name == "proven_pass_rate":
            proof = prove(self._plan, self._records.values())
            return proof.lower_bound if proof.prompts else None
        if not all(category.executed for category in self._mqs.categories):
            return None  # what did not run earns nothing, which says nothing of the model
        return float(self._mqs.raw if name == "mqs" else self._mqs.normalised)

    def _count(self, figure: Figure) -> float | None:
        outcomes = Counter(r.outcome for r in self._covered(figure) if r and r.outcome.executed)
        executed = outcomes.total()
        if not executed:
            return None
        counts = {
            "checks": executed,
            "failures": executed - outcomes[Outcome.CORROBORATED],
            "crashes": outcomes[Outcome.CRASHED],
            "timeouts": outcomes[Outcome.TIMEOUT],
            "pass_rate": outcomes[Outcome.CORROBORATED] / executed,
        }
        return counts[figure.metric.name]

    def _gateway(self, figure: Figure) -> bool | None:
        records = self._covered(figure)
        if any(record and settled(record).fails for record in records):
            return False
        return True if all(record and settled(record).passes for record in records) else None

    def _measured(self, figure: Figure) -> Ends | None:
        metric = figure.metric
        for record in filter(None, self._covered(figure)):
            if metric.recorded in record.metrics:
                ends = [
                    metric.factor * record.metrics.get(f"{metric.recorded}_{end}", mean)
                    for mean in [record.metrics[metric.recorded]]
                    for end in ("low", "high")
                ]
                low, high = ends
                return None if any(map(math.isnan, ends)) else (low, high)
        return None


def _exact(value: float | None) -> Ends | None:
    return None if value is None else (value, value)
