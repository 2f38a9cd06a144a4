"""Whether evidence, certificate, registry row, artifacts and signature belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.playbook.errors import PlaybookError
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.registry.models_csv import RegistryRow, missing_columns, read_rows
from pytest_aprqa.registry.row import row_from_run
from pytest_aprqa.run.planning import EVIDENCE, REPORTS
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.provenance import ArtifactRecord
from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.verdict.rescore import rescore
from pytest_aprqa.verdict.run_file import read_run
from pytest_aprqa.verdict.signature import (
    SignatureError,
    Statement,
    differences,
    open_signed,
    statement_of,
)
from pytest_aprqa.verdict.verify import Point, Standing, point, verify_run
from pytest_aprqa.words import Cell

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Exhibit:
    """The files of a run.

    Attributes:
        evidence: its evidence.json; journal and signature lie beside it.
        registry: models.csv.
        playbook: of the run, where it is to be had.
        model_path: file or directory of the model, when not where the playbook says.
    """

    evidence: Path
    registry: Path
    playbook: Path | None = None
    model_path: Path | None = None

    @property
    def journal(self) -> Path:
        return self.evidence.with_suffix(".jsonl")

    @property
    def signature(self) -> Path:
        return self.evidence.with_suffix(".sig.json")

    @property
    def reports(self) -> tuple[Path, ...]:
        """The reports that lie beside the evidence of a whole run; a selection has none."""
        if self.evidence.name != EVIDENCE:
            return ()
        paths = (self.evidence.with_name(name) for name in REPORTS)
        return tuple(path for path in paths if path.is_file())

    def rows(self, run: Run) -> list[RegistryRow]:
        """Return the rows of a run's model, of which there should be one. Raises RegistryError."""
        if not self.registry.is_file():
            return []
        return [row for row in read_rows(self.registry) if row.model_id == run.plan.model_id]


def verify_exhibit(exhibit: Exhibit, key: Ed25519PublicKey | None = None) -> list[Point]:
    """Verify everything about a run that can be verified from its files.

    Raises:
        RegistryError: the registry is not to be read.
        PlaybookError: the playbook is not to be read.
    """
    try:
        run = read_run(exhibit.evidence)
        content = exhibit.evidence.read_bytes()
    except RecordError as error:
        return [Point("schema", Standing.FAILED, str(error))]
    try:
        journal = read_journal(exhibit.journal)
    except RecordError as error:
        return [Point("journal", Standing.FAILED, str(error)), _signature(exhibit, run, key)]
    return [
        *verify_run(run, content, journal),
        _row(exhibit, run),
        *_on_disk(exhibit, run),
        _signature(exhibit, run, key),
    ]


def statement_about(exhibit: Exhibit, run: Run) -> Statement:
    """Return what there is to sign about a run as its files are now. Raises OSError."""
    paths = (exhibit.evidence, exhibit.journal, *exhibit.reports)
    files = {path.name: path.read_bytes() for path in paths}
    rows = exhibit.rows(run) if _is_whole(run) else []
    return statement_of(run, files, rows[0].columns() if rows else None)


def unproven(row: RegistryRow, run: Run) -> Iterator[str]:
    """Say in what a row is not what its evidence recomputes to."""
    if run.plan.model_id != row.model_id:
        yield f"its evidence is about {run.plan.model_id}"
        return
    rescored = rescore(run)
    again = run.model_copy(update={"mqs": rescored.mqs, "certificate": rescored.certificate})
    proven = row_from_run(again, row)
    if proven is None:
        yield f"claims {row.status}, and its evidence claims nothing"
        return
    for name, value in proven.columns().items():
        if getattr(row, name) != value:
            yield f"{name} is {getattr(row, name)!r}, its evidence says {value!r}"


def _is_whole(run: Run) -> bool:
    """Whether a run speaks for its model: a selection of checks has no row."""
    return len(run.records) == len(run.plan.checks)


