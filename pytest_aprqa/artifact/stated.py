"""What an artifact says of itself, read once per state of its files."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import read_config, read_vocabulary
from pytest_aprqa.artifact.file_state import settled_state
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tokenizer import Vocabulary
from pytest_aprqa.words import Format

_REMEMBERED = 4


class Stated(NamedTuple):
    """Configuration, and tokenizer where there is one."""

    config: ModelConfig
    vocabulary: Vocabulary | None


def stated_by(artifact: Artifact) -> Stated:
    """Return what an artifact says of itself.

    Raises:
        ArtifactError: as reading either does.
    """
    state = ""
    with suppress(OSError):  # reading says better what is wrong
        state = settled_state(artifact.files)
    read = _read if state else _read.__wrapped__
    return read(artifact.format, artifact.path, state)


@lru_cache(_REMEMBERED)
def _read(form: Format, path: Path, state: str) -> Stated:
    with open_tensors(path) as file:
        config = read_config(form, path, file)
        return Stated(config, read_vocabulary(form, path, file, config))
