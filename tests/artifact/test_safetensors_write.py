from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_file import SafeTensorsFile
from pytest_aprqa.artifact.safetensors_write import write_safetensors, write_sharded_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

NAMES = st.text(st.characters(codec="utf-8"), max_size=60).filter(lambda s: s != "__metadata__")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.dictionaries(NAMES, SHAPES, max_size=5),
    dtype=st.sampled_from([DType.F32, DType.F16]),
)
def test_any_tensors_are_read_by_us_and_by_the_reference_library(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, tuple[int, ...]], dtype: DType
) -> None:
    path = tmp_path_factory.mktemp("st") / "x.safetensors"
    rng = np.random.default_rng(len(shapes))
    # Values that both types hold exactly.
    arrays = {
        name: rng.integers(-99, 99, shape).astype(np.float32) for name, shape in shapes.items()
    }
    sources = [TensorSource.of(name, array, dtype) for name, array in arrays.items()]
    write_safetensors(path, sources, {"format": "pt"})
    with SafeTensorsFile(path) as ours, safe_open(path, "np") as theirs:
        assert set(ours.tensors) == set(theirs.keys()) == set(arrays)
        assert theirs.metadata() == {"format": "pt"}
        for name, array in arrays.items():
            np.testing.assert_array_equal(ours.read(name), array)
            np.testing.assert_array_equal(theirs.get_tensor(name).astype(np.float32), array)


def test_data_begins_at_a_multiple_of_eight(tmp_path: Path) -> None:
    for length in range(1, 9):
        path = tmp_path / "x.safetensors"
        write_safetensors(path, [TensorSource.of("n" * length, np.ones(1, "f4"), DType.F32)])
        with SafeTensorsFile(path) as file:
            assert file.tensors["n" * length].offset % 8 == 0


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x0580])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, [ones("w", 1)], {"filler": ""})
    filler = length - int.from_bytes(path.read_bytes()[:8], "little")
    write_safetensors(path, [ones("w", 1)], {"filler": "x" * filler})
    assert path.read_bytes()[:2] == bytes([0x80, length >> 8])
    assert open_tensors(path).read("w").tolist() == [1]


def ones(name: str, count: int) -> TensorSource:
    return TensorSource.of(name, np.ones(count, np.float32), DType.F32)


def test_shards_hold_no_more_than_they_may_unless_one_tensor_does(tmp_path: Path) -> None:
    tensors = [ones("a", 10), ones("b", 10), ones("huge", 100), ones("c", 5)]
    files = write_sharded_safetensors(tmp_path, tensors, 80)
    assert [file.name for file in files] == [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
    ]
    index = json.loads(files[-1].read_text())
    assert index["metadata"]["total_size"] == 4 * 125
    with SafeTensorsFile(tmp_path) as file:
        assert {name: info.path.name[6:11] for name, info in file.tensors.items()} == {
            "a": "00001",
            "b": "00001",
            "huge": "00002",
            "c": "00003",
        }


def test_tensors_that_fit_make_one_file_without_index(tmp_path: Path) -> None:
    files = write_sharded_safetensors(tmp_path, [ones("a", 10)], 1 << 30)
    assert [file.name for file in files] == ["model.safetensors"]


def test_a_name_given_twice_is_refused_in_one_file_and_over_shards(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="occurs twice"):
        write_safetensors(tmp_path / "x.safetensors", [ones("a", 1), ones("a", 1)])
    with pytest.raises(ArtifactError, match="occurs twice"):
        write_sharded_safetensors(tmp_path, [ones("a", 10), ones("a", 10)], 40)


def test_quantised_types_are_unsupported(tmp_path: Path) -> None:
    quantised = TensorSource.of("w", np.ones((1, 32), "f4"), DType.Q8_0)
    with pytest.raises(ArtifactError) as caught:
        write_safetensors(tmp_path / "x.safetensors", [quantised])
    assert caught.value.fault is ArtifactFault.UNSUPPORTED
