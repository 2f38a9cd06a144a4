"""Which files make up an artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.model_file import require_sound
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME
from pytest_aprqa.words import Format

COMPANIONS = (
    "config.json",
    "generation_config.json",
    INDEX_NAME,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
)
"""Files beside SafeTensors weights that can change an answer."""

_WEIGHTS = "model*.safetensors"
_SHARD = re.compile(r"(?P<stem>.*)-\d{5}-of-\d{5}")


def files_of(form: Format, path: Path) -> tuple[Path, ...]:
    """Return every file of an artifact that can change an answer, sorted by name.

    Args:
        form: of the artifact.
        path: the directory for SafeTensors, the file for APR and GGUF; any shard of a split GGUF
            stands for all of them.
    """
    if form is Format.SAFETENSORS:
        weights = list(path.glob(_WEIGHTS))
        return tuple(sorted([*weights, *(path / n for n in COMPANIONS if (path / n).is_file())]))
    shard = _SHARD.fullmatch(path.stem)
    if shard is None:
        return (path,)
    return tuple(sorted(path.parent.glob(f"{shard['stem']}-?????-of-?????{path.suffix}")))


def first_of_shards(paths: list[Path]) -> list[Path]:
    """Return the paths with only the first shard of each split file, sorted."""
    first: dict[str, Path] = {}
    for path in sorted(paths):
        shard = _SHARD.fullmatch(path.stem)
        first.setdefault(shard["stem"] if shard else path.stem, path)
    return sorted(first.values())


def make_artifact(
    form: Format,
    path: Path,
    source: str,
    digests: DigestCache,
    *,
    converted_from: str = "",
    derived: bool = False,
    expected_sha256: Mapping[str, str] | None = None,
) -> Artifact:
    """Return the artifact at a path, its files digested; what was just written soon will be.

    Raises:
        ArtifactError: MALFORMED (G0-FILE) when one is no file of the model; NOT_FOUND; ENVIRONMENT.
    """
    if form is Format.SAFETENSORS:
        require_sound(list(path.glob(_WEIGHTS)), [path / name for name in COMPANIONS])
    files = files_of(form, path)
    return Artifact(
        format=form,
        path=path,
        files=files,
        identity=digests.identity(files),
        source=source,
        converted_from=converted_from,
        derived=derived,
        expected_sha256=dict(expected_sha256 or {}),
    )
