"""What a file or directory holds of a model: formats, and the sha256 stated for its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_aprqa.artifact.files import files_of, first_of_shards
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import leads_out, read_text
from pytest_aprqa.artifact.quantized_files import files_by_artifact, require_stated
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME, SINGLE_NAME
from pytest_aprqa.words import Cell, Format

MANIFEST = "SHA256SUMS"

_SUFFIXES = {f".{form}": form for form in Format}
_MANIFEST_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64})[ \t]+\*?(?P<name>.+)")
_BLOB = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a model in one format.

    Attributes:
        format: of the weights.
        path: the directory for SafeTensors, the file for APR and GGUF.
        source: where it was found, for people.
        expected_sha256: file name -> sha256 that the playbook, a SHA256SUMS file beside it or the
            name of a Hugging Face blob states.
    """

    format: Format
    path: Path
    source: str
    expected_sha256: Mapping[str, str] = field(default_factory=dict)


def look_at(
    path: Path,
    source: str,
    sha256: Mapping[str, str],
    skip: frozenset[Format] = frozenset(),
    quantizations: tuple[str, ...] = (),
) -> dict[str, Found]:
    """Return what a file or directory holds, by artifact name; nothing when it does not exist.

    Where several quantisations are looked for, a file that states one in its name is that artifact.
    The only file of a format has also the format's name: it is what SafeTensors are derived from.

    Args:
        path: a weights file, or a directory of them.
        source: where that is, for people.
        sha256: file name -> sha256 as the playbook states it.
        skip: formats not to look for, because another file is named for them.
        quantizations: those that the playbook states.

    Raises:
        ArtifactError: MALFORMED when of several files of one format it is not clear which is which.
    """
    if path.is_file():
        paths = _of_file(path, quantizations)
    elif path.is_dir():
        paths = _of_directory(path, skip, quantizations)
    else:
        return {}
    found = {}
    for name, where in paths.items():
        form = Cell.named(name).format
        assert form is not None
        found[name] = Found(form, where, source, _expected(form, where, sha256))
    return found


def _of_file(path: Path, quantizations: tuple[str, ...]) -> dict[str, Path]:
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise ArtifactError(
            ArtifactFault.NOT_FOUND,
            f"{path} is no model file: it ends in none of {', '.join(_SUFFIXES)}",
            where=path.name,
        )
    if form is not Format.SAFETENSORS:
        return files_by_artifact(form, [path], quantizations)
    if leads_out(path):
        path = path.resolve()  # the user's own link to a model that lies elsewhere
    if path.name != SINGLE_NAME and not (path.parent / INDEX_NAME).is_file():
        raise ArtifactError(
            ArtifactFault.NOT_FOUND,
            f"{path} cannot be loaded under this name; call it {SINGLE_NAME}",
            where=path.name,
        )
    return {form: path.parent}


def _of_directory(
    directory: Path, skip: frozenset[Format], quantizations: tuple[str, ...]
) -> dict[str, Path]:
    found: dict[str, Path] = {}
    has_weights = any((directory / name).exists() for name in (SINGLE_NAME, INDEX_NAME))
    if has_weights and Format.SAFETENSORS not in skip:
        found[Format.SAFETENSORS] = directory
    for form in (Format.APR, Format.GGUF):
        paths = first_of_shards(list(directory.glob(f"*.{form}"))) if form not in skip else []
        if has_weights and len(quantizations) > 1:
            require_stated(form, paths, quantizations)
        found |= files_by_artifact(form, paths, quantizations)
    return found


def _expected(form: Format, path: Path, sha256: Mapping[str, str]) -> dict[str, str]:
    """Return the stated sha256 by file name; the playbook's word is the last."""
    directory = path if path.is_dir() else path.parent
    files = files_of(form, path)
    names = {file.name for file in files}
    blobs = {
        file.name: file.resolve().name
        for file in files
        if file.is_symlink() and _BLOB.fullmatch(file.resolve().name)
    }
    stated = {**blobs, **_manifest(directory / MANIFEST), **sha256}
    return {name: stated[name] for name in sorted(names & stated.keys())}


def _manifest(path: Path) -> dict[str, str]:
    """Return what a SHA256SUMS file states, in the format of `sha256sum`."""
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            ArtifactFault.MALFORMED, f"{path} cannot be read: {error}", where=path.name
        ) from error
    stated: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _MANIFEST_LINE.fullmatch(line)
        if match:
            stated[match["name"].strip().removeprefix("./")] = match["sha256"].lower()
        elif line.strip() and not line.startswith("#"):
            raise ArtifactError(
                ArtifactFault.MALFORMED,
                f"{path}, line {number}: expected a sha256 and a file name",
                where=f"{path.name}:{number}",
            )
    return stated
