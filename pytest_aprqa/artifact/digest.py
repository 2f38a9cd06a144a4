"""sha256 of files and artifacts, computed once per state of a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.file_state import state_of
from pytest_aprqa.artifact.malformed import environment
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import require_regular
from pytest_aprqa.artifact.pending_digest import PendingDigest

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What this process has already read, or is reading, by state of the file.
_READ: dict[str, str] = {}
_PENDING: dict[str, Future[str]] = {}


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in lower-case hexadecimal.

    A process reads a file once per state of it.

    Raises:
        ArtifactError: NOT_FOUND or ENVIRONMENT.
    """
    return DigestCache().sha256(path)


def remember(path: Path, sha256: Future[str]) -> None:
    """Keep the sha256, as soon as it is there, of a file that this process has just written."""
    with suppress(OSError):
        _PENDING[state_of(path)] = sha256


def digest_of(sha256_by_name: Mapping[str, str]) -> str:
    """Return the identity of an artifact: sha256 over its sorted (name, sha256) pairs."""
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(sha256_by_name.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DigestCache:
    """Remembers the sha256 of files in a directory, one small file per state of a file.

    The state is device, inode, size and modification time in nanoseconds: a file that was changed
    or replaced is read again, one that was renamed is not.

    Attributes:
        directory: where it remembers; None to remember in this process only.
    """

    directory: Path | None = None

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file, reading it only when its state is new.

        Raises:
            ArtifactError: NOT_FOUND or ENVIRONMENT.
        """
        try:
            state = state_of(path)
            sha256 = _READ.get(state) or self._recall(state) or _written(state) or _read(path)
            if state_of(path) == state:  # else it changed while it was read: no state has this
                _READ[state] = sha256
                self._keep(state, sha256)
            return sha256
        except FileNotFoundError:
            raise ArtifactError(
                ArtifactFault.NOT_FOUND, f"{path}: no such file", where=path.name
            ) from None
        except OSError as error:
            raise environment(path, error) from error

    def digest(self, files: Iterable[Path]) -> str:
        """Return the identity of an artifact made of these files.

        Raises:
            ArtifactError: NOT_FOUND or ENVIRONMENT.
        """
        return digest_of({path.name: self.sha256(path) for path in files})

    def identity(self, files: Iterable[Path]) -> str | PendingDigest:
        """Return the digest, pending when this process has written one of the files.

        It is that of the files as they are now, whatever becomes of their names.

        Raises:
            ArtifactError: NOT_FOUND or ENVIRONMENT.
        """
        paths = list(files)
        pending = {path.name: found for path in paths if (found := _pending(path)) is not None}
        known = {path.name: self.sha256(path) for path in paths if path.name not in pending}
        if not pending:
            return digest_of(known)
        return PendingDigest(lambda: digest_of(known | _results(pending)))

    def _recall(self, state: str) -> str:
        if self.directory is None:
            return ""
        try:
            remembered = (self.directory / state).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return remembered if _SHA256.fullmatch(remembered) else ""

    def _keep(self, state: str, sha256: str) -> None:
        if self.directory is None or (self.directory / state).exists():
            return
        with suppress(OSError, ArtifactError):  # what cannot be remembered is read again
            self.directory.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.directory / state) as remembered:
                remembered.write(sha256.encode())


def _pending(path: Path) -> Future[str] | None:
    try:
        return _PENDING.get(state_of(path))
    except OSError:
        return None


def _written(state: str) -> str:
    """Return the sha256 of a file that this process has written, or "" when there is none."""
    sha256 = _PENDING.get(state)
    return "" if sha256 is None or sha256.exception() else sha256.result()


def _results(pending: Mapping[str, Future[str]]) -> dict[str, str]:
    found = {}
    for name, sha256 in pending.items():
        try:
            found[name] = sha256.result()
        except OSError as error:
            raise environment(Path(name), error) from error
    return found


def _read(path: Path) -> str:
    require_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
