"""Results kept by what they follow from, so that what has not changed is not run again."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.digest import sha256_of_file
from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.engine.devices import gpu_names
from pytest_aprqa.engine.open import usable_cores
from pytest_aprqa.playbook.check import LOOKING_BACK, Check
from pytest_aprqa.playbook.endpoint import ENDPOINT
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import REFERENCE, Attribution, Category, Cell, Gateway, Outcome

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

FOLDER = "results"

_OF_THE_MODEL = (None, Attribution.MODEL, Attribution.CONVERSION)
_NOT_CODE = ("builtin", "__pycache__")


class Results:
    """Evidence of earlier runs in the cache directory, one file per result.

    A result is found again when the check, the files of its artifact and of the reference, what is
    stated about them, the engines, the machine, the thread count and this package are the same.
    Results that a second try might change are not kept: crashes, timeouts, faults of an engine or
    the environment, and measurements that missed their bound.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._enabled = laboratory.settings.result_cache
        self._folder = laboratory.workshop.cache_dir / FOLDER

    def slot(self, check: Check) -> Slot:
        """Return where the result of a check is kept; nowhere, when it follows from unknowns."""
        if not self._enabled or _looks_elsewhere(check, self._laboratory):
            return Slot(None)
        try:
            key = _digest({"run": self._basis, **self._inputs(check)})
        except (ArtifactError, OSError):
            return Slot(None)
        return Slot(self._folder / key[:2] / f"{key}.json")

    @cached_property
    def _basis(self) -> str:
        """What every result of this run follows from."""
        settings = self._laboratory.settings
        return _digest(
            {
                "model": self._laboratory.plan.model.model_dump(mode="json"),
                "threads": settings.threads or usable_cores(),
                "apr": _binary(settings.apr_binary),
                "machine": _machine(),
                "code": code_digest(),
            }
        )

    def _inputs(self, check: Check) -> dict[str, Any]:
        """Return what the result of one check follows from."""
        laboratory = self._laboratory
        looked_at = {check.cell.artifact, Cell(REFERENCE)}
        return {
            "check": _content(check),
            "artifacts": [
                _identity(laboratory.artifact(cell))
                for cell in laboratory.plan.artifacts
                if cell in looked_at
            ],
        }


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one result in the cache; without a path nothing is found and nothing kept."""

    path: Path | None

    def find(self) -> Evidence | None:
        """Return the evidence an earlier run found for the very same check, marked as reused."""
        if self.path is None:
            return None
        try:
            evidence = Evidence.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return None
        return evidence.model_copy(update={"reused": True})

    def keep(self, evidence: Evidence) -> None:
        """Keep what a check has found; a cache that cannot be written is no fault of the run."""
        if self.path is None or not _is_lasting(evidence):
            return
        with suppress(OSError, ArtifactError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path) as file:
                file.write(evidence.model_dump_json().encode())


def _looks_elsewhere(check: Check, laboratory: Laboratory) -> bool:
    """Whether a check looks at other results, or at a server we do not know."""
    if check.kind in LOOKING_BACK or check.subject == Gateway.G3:
        return True
    return check.subject == ENDPOINT or laboratory.asks_named_server(check)


def _is_lasting(evidence: Evidence) -> bool:
    if len(evidence.attempts) != 1 or evidence.flaky or evidence.reused:
        return False
    if evidence.outcome is Outcome.CORROBORATED:
        return True
    fails = evidence.outcome is Outcome.FALSIFIED and evidence.category is not Category.PERF
    return fails and evidence.attribution in _OF_THE_MODEL


def _content(check: Check) -> dict[str, Any]:
    """Return what a check is, without where it stands in its playbook."""
    content = asdict(check)
    for place in ("line", "tiers", "timeout"):
        del content[place]
    return content


def _identity(artifact: Artifact) -> dict[str, Any]:
    return {
        "format": artifact.format,
        "digest": artifact.digest,
        "source": artifact.source,
        "path": str(artifact.path),
        "converted_from": artifact.converted_from,
        "derived": artifact.derived,
        "expected": dict(artifact.expected_sha256),
    }


def _binary(name: str | None) -> tuple[str, int, int] | None:
    if name is None:
        return None
    import shutil

    found = Path(shutil.which(name) or name)
    state = found.stat()
    return str(found), state.st_size, state.st_mtime_ns


@cache
def _machine() -> dict[str, Any]:
    """Return what of this machine can change an answer or a measurement."""
    here = environment_of((), "")
    return {
        "python": here.python,
        "platform": here.platform,
        "cpu": here.cpu,
        "cores": here.cores,
        "packages": {name: told for name, told in here.packages.items() if "pytest" not in name},
        "gpu": gpu_names(),
    }


@cache
def code_digest() -> str:
    """Return the sha256 over all that this package judges with, the shipped models left out."""
    return tree_digest(Path(str(files("pytest_aprqa"))))


def tree_digest(root: Path) -> str:
    """Return the sha256 over the names and bytes of the files below a package's directory."""
    whole = hashlib.sha256()
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name not in _NOT_CODE)
        for name in sorted(names):
            path = Path(folder, name)
            whole.update(f"{path.relative_to(root)}\0".encode())
            whole.update(sha256_of_file(path).encode())
    return whole.hexdigest()


def _digest(inputs: dict[str, Any]) -> str:
    return hashlib.sha256(to_json(inputs)).hexdigest()
