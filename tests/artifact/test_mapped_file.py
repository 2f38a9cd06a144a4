"""Mapped files do not stay in the memory of those who looked at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil

from pytest_aprqa.artifact.mapped_file import give_back, given_back, is_cached, map_file
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

MIB = 1 << 20


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_given_back_pages_leave_memory_and_come_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (64 * MIB // 256))
    data = map_file(path)
    total = int(data.sum(dtype=np.int64))
    full = resident()
    give_back(data[3 * MIB + 5 : 60 * MIB])
    assert full - resident() > 50 * MIB
    assert int(data.sum(dtype=np.int64)) == total


def test_an_array_of_its_own_is_left_alone() -> None:
    data = np.arange(100, dtype=np.uint8)
    give_back(data)
    assert data.tolist() == list(range(100))


def test_reading_all_of_a_large_file_holds_little_of_it(tmp_path: Path) -> None:
    values = np.ones((2 * MIB,), np.float32)
    tensors = [TensorSource.of(f"t{n:03}", values, DType.F32) for n in range(40)]
    write_safetensors(tmp_path / "model.safetensors", tensors)
    before = resident()
    with open_tensors(tmp_path) as file:
        for name in file.tensors:
            assert file.raw(name).any()
            assert resident() - before < 120 * MIB


def test_views_that_were_lent_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * MIB))
    data = map_file(path)
    own = np.ones(10, np.uint8)
    before = resident()
    with given_back(data, own) as (view, other):
        assert not view.any()
        assert resident() - before > 50 * MIB
    assert resident() - before < 10 * MIB
    assert other.all()


def test_a_file_is_cached_when_it_has_been_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    data = map_file(path)
    assert not is_cached(data)
    assert not data[: 16 * MIB].any()
    assert is_cached(data[: 16 * MIB])
    assert not is_cached(data)
    assert not data.any()
    assert is_cached(data)
    assert is_cached(data[:0])