def _row(exhibit: Exhibit, run: Run) -> Point:
    name = "registry row"
    if not _is_whole(run):
        return Point(name, Standing.UNCHECKED, "a selection of checks has no row")
    if row_from_run(run, None) is None:
        return Point(name, Standing.UNCHECKED, "the run makes no claim")
    if not exhibit.registry.is_file():
        return Point(name, Standing.UNCHECKED, f"there is no {exhibit.registry}")
    if missing := missing_columns(exhibit.registry):
        problem = f"the first line of {exhibit.registry} does not name the column {missing[0]}"
        return Point(name, Standing.FAILED, problem)
    rows = exhibit.rows(run)
    if len(rows) != 1:
        problem = f"{exhibit.registry} has {len(rows) or 'no'} rows of {run.plan.model_id}, not one"
        return Point(name, Standing.FAILED, problem)
    [row] = rows
    try:
        problem = next(unproven(row, run), "")
    except ValueError as error:
        problem = str(error)
    where = f"{exhibit.registry}, {row.model_id}: "
    return point(name, problem and where + problem, f"{row.status}, MQS {row.mqs_score}")


def _on_disk(exhibit: Exhibit, run: Run) -> Iterator[Point]:
    """Read every file of the artifacts again and hold its digest against the one on record."""
    model = ModelSpec(hf_repo=run.plan.model_id)
    if exhibit.playbook is not None:
        try:
            loaded = load_playbook(exhibit.playbook)
        except PlaybookError as error:
            yield Point("playbook", Standing.FAILED, str(error))
            return
        changed = loaded.digest != run.plan.playbook_digest
        problem = f"{exhibit.playbook} is not the playbook of this run" if changed else None
        yield point("playbook", problem, run.plan.playbook)
        model = loaded.playbook.model
    else:
        yield Point("playbook", Standing.UNCHECKED, f"{run.plan.playbook} is not at hand")
    workshop = Workshop(
        model,
        playbook_dir=(exhibit.playbook or exhibit.evidence).parent,
        model_path=exhibit.model_path,
        offline=True,
    )
    workshop.digests = DigestCache()  # every byte is read: what was remembered proves nothing
    for tested, record in run.artifacts.items():
        name = f"{tested} files"
        try:
            artifact = workshop.of(Cell.named(tested))
            found = {path.name: workshop.digests.sha256(path) for path in artifact.files}
        except ArtifactError as error:
            lost = error.fault in (ArtifactFault.NOT_FOUND, ArtifactFault.ENVIRONMENT)
            standing = Standing.UNCHECKED if lost else Standing.FAILED
            yield Point(name, standing, error.message)
            continue
        yield point(name, _changed(record, found), f"{artifact.path}: {record.digest[:16]}")


def _changed(record: ArtifactRecord, found: dict[str, str]) -> str | None:
    for name in {**record.files, **found}:
        ours, theirs = found.get(name), record.files.get(name)
        if ours is None:
            return f"{name} is missing"
        if ours != theirs:
            was = f"was tested with sha256 {theirs[:16]}" if theirs else "was not there"
            return f"{name} {was}, now {ours[:16]}"
    return None


def _signature(exhibit: Exhibit, run: Run, key: Ed25519PublicKey | None) -> Point:
    name = "signature"
    if not exhibit.signature.is_file():
        detail = f"there is no {exhibit.signature.name}"
        return Point(name, Standing.FAILED if key else Standing.UNCHECKED, detail)
    if key is None:
        return Point(name, Standing.UNCHECKED, "give the public key with --key")
    try:
        signed = open_signed(exhibit.signature.read_bytes(), key)
        problem = next(differences(signed, statement_about(exhibit, run)), None)
    except (SignatureError, OSError) as error:
        problem = f"{exhibit.signature.name}: {error}"
    return point(name, problem, f"{exhibit.signature.name}, all files as they were signed")
