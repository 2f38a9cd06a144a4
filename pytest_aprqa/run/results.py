"""Results kept by what they follow from, so that what has not changed is not run again."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.engine.devices import gpu_names
from pytest_aprqa.engine.open import usable_cores
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Attribution, Backend, Category, Format, Gateway, Modality, Outcome

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

FOLDER = "results"

_OF_THE_MODEL = (None, Attribution.MODEL, Attribution.CONVERSION)
_CODE = (".py", ".toml", ".yaml", ".txt")
_NOT_CODE = ("builtin",)


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

    def find(self, check: Check) -> Evidence | None:
        """Return the evidence an earlier run found for the very same check, marked as reused."""
        path = self._path(check)
        if path is None:
            return None
        try:
            evidence = Evidence.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        return evidence.model_copy(update={"reused": True})

    def keep(self, check: Check, evidence: Evidence) -> None:
        """Keep what a check has found; a cache that cannot be written is no fault of the run."""
        if not _is_lasting(evidence):
            return
        path = self._path(check)
        if path is None:
            return
        with suppress(OSError, ArtifactError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as file:
                file.write(evidence.model_dump_json().encode())

    def _path(self, check: Check) -> Path | None:
        """Return where the result of a check is kept; None when it follows from more than is known."""
        if not self._enabled or _looks_elsewhere(check, self._laboratory):
            return None
        try:
            key = _digest(self._inputs(check))
        except (ArtifactError, OSError):
            return None
        return self._folder / key[:2] / f"{key}.json"

    def _inputs(self, check: Check) -> dict[str, Any]:
        """Return everything the result of a check follows from."""
        from pytest_aprqa.run.laboratory import REFERENCE

        laboratory = self._laboratory
        formats = {check.cell.format, REFERENCE} & {*laboratory.plan.formats}
        settings = laboratory.settings
        return {
            "check": _content(check),
            "model": laboratory.plan.model.model_dump(mode="json"),
            "artifacts": [
                _identity(laboratory.artifact(format)) for format in Format if format in formats
            ],
            "threads": settings.threads or usable_cores(),
            "apr": _binary(settings.apr_binary),
            "machine": _machine(gpu=check.cell.backend is Backend.GPU),
            "code": code_digest(),
        }


def _looks_elsewhere(check: Check, laboratory: Laboratory) -> bool:
    """Whether a check looks at other results, or at a server we do not know."""
    if check.kind is CheckKind.REGRESSION or check.subject == Gateway.G3:
        return True
    if check.subject == "endpoint":
        return True
    over_http = check.cell.modality is Modality.SERVE or check.kind is CheckKind.PARITY
    return over_http and laboratory.settings.base_url is not None


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
def _machine(*, gpu: bool) -> dict[str, Any]:
    """Return what of this machine can change an answer or a measurement."""
    here = environment_of((), "")
    return {
        "python": here.python,
        "platform": here.platform,
        "cpu": here.cpu,
        "cores": here.cores,
        "packages": {name: told for name, told in here.packages.items() if "pytest" not in name},
        "gpu": gpu_names() if gpu else [],
    }


@cache
def code_digest() -> str:
    """Return the sha256 over what this package judges with, the shipped models left out."""
    whole = hashlib.sha256()
    root = Path(str(files("pytest_aprqa")))
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name not in _NOT_CODE)
        for name in sorted(names):
            if name.endswith(_CODE):
                path = Path(folder, name)
                whole.update(f"{path.relative_to(root)}\0".encode())
                whole.update(path.read_bytes())
    return whole.hexdigest()


def _digest(inputs: dict[str, Any]) -> str:
    return hashlib.sha256(to_json(inputs)).hexdigest()
