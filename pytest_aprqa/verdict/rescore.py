"""Judge a run again from its records, and say where the stored verdict differs."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from pytest_aprqa.verdict.certificate import Certificate, certify
from pytest_aprqa.verdict.mqs import Mqs, score_records
from pytest_aprqa.verdict.record import Run


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which the stored verdict is not what the records say."""

    field: str
    stored: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.field}: stored {self.stored}, the records say {self.recomputed}"


@dataclass(frozen=True, slots=True)
class Rescored:
    """The verdict the records of a run lead to, and its differences from the stored one."""

    mqs: Mqs
    certificate: Certificate
    differences: tuple[Difference, ...]


def rescore(run: Run) -> Rescored:
    """Return the score and the certificate of a run's records.

    Raises:
        ValueError: the records are not those of the run's plan.
    """
    mqs = score_records(run.plan, run.records)
    certificate = certify(run.plan, run.records, mqs, artifacts=run.artifacts, failure=run.failure)
    differences = (
        *_differences("mqs", run.mqs, mqs),
        *_differences("certificate", run.certificate, certificate),
    )
    return Rescored(mqs, certificate, differences)


def _differences(name: str, stored: BaseModel, recomputed: BaseModel) -> list[Difference]:
    before, after = stored.model_dump(mode="json"), recomputed.model_dump(mode="json")
    return [
        Difference(f"{name}.{field}", str(before[field]), str(after[field]))
        for field in after
        if before[field] != after[field]
    ]
