"""Whether everything in a checkout is what it claims to be: playbooks, evidence, registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_aprqa.judge.oracles.registry import validate_config
from pytest_aprqa.playbook.errors import PlaybookError, shown_path
from pytest_aprqa.playbook.find import playbooks_in
from pytest_aprqa.playbook.load import LoadedPlaybook, load_playbook
from pytest_aprqa.playbook.lock import LOCK_NAME, read_lock, verify
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.registry.models_csv import COLUMNS, RegistryError, RegistryRow, read_rows
from pytest_aprqa.registry.row import NO_GRADE, NO_TIER
from pytest_aprqa.run.planning import EVIDENCE, JOURNAL, model_directory
from pytest_aprqa.run.verify import unproven
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.mqs import Grade
from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.verdict.rescore import rescore
from pytest_aprqa.verdict.run_file import read_run
from pytest_aprqa.words import SizeCategory, Status, Tier


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it claims; `where` is a file, or a row of one."""

    where: str
    text: str

    def __str__(self) -> str:
        """Say where once: what is wrong with a playbook begins with its file and line."""
        return self.text if self.text.startswith(self.where) else f"{self.where}: {self.text}"


@dataclass(slots=True)
class CheckoutReport:
    """What was looked at, and what is wrong with it.

    Attributes:
        looked_at: how many of what, for instance {"playbooks": 12}.
        notices: what playbooks say that nobody acts on, or that their authors should know: no problem.
    """

    problems: list[Problem] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def check_checkout(root: Path) -> CheckoutReport:
    """Check `playbooks/` and `certifications/` of a checkout.

    Every playbook loads, plans and agrees with its lock; every evidence file has the verdict its
    records lead to, and is what its journal holds; every row of models.csv has values of its
    columns, and one that claims something is what its evidence recomputes to.
    """
    report = CheckoutReport()
    _playbooks(root / "playbooks", report)
    runs = _evidence(root / "certifications", report)
    _registry(root / "certifications" / "models.csv", runs, report)
    return report


def _playbooks(directory: Path, report: CheckoutReport) -> None:
    paths = list(playbooks_in(directory))
    report.looked_at["playbooks"] = len(paths)
    loaded = []
    for path in paths:
        try:
            playbook = load_playbook(path, check_oracle=validate_config)
            report.notices += [notice.at(path) for notice in make_plan(playbook).notices]
            loaded.append(playbook)
        except PlaybookError as error:
            report.problems.append(Problem(shown_path(path), str(error)))
    _lock(directory / LOCK_NAME, loaded, report)


def _lock(path: Path, loaded: list[LoadedPlaybook], report: CheckoutReport) -> None:
    if not path.is_file():
        return
    try:
        lock = read_lock(path)
    except PlaybookError as error:
        report.problems.append(Problem(shown_path(path), str(error)))
        return
    report.looked_at["locked playbooks"] = len(lock.playbooks)
    changes = [change for playbook in loaded for change in verify(playbook, lock)]
    report.problems += [Problem(str(path), change) for change in changes]


def _evidence(directory: Path, report: CheckoutReport) -> dict[str, Run]:
    """Check every evidence file; return the runs by the folder they lie in."""
    runs: dict[str, Run] = {}
    paths = sorted(directory.rglob(EVIDENCE))
    report.looked_at["evidence files"] = len(paths)
    for path in paths:
        try:
            run = read_run(path)
            differences = rescore(run).differences
        except (RecordError, ValueError) as error:
            report.problems.append(Problem(str(path), str(error)))
            continue
        report.problems += [Problem(str(path), str(difference)) for difference in differences]
        runs[path.parent.name] = run
        _journal(path.with_name(JOURNAL), run, report)
    return runs


def _journal(path: Path, run: Run, report: CheckoutReport) -> None:
    """Hold a run against its journal, if the journal is kept."""
    if not path.is_file():
        return
    try:
        journal = read_journal(path)
    except RecordError as error:
        report.problems.append(Problem(str(path), str(error)))
        return
    if journal.header is None or journal.header.run_id != run.run_id:
        return  # the journal of a later or partial run
    if journal.broken_at is not None:
        report.problems.append(Problem(str(path), journal.breach))
    written = {record.check: record for record in journal.records}
    changed = [r.check for r in run.records if r.check in written and r != written[r.check]]
    if changed:
        text = f"{changed[0]} was written down otherwise ({len(changed)} such records)"
        report.problems.append(Problem(str(path), text))


def _registry(path: Path, runs: dict[str, Run], report: CheckoutReport) -> None:
    if not path.is_file():
        return
    try:
        rows = read_rows(path)
        header = path.read_text("utf-8-sig").splitlines()[0].split(",")
    except (RegistryError, UnicodeDecodeError, IndexError) as error:
        report.problems.append(Problem(str(path), str(error)))
        return
    report.looked_at["registry rows"] = len(rows)
    if tuple(name.strip() for name in header[: len(COLUMNS)]) != COLUMNS:
        report.problems.append(Problem(str(path), f"its columns are not {', '.join(COLUMNS)}"))
    seen: set[str] = set()
    for row in rows:
        where = f"{path}, {row.model_id}"
        if row.model_id in seen:
            report.problems.append(Problem(where, "has more than one row"))
        seen.add(row.model_id)
        report.problems += [Problem(where, text) for text in _faults(row)]
        if _claims(row):
            report.looked_at["claims"] = report.looked_at.get("claims", 0) + 1
            report.problems += [Problem(where, text) for text in _unproven(row, runs)]


def _claims(row: RegistryRow) -> bool:
    return row.status != Status.PENDING


def _unproven(row: RegistryRow, runs: dict[str, Run]) -> Iterator[str]:
    """Say in what a row is not what its evidence recomputes to."""
    folder = model_directory(row.model_id)
    run = runs.get(folder)
    if run is None:
        yield f"claims {row.status}, and certifications/{folder}/{EVIDENCE} is not there to prove it"
        return
    yield from unproven(row, run)


_ALLOWED: dict[str, frozenset[str]] = {
    "size_category": frozenset(SizeCategory) | {""},
    "status": frozenset(Status),
    "grade": frozenset(Grade) | {NO_GRADE},
    "certified_tier": frozenset(Tier) | {NO_TIER},
    **{
        name: frozenset({"true", "false"})
        for name in ("g1", "g2", "g3", "g4", "provenance_verified")
    },
}


def _faults(row: RegistryRow) -> Iterator[str]:
    """Say which values of a row are none of their column."""
    if row.model_id.count("/") != 1:
        yield f"model_id {row.model_id!r} does not have the form org/name"
    for name, allowed in _ALLOWED.items():
        if getattr(row, name) not in allowed:
            values = ", ".join(sorted(allowed - {""}))
            yield f"{name} is {getattr(row, name)!r}, allowed: {values}"
    if not _is(row.mqs_score, int, lambda score: 0 <= score <= 1000):
        yield f"mqs_score is {row.mqs_score!r}, allowed: a whole number from 0 to 1000"
    for name in (name for name in COLUMNS if name.startswith("tps_")):
        value = getattr(row, name)
        if value and not _is(value, float, lambda rate: 0 < rate < float("inf")):
            yield f"{name} is {value!r}, allowed: tokens per second or nothing"


def _is(text: str, kind: Callable[[str], float], holds: Callable[[float], bool]) -> bool:
    try:
        return holds(kind(text))
    except ValueError:
        return False
