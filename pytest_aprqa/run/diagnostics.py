"""The bundle that `fail-fast` leaves behind: everything a person needs to look into a failure."""

from __future__ import annotations

import json
import shlex
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.run.layers import layer_report
from pytest_aprqa.verdict.evidence import Evidence

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def write_bundle(
    directory: Path, check: Check, evidence: Evidence, laboratory: Laboratory, nodeid: str
) -> None:
    """Write what is known of a failed check.

    `record.json` is the check's record, with every attempt and its traceback or signal; `environment.json`
    the machine and versions; `engine.log` what the engine printed; `fingerprint.json` the artifact
    tensor by tensor; `layers.json` what a forward pass leaves behind each layer, of the artifact and of
    the reference, and the first that differs; `reproduce.txt` the command that makes the failure happen again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    command = laboratory.settings.command
    _write(directory / "record.json", evidence.model_dump(mode="json"))
    _write(
        directory / "environment.json", environment_of([evidence], command).model_dump(mode="json")
    )
    (directory / "engine.log").write_bytes(laboratory.engine_log(check.cell))
    if check.cell.format:
        _write(directory / "fingerprint.json", _fingerprint(check, laboratory))
    _write(directory / "layers.json", layer_report(check, evidence, laboratory))
    reproduce = shlex.join(["pytest", nodeid, *_options(command)])
    (directory / "reproduce.txt").write_text(reproduce + "\n", encoding="utf-8")


def _fingerprint(check: Check, laboratory: Laboratory) -> dict[str, Any]:
    """Return digests of the files and a checksum of each tensor, as far as they can be read."""
    try:
        artifact = laboratory.artifact(check.cell)
        return {
            "digest": artifact.digest,
            "files": {p.name: laboratory.workshop.digests.sha256(p) for p in artifact.files},
            "tensors": _tensors(artifact),
        }
    except ArtifactError as error:
        return {"error": error.message}


def _tensors(artifact: Artifact) -> dict[str, Any]:
    with open_tensors(artifact.path) as file:
        return {
            name: {
                "dtype": info.dtype,
                "shape": info.shape,
                "offset": info.offset,
                "bytes": info.nbytes,
                "crc32": f"{zlib.crc32(file.raw(name).data):08x}",
            }
            for name, info in file.tensors.items()
        }


def _options(command: str) -> list[str]:
    """Return the options of a command line that the reproduction needs, without what selects."""
    words = shlex.split(command)[1:]
    return [word for word in words if not word.partition("::")[0].endswith(".playbook.yaml")]


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
