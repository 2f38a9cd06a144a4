from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

ARCHITECTURE = GgufValue("general.architecture", GgufType.STRING, "llama")
NAMES = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda s: len(s.encode()) < 64)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9)
TYPES = [DType.F32, DType.F16, DType.BF16, DType.Q4_0, DType.Q5_1, DType.Q8_0]


@settings(max_examples=30, deadline=None)
@given(entries=st.dictionaries(NAMES, st.tuples(st.sampled_from(TYPES), SHAPES), max_size=5))
def test_any_tensors_come_back(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, tuple[DType, tuple[int, ...]]]
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    rng = np.random.default_rng(len(entries))
    sources = []
    for name, (dtype, shape) in entries.items():
        rows = rng.standard_normal((*shape[:-1], shape[-1] * 32)).astype(np.float32)
        sources.append(TensorSource.of(name, rows, dtype))
    write_gguf(path, sources, [ARCHITECTURE])
    with GgufFile(path) as file:
        assert list(file.tensors) == list(entries)
        for source in sources:
            info = file.tensors[source.name]
            assert (info.dtype, info.shape) == (source.dtype, source.shape)
            np.testing.assert_array_equal(file.raw(source.name), source.data())


def test_the_reference_library_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    rng = np.random.default_rng(0)
    arrays = {
        "one": rng.standard_normal(7).astype(np.float32),
        "two": rng.standard_normal((3, 64)).astype(np.float32),
        "three": rng.standard_normal((2, 3, 256)).astype(np.float32),
    }
    types = {"one": DType.F32, "two": DType.Q8_0, "three": DType.Q6_K}
    write_gguf(
        path,
        [TensorSource.of(name, array, types[name]) for name, array in arrays.items()],
        [ARCHITECTURE, GgufValue("n", GgufType.ARRAY, ["a", "ß"], GgufType.STRING)],
    )
    reader = gguf.GGUFReader(path)
    assert reader.fields["n"].contents() == ["a", "ß"]
    with GgufFile(path) as ours:
        for found in reader.tensors:
            assert [int(size) for size in reversed(found.shape)] == list(arrays[found.name].shape)
            np.testing.assert_array_equal(
                gguf.quants.dequantize(found.data, found.tensor_type).reshape(
                    arrays[found.name].shape
                ),
                ours.read(found.name),
            )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (GgufType.UINT8, 255),
        (GgufType.INT8, -128),
        (GgufType.UINT16, 65535),
        (GgufType.INT16, -32768),
        (GgufType.UINT32, 1 << 31),
        (GgufType.INT32, -(1 << 31)),
        (GgufType.FLOAT32, 0.25),
        (GgufType.BOOL, True),
        (GgufType.STRING, "ümlaut\0"),
        (GgufType.UINT64, (1 << 64) - 1),
        (GgufType.INT64, -(1 << 63)),
        (GgufType.FLOAT64, 1e-300),
    ],
)
def test_values_of_every_type_come_back_alone_and_in_arrays(
    tmp_path: Path, kind: GgufType, value: Any
) -> None:
    values = (
        GgufValue("one", kind, value),
        GgufValue("many", GgufType.ARRAY, [value, value], kind),
        GgufValue("none", GgufType.ARRAY, [], kind),
    )
    write_gguf(tmp_path / "x.gguf", [], values)
    assert GgufFile(tmp_path / "x.gguf").values == values


def test_reading_and_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    rows = np.random.default_rng(0).standard_normal((5, 32)).astype(np.float32)
    sources = [TensorSource.of("a", rows, DType.Q4_1), TensorSource.of("b", rows, DType.F16)]
    write_gguf(first, sources, [ARCHITECTURE])
    with GgufFile(first) as file:
        again = [
            TensorSource(i.name, i.dtype, i.shape, lambda name=i.name: file.raw(name))
            for i in file.tensors.values()
        ]
        write_gguf(second, again, file.values)
    assert first.read_bytes() == second.read_bytes()


def test_an_alignment_among_the_metadata_is_kept_to(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    sources = [TensorSource.of(name, np.ones(3, np.float32), DType.F32) for name in "ab"]
    write_gguf(path, sources, [GgufValue("general.alignment", GgufType.UINT32, 128)])
    with GgufFile(path) as file:
        assert {info.offset % 128 for info in file.tensors.values()} == {0}
        assert file.read("b").tolist() == [1, 1, 1]


ROW = np.ones((1, 32), np.float32)


@pytest.mark.parametrize(
    ("tensors", "metadata", "rule"),
    [
        ([TensorSource.of("a", ROW, DType.F32)] * 2, [], "G0-TENSOR-DUPLICATE"),
        ([TensorSource.of("n" * 64, ROW, DType.F32)], [], "G0-TENSOR-NAME"),
        ([TensorSource.of("", ROW, DType.F32)], [], "G0-TENSOR-NAME"),
        ([TensorSource.of("a", ROW.reshape(1, 1, 1, 1, 32), DType.F32)], [], "G0-TENSOR-SIZE"),
        ([TensorSource.of("a", np.ones((0, 3), "f4"), DType.F32)], [], "G0-TENSOR-SIZE"),
        ([TensorSource.of("a", np.ones((2, 33), "f4"), DType.Q8_0)], [], "G0-TENSOR-SIZE"),
        ([TensorSource.of("a", np.ones((2, 300), "f4"), DType.Q6_K)], [], "G0-TENSOR-SIZE"),
        ([], [ARCHITECTURE, ARCHITECTURE], "G0-METADATA"),
        ([], [GgufValue("general.alignment", GgufType.UINT32, 24)], "G0-METADATA"),
        ([], [GgufValue("a", GgufType.UINT8, 256)], "G0-METADATA"),
        ([], [GgufValue("a", GgufType.UINT8, "1")], "G0-METADATA"),
        ([], [GgufValue("a", GgufType.STRING, 1)], "G0-METADATA"),
        ([], [GgufValue("a", GgufType.ARRAY, [1])], "G0-METADATA"),
        ([], [GgufValue("a", GgufType.ARRAY, 1, GgufType.UINT8)], "G0-METADATA"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(
    tmp_path: Path, tensors: list[TensorSource], metadata: list[GgufValue], rule: str
) -> None:
    with pytest.raises(ArtifactError) as caught:
        write_gguf(tmp_path / "x.gguf", tensors, metadata)
    assert caught.value.rule == rule
    assert not list(tmp_path.iterdir())


def test_types_of_other_formats_are_unsupported(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        write_gguf(tmp_path / "x.gguf", [TensorSource.of("a", ROW, DType.APR_Q8)], [])
    assert caught.value.fault is ArtifactFault.UNSUPPORTED
