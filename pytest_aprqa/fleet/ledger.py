"""What the driver knows of one playbook: its book, its failures, and its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytest_aprqa.fleet.shard import CarryOut, checks_of
from pytest_aprqa.run.book import Book
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import PlannedPlaybook, run_plan
from pytest_aprqa.run.policy import stop_reason
from pytest_aprqa.run.resume import Kept, kept_in
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Attribution, Outcome

DIAGNOSTICS = "diagnostics"


class Ledger:
    """The evidence of one playbook as it comes in; it exists only while its shards are under way.

    Attributes:
        stopped: why the checks not run yet are given up; "" while they are not.
    """

    def __init__(
        self, planned: PlannedPlaybook, settings: Settings, registry_folder: Path, run_id: str
    ) -> None:
        """Open the journal of a playbook.

        Args:
            planned: the playbook.
            settings: the user's.
            registry_folder: directory of the models.csv that takes its row.
            run_id: of the fleet.

        Raises:
            JournalError: it cannot be written, or the run that lies there cannot be resumed.
        """
        self.planned = planned
        self.stopped = ""
        self._settings = settings
        self._no_readme = registry_folder / "README.md"  # its table is made when the fleet ends
        staged = replace(settings, certifications=registry_folder)
        self._book = Book(planned, planned.loaded.path, staged, run_id)
        for check in planned.plan.checks:
            self._book.select(check.name)
        self._book.begin()

    def record(self, evidence: Evidence, bundle: dict[str, bytes] | None = None) -> bool:
        """Write a record down, and what the failure policy wants with it.

        Returns whether it is the first record of its check. Raises JournalError or OSError.
        """
        if not self._book.is_open(evidence.check):
            return False
        self._book.record(evidence)
        self.stopped = self.stopped or stop_reason(self.planned.failure_policy, evidence)
        if bundle:
            folder = self.planned.output / DIAGNOSTICS
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in bundle.items():
                (folder / name).write_bytes(content)
        return True

    def set_aside(self, names: Iterable[str], outcome: Outcome, reason: str) -> None:
        """Record checks that the machines, not the model, kept from being carried out."""
        for name in names:
            blank = self._book.blank(name, outcome, reason)
            self.record(blank.model_copy(update={"attribution": Attribution.ENVIRONMENT}))

    def conclude(self, carry_out: CarryOut, *, interrupted: bool = False) -> Run:
        """Carry out the checks that look back over the run, then score and certify.

        Raises JournalError, RegistryError or OSError.
        """
        if self.stopped:
            for check in self.planned.plan.checks:
                if self._book.is_open(check.name):
                    self._book.record(self._book.blank(check.name, Outcome.SKIPPED, self.stopped))
        elif not interrupted:
            self._look_back(carry_out)
        # The README's table follows from the registry, which a fleet writes at its end.
        return self._book.conclude(interrupted=interrupted, table=False)

    def _look_back(self, carry_out: CarryOut) -> None:
        planned = self.planned
        kept = Kept()
        if self._settings.resume:
            kept = kept_in(planned.journal, run_plan(planned))
        laboratory = Laboratory(
            planned.plan, planned.loaded.path, self._settings, planned.output, kept=kept
        )
        try:
            for check in checks_of(planned.plan, None):
                self.record(carry_out(check, laboratory))
        finally:
            laboratory.close()
