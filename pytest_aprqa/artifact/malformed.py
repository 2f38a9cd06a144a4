"""The ways a reader says no, so that every refusal names the file, the place and the rule."""

from __future__ import annotations

from pathlib import Path

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault


def malformed(path: Path, rule: str, what: str, where: str = "") -> ArtifactError:
    """Return the error of a file that contradicts itself or its format.

    Args:
        path: the file.
        rule: id of the G0 rule it breaks.
        what: what was found and what was expected, without the file name.
        where: tensor name or byte offset, where one is known.
    """
    return _error(ArtifactFault.MALFORMED, path, rule, what, where)


def unsupported(path: Path, what: str, where: str = "") -> ArtifactError:
    """Return the error of a file that may be sound but uses a feature we do not know."""
    return _error(ArtifactFault.UNSUPPORTED, path, "", what, where)


def environment(path: Path, error: OSError) -> ArtifactError:
    """Return the error of a file system that said no: disk full, no permission, input/output."""
    reason = error.strerror or type(error).__name__
    return ArtifactError(ArtifactFault.ENVIRONMENT, f"{path}: {reason}", where=path.name)


def _error(fault: ArtifactFault, path: Path, rule: str, what: str, where: str) -> ArtifactError:
    place = f"{path.name}, {where}" if where else path.name
    return ArtifactError(fault, f"{place}: {what}", rule=rule, where=place)
