"""Where the tested files come from, and whether that is proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Format, Gateway

WEIGHTS_SUFFIX = ".safetensors"

ArtifactName = Annotated[str, StringConstraints(pattern=rf"^({'|'.join(Format)})(-[a-z0-9_]+)?$")]
"""A format, with the quantisation where several artifacts have it."""


class ArtifactRecord(BaseModel):
    """One model in one format, as it was tested.

    Attributes:
        name: of its file or directory.
        bytes: size of its files together.
        digest: identity of the artifact, over all of its files.
        files: file name -> sha256.
        expected: file name -> sha256 that the playbook, a manifest or the hub states.
        source: where it was found, for people.
        derived: a SafeTensors made from a GGUF; no ground truth of its own.
        converted_from: digest of the artifact it was made from, or "".
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str
    name: str = ""
    bytes: int = 0
    files: dict[str, str] = Field(default_factory=dict)
    expected: dict[str, str] = Field(default_factory=dict)
    source: str = ""
    derived: bool = False
    converted_from: str = ""


def artifacts_of(records: Iterable[Evidence]) -> dict[str, ArtifactRecord]:
    """Return what was tested by the artifact's name, as the G0 records tell."""
    return {
        str(record.cell.artifact): ArtifactRecord.model_validate(record.observation["artifact"])
        for record in records
        if record.subject == Gateway.G0 and record.format and "artifact" in record.observation
    }


def provenance_verified(artifacts: Mapping[str, ArtifactRecord]) -> bool:
    """Whether every tested artifact leads back to published SafeTensors.

    The SafeTensors must not be derived, each of its weight files must have a stated sha256, no
    stated sha256 may differ, and every other artifact must have been converted from it.
    """
    truth = artifacts.get(Format.SAFETENSORS)
    if truth is None or truth.derived:
        return False
    weights = [name for name in truth.files if name.endswith(WEIGHTS_SUFFIX)]
    stated = bool(weights) and all(name in truth.expected for name in weights)
    unchanged = all(truth.files.get(name) == sha for name, sha in truth.expected.items())
    converted = all(
        artifact.converted_from == truth.digest and not artifact.derived
        for name, artifact in artifacts.items()
        if name != Format.SAFETENSORS
    )
    return stated and unchanged and converted
