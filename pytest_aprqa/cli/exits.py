"""How `apr-qa` ends."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    FAULT = 70
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done, and what was checked holds",
    Exit.FAILED: "a check failed, or a certificate is below its threshold",
    Exit.USAGE: "the command line or a file it names is wrong",
    Exit.NOT_FOUND: "nothing to do: no such model, playbook, file or row",
    Exit.FAULT: "a fault of apr-qa itself",
    Exit.INTERRUPTED: "interrupted",
}


class UserError(Exception):
    """What the user can put right; the message is one sentence.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: Exception) -> Exit | None:
    """Return the exit code of an error that is explained in a sentence, None for a fault of ours."""
    from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
    from pytest_aprqa.engine.protocol import EngineError
    from pytest_aprqa.playbook.errors import PlaybookError
    from pytest_aprqa.playbook.lock import LockError
    from pytest_aprqa.registry.models_csv import RegistryError
    from pytest_aprqa.verdict.record import RecordError

    if isinstance(error, UserError):
        return error.code
    if isinstance(error, ArtifactError):
        by_fault = {ArtifactFault.NOT_FOUND: Exit.NOT_FOUND, ArtifactFault.MALFORMED: Exit.FAILED}
        return by_fault.get(error.fault, Exit.USAGE)
    if isinstance(error, EngineError | LockError):
        return Exit.FAILED
    if isinstance(error, PlaybookError | RecordError | RegistryError | OSError):
        return Exit.USAGE
    return None
