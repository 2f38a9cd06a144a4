"""The book of one run: which checks were selected, what came of them, and the certificate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_aprqa.artifact.model import ArtifactFault
from pytest_aprqa.playbook.check import LOOKING_BACK
from pytest_aprqa.registry.models_csv import register
from pytest_aprqa.registry.readme import has_table, sync_readme
from pytest_aprqa.report.terminal import Line, Span, Style, summary
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.run.planning import (
    EARLIER_EVIDENCE,
    PARTIAL_EVIDENCE,
    PARTIAL_JOURNAL,
    REPORTS,
    PlannedPlaybook,
    run_plan,
)
from pytest_aprqa.run.resume import Kept, kept_of, missing, require_same_artifacts
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import Journal, RunHeader, read_journal
from pytest_aprqa.verdict.provenance import artifacts_of
from pytest_aprqa.verdict.record import RecordError, Run, conclude
from pytest_aprqa.verdict.run_file import read_run, write_run
from pytest_aprqa.words import Attribution, Outcome, Status


class Book:
    """Evidence of one playbook's run, on disk record by record.

    Attributes:
        run: the concluded run, or None before the end.
        notices: what its author and its reader should know.
        is_complete: every planned check was selected, so that the run speaks for the model.
    """

    def __init__(
        self, planned: PlannedPlaybook, playbook: Path, settings: Settings, run_id: str
    ) -> None:
        self.planned = planned
        self.playbook = playbook
        self.run: Run | None = None
        self._settings = settings
        self._checks = {check.name: check for check in planned.plan.checks}
        self._selected: set[str] = set()
        self._done: dict[str, None] = {}  # in order; the records themselves are on disk
        self._journal: Journal | None = None
        self._header = RunHeader.of(run_id, _now(), run_plan(planned))
        self._kept = Kept()
        self._is_aside = False
        self.notices = [*map(str, planned.plan.notices), *planned.plan.shortfall]

    @property
    def has_begun(self) -> bool:
        return self._journal is not None

    @property
    def journal(self) -> Path:
        if self._is_aside:
            return self.planned.output / PARTIAL_JOURNAL
        return self.planned.journal_of(self._selected)

    @property
    def is_complete(self) -> bool:
        return self.planned.is_complete(self._selected)

    @property
    def is_done(self) -> bool:
        """Whether every selected check has its record."""
        return self._selected <= self._done.keys()

    @property
    def is_unmet(self) -> bool:
        """Whether a run that speaks for the model stayed below its tier's threshold."""
        return self.run is not None and self.is_complete and not self.run.certificate.exit_ok

    def select(self, name: str) -> None:
        """Note that a check is to be run."""
        if name in self._checks:
            self._selected.add(name)

    def is_open(self, name: str) -> bool:
        """Whether a check is planned and has no record yet."""
        return name in self._checks and name not in self._done

    def blank(
        self, name: str, outcome: Outcome, reason: str, attribution: Attribution | None = None
    ) -> Evidence:
        """Return a record of a check that came to no verdict."""
        return not_run(self._checks[name], outcome, reason, attribution)

    def begin(self) -> None:
        """Open the journal once it is known which checks are selected. Safe to call twice.

        With `--resume` it goes on where the last whole record ends.

        Raises:
            JournalError: it cannot be written, or the run that lies there cannot be resumed.
        """
        if self._journal is not None:
            return
        from pytest_aprqa.run.laboratory import workshop_of

        if not self._settings.resume:
            self._note_unfinished()
        journal = Journal(self.journal, self._header, resume=self._settings.resume)
        try:
            plan = journal.header.plan
            kept = kept_of(journal.header.run_id, journal.latest, plan)
            workshop = workshop_of(self.planned.plan, self.playbook, self._settings)
            require_same_artifacts(kept, workshop)
        except BaseException:
            journal.close()
            raise
        self._journal, self._kept = journal, kept
        if self._settings.resume:
            self.notices.append(
                f"resumed: {len(kept.records)} of {len(plan.checks)} checks have their evidence "
                f"from the run of {journal.header.started}"
            )
        self._header = journal.header

    def record(self, evidence: Evidence) -> None:
        """Write a record down; after `settle` it is on disk. Raises JournalError.

        Of a check that has evidence from the run being resumed, that evidence stands.
        """
        self.begin()
        assert self._journal is not None
        if evidence.check not in self._kept.records:
            self._journal.append(evidence)
        self._done[self._checks[evidence.check].name] = None  # the plan's own text, not a copy

    def settle(self) -> None:
        """Wait until every record is on disk. Raises JournalError."""
        if self._journal is not None:
            self._journal.settle()

    def conclude(self, *, interrupted: bool, table: bool = True) -> Run:
        """Score the run, certify the model, and write everything that follows from it.

        `table` is whether the table in the README beside the certifications is brought up to date.
        Raises OSError when the disk does not take it, the journal being whole then, and
        RecordError when the journal does not hold all that was to be written.
        """
        assert self._journal is not None
        self._journal.close()
        records = self._read_back()
        for name in self._selected - self._done.keys():
            reason = "not run: interrupted" if interrupted else "not run"
            kept = self._kept.records.get(name)
            records.append(kept or self.blank(name, Outcome.SKIPPED, reason))
        self.run = conclude(
            run_id=self._header.run_id,
            started=self._header.started,
            finished=_now(),
            plan=self._header.plan,
            records=records,
            environment=environment_of(records, self._settings.command),
            artifacts=artifacts_of(records),
            interrupted=interrupted,
            failure=_failure(records),
            journal_head=self._journal.head,
        )
        if interrupted:
            done = len(kept_of(self.run.run_id, self.run.records, self.run.plan).records)
            self.notices.append(
                f"interrupted: {done} of {len(self._checks)} checks have evidence; the same "
                "command with --resume goes on from there"
            )
        self._step_aside(self.run)
        self._write(self.run, table)
        return self.run

    def _read_back(self) -> list[Evidence]:
        """Return the records of the checks that are done, in the order in which they were."""
        written = {record.check: record for record in read_journal(self.journal).records}
        if lost := next((name for name in self._done if name not in written), None):
            raise RecordError(f"{self.journal} was changed: the record of {lost} is gone")
        return [written[name] for name in self._done]

    def summary(self, width: int, *, unicode: bool) -> list[Line]:
        """Return the lines of the terminal summary."""
        assert self.run is not None
        lines = summary(self.run, evidence=str(self.evidence), width=width, unicode=unicode)
        if self.evidence != self.planned.evidence:
            lines.append((Span(self._note_aside(), Style.WARN),))
        return lines

    @property
    def evidence(self) -> Path:
        """Where the run is kept; a selection of checks does not replace a whole run.

        Nor does a run that could not be made replace one that was.
        """
        if self.is_complete and not self._is_aside:
            return self.planned.evidence
        return self.planned.output / PARTIAL_EVIDENCE

    def _note_aside(self) -> str:
        why = f"only {len(self._selected)} of {len(self._checks)} checks were selected"
        if self._is_aside:
            why = "the run could not be made"
        return f"{why}: the certificate on record and the registry stay as they are"

    def _step_aside(self, run: Run) -> None:
        """Give a run its place back that was there before one in which nothing was carried out."""
        if not self.is_complete or not _is_void(run) or not _is_made(self.planned.evidence):
            return
        assert self._journal is not None
        self._is_aside = True
        self._journal.path.replace(self.journal)
        if self._journal.replaced is not None:
            self._journal.replaced.replace(self._journal.path)

    def _note_unfinished(self) -> None:
        """Say what becomes of an unfinished run that is not resumed."""
        path = self.journal
        try:
            without = missing(read_journal(path))
        except RecordError:
            return
        if self.is_complete and without:
            self.notices.append(
                f"an unfinished run ({without} checks without a record) is kept as "
                f"{path.name}.previous; to go on with it, rename it to {path.name} in "
                f"{path.parent} and give --resume"
            )

    def _write(self, run: Run, table: bool) -> None:
        from pytest_aprqa.report.html import render_html
        from pytest_aprqa.report.markdown import render_markdown

        output = self.planned.output
        if self.evidence != self.planned.evidence:
            write_run(self.evidence, run)
            return
        _keep_certificate(self.evidence, run)
        write_run(self.evidence, run)
        for name, render in zip(REPORTS, (render_html, render_markdown), strict=True):
            (output / name).write_text(render(run), encoding="utf-8")
        registry = self._settings.certifications / "models.csv"
        readme = self._settings.certifications.parent / "README.md"
        if register(registry, run) and table and readme.is_file() and has_table(readme):
            sync_readme(readme, registry)


def _keep_certificate(evidence: Path, run: Run) -> None:
    """Keep the last certificate beside that of an interrupted run, for regressions to look at."""
    if not run.interrupted:
        return
    try:
        before = read_run(evidence)
    except RecordError:
        return
    if not before.interrupted and before.run_id != run.run_id:
        write_run(evidence.with_name(EARLIER_EVIDENCE), before)


def _is_void(run: Run) -> bool:
    """Whether a run could not be made, and is not to be gone on with.

    Checks that look back over it have their verdicts all the same.
    """
    fails = run.certificate.status is Status.FAIL and not run.interrupted
    executed = (r for r in run.records if r.outcome.executed and r.kind not in LOOKING_BACK)
    return fails and not any(executed)


def _is_made(evidence: Path) -> bool:
    """Whether a run is on record that could be made."""
    try:
        return read_run(evidence).certificate.status is not Status.FAIL
    except RecordError:
        return False


def _failure(records: list[Evidence]) -> str:
    """Return why the run could not be made: the model is nowhere to be found."""
    for record in records:
        if record.observation.get("fault") == ArtifactFault.NOT_FOUND:
            return record.reason
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
