"""Whatever stands in a model's files, G0 answers with findings or says what it does not know."""

from __future__ import annotations

import json
import random
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

EXAMPLES = 30
VALUES = (None, True, -1, 0, 3, 2**70, 0.5, 1e300, "", "é", [], [-1, 3], {}, {"type": 1})
# Each of these once came out as something else than a finding.
KNOWN = (
    ("config.json", ("num_hidden_layers",), 10**6),
    ("config.json", ("attention_dropout",), ""),
    ("config.json", ("bos_token_id",), -1),
    ("config.json", ("rms_norm_eps",), 1e300),
    ("tokenizer.json", ("added_tokens", 0, "id"), 2**70),
    ("tokenizer.json", ("model", "continuing_subword_prefix"), "abcd"),
    ("tokenizer.json", ("model", "merges"), []),
    ("tokenizer.json", ("model", "merges", 0, 0), 0),
    ("tokenizer.json", ("model",), {}),
)

Place = tuple[Any, ...]


@pytest.fixture
def model(tiny_models: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.directory / "llama-tied", tmp_path / "model"))


def survived(artifact: Artifact, reference: Artifact, work: Path) -> None:
    """Check and convert an artifact; only an ArtifactError may say that it cannot be done."""
    faults = []
    try:
        report = check_artifact(artifact, reference=reference)
        assert sum(report.checked.values()) > 0
    except ArtifactError as error:
        faults.append(error.fault)
    with suppress(ArtifactError):
        convert(artifact, Format.GGUF, work / "converted")
    assert set(faults) <= {ArtifactFault.UNSUPPORTED}


def places(value: Any, path: Place = ()) -> list[Place]:
    """Return the path of every value, of long lists and objects only of the first few."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())[:30]
    elif isinstance(value, list):
        inside = list(enumerate(value))[:3]
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


def put(value: Any, path: Place, new: Any) -> Any:
    if not path:
        return new
    target = value
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = new
    return value


def test_known_oddities_are_survived(tiny_models: Any, model: Path, tmp_path: Path) -> None:
    for name, place, value in KNOWN:
        sound = (model / name).read_text()
        (model / name).write_text(json.dumps(put(json.loads(sound), place, value)))
        changed = make_artifact(Format.SAFETENSORS, model, "tests", DigestCache())
        survived(changed, tiny_models.artifact("llama-tied"), tmp_path)
        (model / name).write_text(sound)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_any_value_anywhere_in_json_is_survived(
    tiny_models: Any, model: Path, tmp_path: Path, name: str
) -> None:
    draw = random.Random(name)
    sound = (model / name).read_text()
    for _ in range(EXAMPLES):
        stated = json.loads(sound)
        stated = put(stated, draw.choice(places(stated)), draw.choice(VALUES))
        (model / name).write_text(json.dumps(stated))
        changed = make_artifact(Format.SAFETENSORS, model, "tests", DigestCache())
        survived(changed, tiny_models.artifact("llama-tied"), tmp_path)


def test_any_value_anywhere_in_apr_metadata_is_survived(tiny_models: Any, tmp_path: Path) -> None:
    draw = random.Random("apr")
    reference = tiny_models.artifact("llama-tied")
    made = convert(reference, Format.APR, tmp_path / "apr")
    written = 0
    with open_tensors(made.path) as file:
        sound = json.dumps(dict(file.metadata))
        tensors = [
            TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
        ]
        for _ in range(EXAMPLES):
            stated = json.loads(sound)
            stated = put(stated, draw.choice(places(stated)[1:]), draw.choice(VALUES))
            with suppress(ArtifactError):  # what our own writer refuses
                write_apr(tmp_path / "changed.apr", tensors, stated)
                changed = make_artifact(Format.APR, tmp_path / "changed.apr", "t", DigestCache())
                survived(changed, reference, tmp_path)
                written += 1
    assert written > EXAMPLES / 2
