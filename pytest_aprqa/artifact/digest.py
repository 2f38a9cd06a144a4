"""sha256 of files and artifacts, computed once per state of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, in lower-case hexadecimal.

    Raises:
        ArtifactError: NOT_FOUND or ENVIRONMENT.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ArtifactError(
            ArtifactFault.NOT_FOUND, f"{path}: no such file", where=path.name
        ) from None
    except OSError as error:
        raise ArtifactError(
            ArtifactFault.ENVIRONMENT, f"{path}: {error.strerror}", where=path.name
        ) from error


def digest_of(sha256_by_name: Mapping[str, str]) -> str:
    """Return the identity of an artifact: sha256 over its sorted (name, sha256) pairs."""
    lines = (f"{sha256}  {name}\n" for name, sha256 in sorted(sha256_by_name.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DigestCache:
    """Remembers the sha256 of files in a directory, one small file per state of a file.

    The state is path, size, modification time in nanoseconds and inode: a file that was changed
    or replaced is read again.

    Attributes:
        directory: where it remembers; None to remember in memory only.
    """

    directory: Path | None = None
    _known: dict[str, str] = field(default_factory=dict)

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file, reading it only when its state is new.

        Raises:
            ArtifactError: NOT_FOUND or ENVIRONMENT.
        """
        state = _state(path)
        if state not in self._known:
            self._known[state] = self._recall(state) or self._learn(state, path)
        return self._known[state]

    def digest(self, files: Iterable[Path]) -> str:
        """Return the identity of an artifact made of these files.

        Raises:
            ArtifactError: NOT_FOUND or ENVIRONMENT.
        """
        return digest_of({path.name: self.sha256(path) for path in files})

    def _recall(self, state: str) -> str:
        if self.directory is None:
            return ""
        try:
            remembered = (self.directory / state).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return remembered if len(remembered) == hashlib.sha256().digest_size * 2 else ""

    def _learn(self, state: str, path: Path) -> str:
        sha256 = sha256_of_file(path)
        # Only a file that stayed as it was while it was read has this digest in this state.
        if self.directory is not None and _state(path) == state:
            self.directory.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.directory / state) as file:
                file.write(sha256.encode())
        return sha256


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ArtifactError(
            ArtifactFault.NOT_FOUND, f"{path}: no such file", where=path.name
        ) from None
    except OSError as error:
        raise ArtifactError(
            ArtifactFault.ENVIRONMENT, f"{path}: {error.strerror}", where=path.name
        ) from error
    parts = (os.fspath(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
