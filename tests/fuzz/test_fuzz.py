"""What the fuzzer has found stays found, and the readers take sound files."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
FOUND = sorted((HERE / "found").iterdir())
NAMES = ("safetensors", "index", "gguf", "apr", "config", "tokenizer", "sentencepiece", "template")
MUTATIONS = 200


@pytest.fixture(scope="module")
def readers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("aprqa_fuzz_readers", HERE / "readers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_is_refused_now(readers: ModuleType, path: Path, tmp_path: Path) -> None:
    with readers.READERS[path.name.partition("-")[0]](tmp_path) as reader:
        assert reader.feed(path.read_bytes()) is False


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_file_is_read_and_a_changed_one_is_read_or_refused(
    readers: ModuleType, name: str, tmp_path: Path
) -> None:
    draw = random.Random(name)
    with readers.READERS[name](tmp_path) as reader:
        sound = next(reader.samples())
        assert reader.feed(sound)
        for _ in range(MUTATIONS):
            changed = bytearray(sound)
            for _ in range(draw.choice((1, 1, 2, 8))):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            reader.feed(bytes(changed))


def test_every_reader_is_tested(readers: ModuleType) -> None:
    assert set(readers.READERS) == set(NAMES)
