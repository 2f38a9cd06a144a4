from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.convert import RECORD_FILE, convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tokenizer_unsaid import refuse_unsaid
from pytest_aprqa.words import Format

NFC = {"type": "NFC"}
PREPEND = {"type": "Prepend", "prepend": "▁"}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
LOWER = {"type": "Lowercase"}
STRIP = {"type": "Strip", "strip_left": True, "strip_right": False}


def sequence(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(parts)}


@pytest.mark.parametrize(
    ("normalizer", "is_spm"),
    [
        (None, False),
        (NFC, False),
        (sequence(), False),
        (sequence(NFC), False),
        (None, True),
        (REPLACE, True),
        (sequence(PREPEND, REPLACE), True),
    ],
)
def test_what_the_tokenizers_of_real_models_do_is_taken(normalizer: Any, is_spm: bool) -> None:
    plain = {"dropout": None, "continuing_subword_prefix": "", "end_of_word_suffix": None}
    tokenizer = {"normalizer": normalizer, "model": plain}
    refuse_unsaid(Path("tokenizer.json"), tokenizer, is_spm=is_spm)


@pytest.mark.parametrize(
    ("change", "is_spm", "said"),
    [
        ({"normalizer": LOWER}, False, "normaliser 'Lowercase'"),
        ({"normalizer": sequence(NFC, STRIP)}, False, "normaliser 'Strip'"),
        ({"normalizer": sequence(sequence(LOWER))}, False, "normaliser 'Lowercase'"),
        ({"normalizer": REPLACE}, False, "normaliser 'Replace'"),
        ({"normalizer": {**REPLACE, "content": "_"}}, True, "normaliser 'Replace'"),
        ({"normalizer": sequence(PREPEND, REPLACE, LOWER)}, True, "normaliser 'Lowercase'"),
        ({"normalizer": NFC}, True, "normaliser 'NFC'"),
        ({"model": {"dropout": 0.1}}, False, "dropout of 0.1"),
        ({"model": {"end_of_word_suffix": "</w>"}}, False, "end_of_word_suffix of '</w>'"),
    ],
)
def test_what_would_be_lost_is_refused_by_name(
    change: dict[str, Any], is_spm: bool, said: str
) -> None:
    with pytest.raises(ArtifactError, match="no word for the") as caught:
        refuse_unsaid(Path("tokenizer.json"), change, is_spm=is_spm)
    assert caught.value.fault is ArtifactFault.UNSUPPORTED
    assert said in caught.value.message


def edited(tiny_models: Any, place: Path, **added: bool) -> Path:
    shutil.copytree(tiny_models.directory / "qwen2", place)
    path = place / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"] = [{**entry, **added} for entry in tokenizer["added_tokens"]]
    path.write_text(json.dumps(tokenizer))
    return place


@pytest.mark.parametrize("form", [Format.GGUF, Format.APR])
def test_what_added_tokens_lose_is_on_record(
    tiny_models: Any, tmp_path: Path, form: Format
) -> None:
    model = edited(tiny_models, tmp_path / "model", lstrip=True, single_word=True)
    source = make_artifact(Format.SAFETENSORS, model, "tests", DigestCache())
    made = convert(source, form, tmp_path / "made")
    before, whole = json.loads((made.path.parent / RECORD_FILE).read_text())["notes"]
    assert "3 added tokens swallow the white space before them (lstrip)" in before
    assert "3 added tokens match whole words only (single_word)" in whole


def test_plain_added_tokens_lose_nothing(tiny_models: Any, tmp_path: Path) -> None:
    made = convert(tiny_models.artifact("qwen2"), Format.GGUF, tmp_path / "made")
    assert json.loads((made.path.parent / RECORD_FILE).read_text())["notes"] == []
