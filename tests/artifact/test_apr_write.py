from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_aprqa.artifact.apr_file import AprFile
from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.dtypes import from_float32, padded_nbytes, to_float32
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

METADATA_TEXT = (
    '{"model_type":"","name":"t","license":null,"data_source":null,"data_license":null,'
    '"total_size":24,"param_count":6,"architecture":"qwen2"}'
)
W = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
B = np.array([-63.5, 0, 63.5], np.float32)

# The published test vector: (offset, bytes); everything between is zero.
VECTOR_SIZE = 516
VECTOR = {
    0x000: "41505200020000040200000040000000",
    0x010: "00000000890000000001000000000000",
    0x020: "80010000000000009ecd192d00000000",
    0x040: METADATA_TEXT.encode().hex(),
    0x100: "01006281010300000000000000000000",
    0x110: "00000000000700000000000000010077",
    0x120: "00020200000000000000030000000000",
    0x130: "00004000000000000000180000000000",
    0x180: "0000003f81007f",
    0x1C0: "0000803f000000400000404000008040",
    0x1D0: "0000a0400000c040",
    0x200: "34246bf9",
}


def vector() -> bytes:
    data = bytearray(VECTOR_SIZE)
    for offset, text in VECTOR.items():
        part = bytes.fromhex(text)
        data[offset : offset + len(part)] = part
    return bytes(data)


def sources() -> list[TensorSource]:
    return [TensorSource.of("w", W, DType.F32), TensorSource.of("b", B, DType.APR_Q8)]


def test_the_published_vector_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_apr(tmp_path / "v.apr", sources(), json.loads(METADATA_TEXT))
    assert (tmp_path / "v.apr").read_bytes() == vector()


def test_the_published_vector_is_read(tmp_path: Path) -> None:
    path = tmp_path / "v.apr"
    path.write_bytes(vector())
    with AprFile(path) as file:
        assert list(file.tensors) == ["b", "w"]
        assert file.tensors["w"].shape == (2, 3)
        assert file.tensors["b"].dtype is DType.APR_Q8
        np.testing.assert_array_equal(file.read("w"), W)
        np.testing.assert_array_equal(file.read("b"), B)
        assert dict(file.metadata) == json.loads(METADATA_TEXT)


APR_TYPES = [
    DType.F32,
    DType.F16,
    DType.BF16,
    DType.APR_Q4,
    DType.APR_Q8,
    DType.Q4_K,
    DType.Q6_K,
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=33)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda s: len(s.encode()) <= 256)


@settings(max_examples=30, deadline=None)
@given(
    entries=st.dictionaries(NAMES, st.tuples(st.sampled_from(APR_TYPES), SHAPES), max_size=5),
    seed=st.integers(0, 9),
)
def test_any_tensors_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    entries: dict[str, tuple[DType, tuple[int, ...]]],
    seed: int,
) -> None:
    path = tmp_path_factory.mktemp("apr") / "x.apr"
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.standard_normal(shape).astype(np.float32) for name, (_, shape) in entries.items()
    }
    write_apr(path, [TensorSource.of(name, arrays[name], entries[name][0]) for name in entries], {})
    with AprFile(path) as file:
        assert list(file.tensors) == sorted(entries, key=str.encode)
        for name, (dtype, shape) in entries.items():
            info = file.tensors[name]
            assert (info.dtype, info.shape) == (dtype, shape)
            assert info.nbytes == padded_nbytes(dtype, shape)
            assert info.offset % 64 == 0
            encoded = from_float32(arrays[name], dtype)
            np.testing.assert_array_equal(file.raw(name), encoded)
            np.testing.assert_array_equal(file.read(name), to_float32(encoded, dtype, shape))


def test_a_row_of_a_million_elements_comes_back(tmp_path: Path) -> None:
    row = np.linspace(-1, 1, 1_000_003, dtype=np.float32).reshape(1, -1)
    write_apr(tmp_path / "x.apr", [TensorSource.of("row", row, DType.F32)], {})
    np.testing.assert_array_equal(AprFile(tmp_path / "x.apr").read("row"), row)


def test_a_name_of_256_bytes_fits_and_one_of_257_is_refused(tmp_path: Path) -> None:
    name = "é" * 128
    write_apr(tmp_path / "x.apr", [TensorSource.of(name, W, DType.F32)], {})
    assert list(AprFile(tmp_path / "x.apr").tensors) == [name]
    with pytest.raises(ArtifactError) as caught:
        write_apr(tmp_path / "y.apr", [TensorSource.of(name + "x", W, DType.F32)], {})
    assert caught.value.rule == "G0-TENSOR-NAME"
    assert not (tmp_path / "y.apr").exists()


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    twice = [TensorSource.of("w", W, DType.F32)] * 2
    with pytest.raises(ArtifactError, match="occurs twice"):
        write_apr(tmp_path / "x.apr", twice, {})


def test_two_spellings_of_one_field_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="hidden_size and n_embd"):
        write_apr(tmp_path / "x.apr", [], {"hidden_size": 8, "n_embd": 8})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_metadata_that_is_no_json_is_not_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(ArtifactError) as caught:
        write_apr(tmp_path / "x.apr", [], {"custom": value})
    assert caught.value.rule == "G0-METADATA"


def test_a_type_that_apr_does_not_have_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        write_apr(
            tmp_path / "x.apr", [TensorSource.of("w", np.ones((1, 32), "f4"), DType.Q4_0)], {}
        )
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def test_data_of_the_wrong_size_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.apr"
    write_apr(path, sources(), {})
    before = path.read_bytes()
    short = TensorSource("w", DType.F32, (2, 3), lambda: np.zeros(20, np.uint8))
    with pytest.raises(ArtifactError, match="20 bytes were made"):
        write_apr(path, [short], {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
