"""Files of another implementation of APR version 2 are read, and the other way round.

The reader and the writer here share nothing with the package: they are made from the description
of the format alone, slow and small, and use no more than `struct`, `json` and `zlib`.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.judge.invariants import judge_tensors
from pytest_aprqa.run.invariants import compare_artifacts, compare_dtypes, compare_names
from pytest_aprqa.words import Format, Outcome

HEADER = struct.Struct("<4sBBHIQIQQI20s")
F32, F16, BF16, Q4, Q8 = 0, 1, 30, 128, 129
OLD_Q4, OLD_Q8 = 8, 9


@dataclass(frozen=True)
class Stored:
    """A tensor as the other implementation has it: a code, a shape and bytes."""

    name: str
    code: int
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Liberties:
    """What the format leaves to its writers."""

    order: int = 0  # seed of the order of the data; the index is sorted all the same
    gap: int = 0  # blocks of 64 zeros between tensors
    flags: int = 0x0400
    minor: int = 0
    indent: int | None = None


def write(path: Path, tensors: Sequence[Stored], metadata: Any, how: Liberties) -> None:
    text = json.dumps(metadata, indent=how.indent).encode()
    laid = sorted(tensors, key=lambda tensor: tensor.name)
    Random(how.order).shuffle(laid)
    offsets, data = {}, b""
    for tensor in laid:
        offsets[tensor.name] = len(data)
        data = filled(data + tensor.data) + bytes(64 * how.gap)
    index = b""
    for tensor in sorted(tensors, key=lambda tensor: tensor.name.encode()):
        name = tensor.name.encode()
        index += struct.pack("<H", len(name)) + name
        index += struct.pack("<BB", tensor.code, len(tensor.shape))
        index += b"".join(struct.pack("<Q", size) for size in tensor.shape)
        index += struct.pack("<QQ", offsets[tensor.name], len(tensor.data))
    begin = 64 + len(filled(text))
    fields = [b"APR\0", 2, how.minor, how.flags, len(tensors), 64, len(text), begin]
    header = HEADER.pack(*fields, begin + len(filled(index)), 0, bytes(20))
    crc = zlib.crc32(header[:40] + header[44:])
    whole = header[:40] + struct.pack("<I", crc) + header[44:] + filled(text) + filled(index) + data
    path.write_bytes(whole + struct.pack("<I", zlib.crc32(whole)))


def filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 64)


def read(path: Path) -> tuple[list[Stored], Any]:
    whole = path.read_bytes()
    magic, major, _, _, count, at, size, index, data, crc, _ = HEADER.unpack(whole[:64])
    assert (magic, major, at) == (b"APR\0", 2, 64)
    assert crc == zlib.crc32(whole[:40] + whole[44:64])
    assert struct.unpack("<I", whole[-4:]) == (zlib.crc32(whole[:-4]),)
    tensors = []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", whole, index)
        name = whole[index + 2 : index + 2 + length].decode()
        code, rank = whole[index + 2 + length], whole[index + 3 + length]
        index += 4 + length
        *shape, offset, extent = struct.unpack_from(f"<{rank}QQQ", whole, index)
        index += 8 * rank + 16
        assert offset % 64 == 0
        tensors.append(
            Stored(name, code, tuple(shape), whole[data + offset : data + offset + extent])
        )
    assert [tensor.name.encode() for tensor in tensors] == sorted(t.name.encode() for t in tensors)
    return tensors, json.loads(whole[at : at + size])


def values(tensor: Stored) -> list[float]:
    """Decode by the formulas of the description, element by element."""
    count, data = math.prod(tensor.shape), tensor.data
    if tensor.code == F32:
        return list(struct.unpack(f"<{count}f", data))
    if tensor.code == F16:
        return list(struct.unpack(f"<{count}e", data))
    if tensor.code == BF16:
        pairs = (b"\0\0" + data[2 * n : 2 * n + 2] for n in range(count))
        return [struct.unpack("<f", pair)[0] for pair in pairs]
    if tensor.code == Q8:
        if not count:
            return []
        (scale,) = struct.unpack_from("<f", data)
        return [scale * quant for quant in struct.unpack_from(f"<{count}b", data, 4)]
    found = []
    for n in range(count):
        block = data[n // 32 * 18 : n // 32 * 18 + 18]
        (scale,) = struct.unpack_from("<e", block)
        byte = block[2 + n % 32 // 2]
        usable = math.isfinite(scale) and abs(scale) >= 2**-14
        found.append(((byte >> 4 if n % 2 else byte & 15) - 8) * scale if usable else 0.0)
    return found


CODES = {DType.F32: F32, DType.F16: F16, DType.BF16: BF16, DType.APR_Q4: Q4, DType.APR_Q8: Q8}
LIBERTIES = st.builds(
    Liberties,
    order=st.integers(0, 99),
    gap=st.integers(0, 2),
    flags=st.sampled_from([0x0400, 0, 0x0420, 0x0600]),
    minor=st.integers(0, 3),
    indent=st.sampled_from([None, 1]),
)
METADATA = st.fixed_dictionaries(
    {"architecture": st.sampled_from(["llama", None])},
    optional={
        "hidden_size": st.sampled_from([64, None]),
        "name": st.none(),
        "quantization": st.none(),
        "sharding": st.none(),
        "rope_theta": st.sampled_from([None, 10000, 10000.0]),
        "somebody.elses.key": st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    },
)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 5, 32, 33]), max_size=4).map(tuple)
NAMES = st.text(min_size=1, max_size=40).filter(lambda name: 0 < len(encoded(name)) <= 256)


def encoded(name: str) -> bytes:
    return name.encode("utf-8", "ignore") if name.isprintable() else b""


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.dictionaries(NAMES, st.tuples(SHAPES, st.sampled_from(sorted(CODES))), max_size=6),
    metadata=METADATA,
    how=LIBERTIES,
)
def test_what_another_writer_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: dict[str, tuple[tuple[int, ...], DType]],
    metadata: dict[str, Any],
    how: Liberties,
) -> None:
    path = tmp_path_factory.mktemp("other") / "model.apr"
    tensors = [stored(name, dtype, shape) for name, (shape, dtype) in shapes.items()]
    write(path, tensors, metadata, how)
    with open_tensors(path) as file:
        assert file.metadata == metadata
        assert set(file.tensors) == set(shapes)
        for tensor in tensors:
            found = file.read(tensor.name)
            assert found.shape == tensor.shape
            assert found.reshape(-1).tolist() == np.float32(values(tensor)).tolist()


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.dictionaries(NAMES, st.tuples(SHAPES, st.sampled_from(sorted(CODES))), max_size=6),
    metadata=METADATA,
)
def test_what_we_write_another_reader_reads(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: dict[str, tuple[tuple[int, ...], DType]],
    metadata: dict[str, Any],
) -> None:
    path = tmp_path_factory.mktemp("ours") / "model.apr"
    arrays = {name: numbers(shape) for name, (shape, _) in shapes.items()}
    sources = [TensorSource.of(n, arrays[n], dtype) for n, (_, dtype) in shapes.items()]
    write_apr(path, sources, metadata)
    tensors, told = read(path)
    assert told == metadata
    assert {t.name: (t.shape, t.code) for t in tensors} == {
        name: (shape, CODES[dtype]) for name, (shape, dtype) in shapes.items()
    }
    with open_tensors(path) as file:
        for tensor in tensors:
            ours = file.read(tensor.name).reshape(-1)
            assert ours.tolist() == np.float32(values(tensor)).tolist()


def numbers(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def stored(name: str, dtype: DType, shape: tuple[int, ...]) -> Stored:
    return Stored(name, CODES[dtype], shape, from_float32(numbers(shape), dtype).tobytes())


@pytest.mark.parametrize(("old", "new"), [(OLD_Q4, DType.APR_Q4), (OLD_Q8, DType.APR_Q8)])
def test_the_old_codes_of_its_own_types_are_read(tmp_path: Path, old: int, new: DType) -> None:
    tensor = stored("w", new, (3, 33))
    write(tmp_path / "model.apr", [replace(tensor, code=old)], {}, Liberties())
    with open_tensors(tmp_path / "model.apr") as file:
        assert file.tensors["w"].dtype is new
        assert file.read("w").reshape(-1).tolist() == np.float32(values(tensor)).tolist()


@pytest.mark.parametrize("name", ["llama-tied", "qwen2", "gemma2", "gpt-neox"])
def test_a_model_that_another_implementation_wrote_anew_is_the_same_model(
    tiny_models: Any, tmp_path: Path, name: str
) -> None:
    source = tiny_models.artifact(name)
    ours = convert(source, Format.APR, tmp_path / "ours")
    tensors, metadata = read(ours.path)
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / "model.apr"
    liberties = Liberties(order=7, gap=1, flags=0, minor=1, indent=2)
    write(path, tensors, {**metadata, "author": None, "x.unknown": {"a": [1]}}, liberties)
    theirs = make_artifact(Format.APR, path, "tests", DigestCache())
    assert [f for f in check_artifact(theirs, reference=source).findings if f.rule] == []
    for judgement in (
        compare_names(source, theirs),
        compare_dtypes(source, theirs),
        judge_tensors(compare_artifacts(source, theirs)),
    ):
        assert judgement.outcome is Outcome.CORROBORATED, judgement.reason
