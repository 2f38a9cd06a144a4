"""A whole run: its plan, its evidence, and what they come to. The content of evidence.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_aprqa.verdict.canonical import canonical_lines
from pytest_aprqa.verdict.certificate import Certificate, certify
from pytest_aprqa.verdict.evidence import SCHEMA_VERSION, Evidence
from pytest_aprqa.verdict.mqs import Mqs, score_records
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.provenance import ArtifactName, ArtifactRecord

__all__ = [
    "ArtifactRecord",
    "Environment",
    "PlannedCheck",
    "RecordError",
    "Run",
    "RunPlan",
    "conclude",
]


class RecordError(ValueError):
    """A file of evidence cannot be read; the message says where and why."""


class Environment(BaseModel):
    """The machine and the software a run was made with.

    Attributes:
        memory: bytes of main memory.
        gpu: name of the GPU, or "" without one.
        packages: version by distribution name.
        engines: what each engine said of itself when it loaded a model.
        command: the command line that started the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str = ""
    platform: str = ""
    cpu: str = ""
    cores: int = 0
    memory: int = 0
    gpu: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    engines: tuple[str, ...] = ()
    command: str = ""


class Run(BaseModel):
    """Everything that is kept of a run.

    Attributes:
        started, finished: ISO 8601, UTC.
        artifacts: what was tested, by the artifact's name ("gguf", "gguf-q8_0").
        interrupted: the run was stopped before its end.
        failure: why the run could not be made, or "".
        journal_head: sha256 of the last line of the journal the records were taken from, or "".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = SCHEMA_VERSION
    run_id: str
    started: str
    finished: str
    plan: RunPlan
    records: tuple[Evidence, ...]
    mqs: Mqs
    certificate: Certificate
    environment: Environment
    artifacts: dict[ArtifactName, ArtifactRecord] = Field(default_factory=dict)
    interrupted: bool = False
    failure: str = ""
    journal_head: str = ""

    def to_json(self) -> str:
        """Return the run as canonical JSON, a line for each field and each record."""
        return canonical_lines(self)

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "evidence") -> Self:
        """Read a run.

        Args:
            text: what `to_json` wrote.
            where: name of the file, for the message.

        Raises:
            RecordError: no JSON, another schema version, or a field that does not fit.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{where} is not JSON: {error}") from None
        check_schema_version(content, where)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise RecordError(f"{where}, field {field}: {first['msg']}") from None


def check_schema_version(content: object, where: str) -> None:
    """Raise RecordError unless content is a mapping of the schema version this code writes."""
    version = content.get("schema_version") if isinstance(content, Mapping) else None
    if version is None:
        raise RecordError(f"{where} has no schema_version, so it is no evidence of this tool")
    if version != SCHEMA_VERSION:
        raise RecordError(
            f"{where} has schema version {version!r}, this version of pytest-aprqa reads "
            f"{SCHEMA_VERSION!r}: use the version that wrote it"
        )


def conclude(
    *,
    run_id: str,
    started: str,
    finished: str,
    plan: RunPlan,
    records: Sequence[Evidence],
    environment: Environment,
    artifacts: Mapping[str, ArtifactRecord] | None = None,
    interrupted: bool = False,
    failure: str = "",
    journal_head: str = "",
) -> Run:
    """Score and certify the records of a plan. Raises ValueError if they are not of this plan."""
    mqs = score_records(plan, records)
    known = dict(artifacts or {})
    return Run(
        run_id=run_id,
        started=started,
        finished=finished,
        plan=plan,
        records=_in_plan_order(plan, records),
        mqs=mqs,
        certificate=certify(plan, records, mqs, artifacts=known, failure=failure),
        environment=environment,
        artifacts=known,
        interrupted=interrupted,
        failure=failure,
        journal_head=journal_head,
    )


def _in_plan_order(plan: RunPlan, records: Sequence[Evidence]) -> tuple[Evidence, ...]:
    order = {check.check: index for index, check in enumerate(plan.checks)}
    return tuple(sorted(records, key=lambda record: order[record.check]))
