"""A value of the wrong kind in a file is the file's fault, wherever it comes to light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

_SIGNS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)


@contextmanager
def wrong_kind_is_malformed(rule: str, where: str) -> Iterator[None]:
    """Turn what Python raises over a value of the wrong kind into an ArtifactError.

    For code that takes a file's JSON or key-values apart and checks by using them.

    Args:
        rule: id of the G0 rule that is broken.
        where: the file or the part of it that is being read.

    Raises:
        ArtifactError: MALFORMED.
    """
    try:
        yield
    except _SIGNS as error:
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"{where}: a value is missing or of the wrong kind ({type(error).__name__}: {error})",
            rule=rule,
            where=where,
        ) from error
