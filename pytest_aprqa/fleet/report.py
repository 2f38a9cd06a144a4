"""The report of a fleet: every model in one table, and the machines that ran them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.run.planning import PlannedPlaybook
from pytest_aprqa.verdict.canonical import canonical_lines
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.verdict.run_file import replace_content
from pytest_aprqa.words import Outcome, Status

JSON_FILE = "fleet.json"
MARKDOWN_FILE = "fleet.md"


class ModelResult(BaseModel):
    """How one playbook of a fleet ended.

    Attributes:
        status: of the certificate; FAIL when there is none.
        score: raw MQS, 0-1000.
        reason: why it is not CERTIFIED, in one line.
        outcomes: how many checks ended how.
        losses: tasks that died with their worker or machine and were run on.
        seconds: from the first record to the certificate.
        evidence: file of the run.
        is_met: the run reaches its tier's threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str
    playbook: str
    tier: str
    evidence: str
    checks: int
    status: Status = Status.PENDING
    score: int = 0
    grade: str = ""
    reason: str = ""
    outcomes: dict[Outcome, int] = {}
    losses: int = 0
    seconds: float = 0.0
    is_met: bool = False

    @classmethod
    def of_plan(cls, planned: PlannedPlaybook) -> Self:
        """Return the result of a run that has not begun."""
        return cls(
            model_id=planned.plan.model.hf_repo,
            playbook=str(planned.loaded.path),
            tier=planned.plan.tier,
            evidence=str(planned.evidence),
            checks=len(planned.plan.checks),
        )

    def concluded(self, run: Run, *, losses: int = 0, seconds: float = 0.0) -> Self:
        """Return the result of a run that came to its end."""
        certificate = run.certificate
        return self.model_copy(
            update={
                "status": certificate.status,
                "score": certificate.score,
                "grade": certificate.grade,
                "reason": certificate.reason,
                "outcomes": dict(Counter(record.outcome for record in run.records)),
                "losses": losses,
                "seconds": round(seconds, 1),
                "is_met": certificate.exit_ok,
            }
        )

    def failed(self, reason: str) -> Self:
        """Return the result of a run that could not be made."""
        return self.model_copy(update={"status": Status.FAIL, "reason": reason})

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.model_id} {self.tier} {self.status} {self.score} {self.grade}{reason}"


class MachineRecord(BaseModel):
    """A machine of the cluster as the fleet ended; memory in bytes, as Ray counts it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    is_alive: bool
    cpus: float
    gpus: float
    memory: float


class FleetReport(BaseModel):
    """What a fleet came to; times are ISO 8601, UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    started: str
    finished: str
    command: str
    interrupted: bool
    machines: tuple[MachineRecord, ...]
    results: tuple[ModelResult, ...]

    @property
    def is_met(self) -> bool:
        """Whether every model reaches the threshold of its tier."""
        return all(result.is_met for result in self.results)

    def write(self, folder: Path) -> None:
        """Write the report as JSON and Markdown. Raises OSError."""
        replace_content(folder / JSON_FILE, canonical_lines(self).encode("ascii"))
        replace_content(folder / MARKDOWN_FILE, self.markdown().encode())

    def markdown(self) -> str:
        """Return the report as a page."""
        met = sum(result.is_met for result in self.results)
        alive = sum(machine.is_alive for machine in self.machines)
        losses = sum(result.losses for result in self.results)
        end = "; the fleet was interrupted" if self.interrupted else ""
        result = f"{met} of {len(self.results)} models reach the threshold of their tier{end}."
        circumstances = (
            f"Run {self.run_id}, {self.started} to {self.finished}; {alive} of "
            f"{len(self.machines)} machines alive at the end, {losses} tasks lost and run on."
        )
        return "\n".join(
            [
                "# Fleet report",
                "",
                result,
                "",
                circumstances,
                "",
                _row("Model", "Tier", "Status", "MQS", "Grade", "Checks", "Passed", "Failed",
                     "Not run", "Lost tasks", "Reason"),
                _row(*["---"] * 11),
                *(_row(*_cells(result)) for result in self.results),
                "",
            ]
        )  # fmt: skip


def _cells(result: ModelResult) -> tuple[object, ...]:
    outcomes = result.outcomes
    passed = sum(count for outcome, count in outcomes.items() if outcome.passes)
    failed = sum(count for outcome, count in outcomes.items() if outcome.fails)
    return (
        result.model_id,
        result.tier,
        result.status,
        result.score,
        result.grade or "-",
        result.checks,
        passed,
        failed,
        result.checks - passed - failed,
        result.losses,
        result.reason or "-",
    )


def _row(*cells: object) -> str:
    texts = (" ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"
