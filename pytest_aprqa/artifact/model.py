"""One model in one format on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pytest_aprqa.artifact.pending_digest import PendingDigest
from pytest_aprqa.words import Format


class ArtifactFault(StrEnum):
    """Why an artifact is not to be had."""

    NOT_FOUND = "not found"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    ENVIRONMENT = "environment"


class ArtifactError(Exception):
    """An artifact cannot be located, read or made.

    Attributes:
        fault: NOT_FOUND - nowhere that was looked; MALFORMED - the file contradicts itself;
            UNSUPPORTED - an architecture, dtype or feature we do not know, named in the message;
            ENVIRONMENT - disk full, no permission, no network.
        message: one sentence that says what is wrong, where, and what to do.
        rule: id of the G0 rule it breaks, for MALFORMED.
        where: file, and tensor or byte offset where known.
    """

    def __init__(
        self, fault: ArtifactFault, message: str, *, rule: str = "", where: str = ""
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.rule = rule
        self.where = where


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model in one format on disk.

    Attributes:
        format: of the weights.
        path: what an engine is given: the directory for SafeTensors, the file for APR and GGUF.
        files: every file that belongs to it and can change an answer: weights, config, tokenizer,
            template.
        identity: its digest, or one that is still being computed.
        source: where it was found, for people ("--model-path", "hub cache", "converted from ...").
        converted_from: digest of the artifact it was made from, or "".
        derived: the SafeTensors was made from a GGUF, so it is no ground truth of its own.
        expected_sha256: file name -> sha256 that the playbook, a manifest or the hub cache states.
    """

    format: Format
    path: Path
    files: tuple[Path, ...]
    identity: str | PendingDigest
    source: str
    converted_from: str = ""
    derived: bool = False
    expected_sha256: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The sha256 over the sorted (name, sha256) of `files`; it is waited for.

        Raises:
            ArtifactError: ENVIRONMENT or NOT_FOUND, when a file just made could not be read again.
        """
        return str(self.identity)
