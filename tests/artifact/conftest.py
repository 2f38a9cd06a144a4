"""Tiny models made by transformers, and what transformers and llama.cpp say of our files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.architecture import model_types
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.words import Format

OUTSIDE = Path(__file__).parent / "outside"


@dataclass(frozen=True, slots=True)
class TinyModels:
    """Random models of each architecture.

    Attributes:
        directory: with one model a subdirectory.
        sequence: token ids.
        logprobs: by name of the model, what transformers says after each prefix of `sequence`,
            shape (prefixes, vocabulary).
    """

    directory: Path
    sequence: list[int]
    logprobs: dict[str, list[list[float]]]

    @property
    def names(self) -> list[str]:
        return list(self.logprobs)

    def artifact(self, name: str) -> Artifact:
        return make_artifact(Format.SAFETENSORS, self.directory / name, "tests", DigestCache())


def run_outside(script: str, *arguments: str) -> str:
    """Run a script in a process of its own, since it imports what tests must not."""
    done = subprocess.run(
        [sys.executable, str(OUTSIDE / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    directory = tmp_path_factory.mktemp("tiny")
    run_outside("make_tiny_models.py", str(directory))
    reference = json.loads((directory / "reference.json").read_text())
    return TinyModels(directory, reference["sequence"], reference["logprobs"])


@pytest.fixture(scope="session")
def ask_transformers(
    tiny_models: TinyModels,
) -> Callable[[Sequence[Path]], dict[str, dict[str, Any]]]:
    """Return what transformers says of model directories, by their path."""

    def ask(directories: Sequence[Path]) -> dict[str, dict[str, Any]]:
        sequence = json.dumps(tiny_models.sequence)
        answers: dict[str, dict[str, Any]] = json.loads(
            run_outside("ask_transformers.py", sequence, *map(str, directories))
        )
        return answers

    return ask


@pytest.fixture(scope="session")
def ask_configs() -> Callable[[str], list[list[dict[str, Any]]]]:
    """Return, of a model type, every config.json without one key, and what it is taken for."""
    answers: dict[str, list[list[dict[str, Any]]]] = json.loads(
        run_outside("ask_configs.py", *model_types())
    )
    return answers.__getitem__


@pytest.fixture(scope="session")
def ask_tokenizer() -> Callable[[Sequence[str], Path], dict[str, Any]]:
    """Return what the reference engine makes of texts: "ids", and the "texts" they give back."""

    def ask(texts: Sequence[str], directory: Path) -> dict[str, Any]:
        answer = run_outside("ask_tokenizer.py", json.dumps(texts), str(directory))
        said: dict[str, Any] = json.loads(answer)
        return said

    return ask


@pytest.fixture(scope="session")
def ask_llama_cpp(
    tiny_models: TinyModels, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, dict[str, Any]]]:
    """Return what llama.cpp says of GGUF files, by their path."""

    def ask(files: Sequence[Path], texts: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        request = tmp_path_factory.mktemp("request") / "request.json"
        sequence = [] if texts else tiny_models.sequence
        values = {"files": [str(f) for f in files], "sequence": sequence, "texts": list(texts)}
        request.write_text(json.dumps(values))
        answers: dict[str, dict[str, Any]] = json.loads(
            run_outside("ask_llama_cpp.py", str(request))
        )
        return answers

    return ask
