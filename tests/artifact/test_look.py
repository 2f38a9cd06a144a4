"""One look at every byte sees what several looks would."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from pytest_aprqa.artifact import tensor_pieces
from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.crc32 import crc32_in_parts
from pytest_aprqa.artifact.look import Twin, look_through
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

SHAPES = {"a": (7, 640), "b": (513,), "c": (0, 4), "d": (300, 64)}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_pieces, "CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(tensor_pieces, "_PIECE_ELEMENTS", 1 << 11)


def sources(dtype: DType) -> list[TensorSource]:
    random = np.random.default_rng(0)
    return [
        TensorSource.of(name, random.standard_normal(shape).astype(np.float32), dtype)
        for name, shape in SHAPES.items()
    ]


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F32, DType.APR_Q4, DType.APR_Q8])
def test_the_checksums_of_all_parts_make_that_of_the_file(tmp_path: Path, dtype: DType) -> None:
    path = tmp_path / "model.apr"
    write_apr(path, sources(dtype), {"model_type": "llama"})
    with open_tensors(path) as file:
        looks = look_through(file)
    assert [look.info.name for look in looks] == list(SHAPES)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    parts = [part for look in looks for part in look.summed]
    assert sum(part.size for part in parts) > 0.9 * sum(look.info.nbytes for look in looks)
    for part in parts:
        assert part.crc32 == zlib.crc32(data[part.begin : part.begin + part.size].data)
    assert crc32_in_parts(data, known=parts) == zlib.crc32(data.data)


def test_a_twin_is_the_same_unless_a_byte_of_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, sources(DType.BF16))
    with open_tensors(path) as file:
        twins = {source.name: Twin(source) for source in sources(DType.BF16)}
        del twins["b"]
        assert not any(look.same for look in look_through(file))
        looks = {look.info.name: look for look in look_through(file, twins)}
        assert {name: look.same for name, look in looks.items()} == {
            "a": True,
            "b": False,
            "c": True,
            "d": True,
        }
        for place in (0, 8000, SHAPES["d"][0] * SHAPES["d"][1] * 2 - 1):
            changed = twins["d"].source.data().copy()
            changed[place] ^= 1
            other = Twin(TensorSource("d", DType.BF16, SHAPES["d"], changed.copy))
            again = {look.info.name: look for look in look_through(file, {**twins, "d": other})}
            assert not again["d"].same
            assert again["a"].same
            assert again["d"].statistics == looks["d"].statistics


def test_rows_of_a_twin_may_lie_in_another_order(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, sources(DType.BF16))
    order = np.random.default_rng(1).permutation(SHAPES["d"][0])
    (stored,) = (source.data() for source in sources(DType.BF16) if source.name == "d")
    moved = np.empty_like(stored).reshape(len(order), -1)
    moved[order] = stored.reshape(len(order), -1)
    twin = TensorSource("d", DType.BF16, SHAPES["d"], moved.reshape(-1).copy)
    with open_tensors(path) as file:
        for given, same in ((order, True), (order[::-1].copy(), False), (None, False)):
            looks = {look.info.name: look for look in look_through(file, {"d": Twin(twin, given)})}
            assert looks["d"].same is same
