from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import save_file

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.safetensors_file import SafeTensorsFile
from pytest_aprqa.artifact.safetensors_write import write_sharded_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

W = np.arange(1, 7, dtype=np.float32).reshape(2, 3)


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def container(header: object, data: bytes, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def refusal(tmp_path: Path, content: bytes) -> ArtifactError:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        SafeTensorsFile(path)
    assert "bad.safetensors" in caught.value.message
    return caught.value


def test_what_the_reference_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    arrays = {
        "f32": W,
        "f16": W.astype(np.float16),
        "f64": W.astype(np.float64),
        "i64": np.array([[1, -2]], np.int64),
        "u8": np.arange(5, dtype=np.uint8),
        "bool": np.array([True, False]),
        "scalar": np.array(3, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "ünïcode": W,
    }
    save_file(arrays, path, {"format": "np"})
    with SafeTensorsFile(path) as file:
        assert file.paths == (path,)
        assert dict(file.metadata) == {"format": "np"}
        assert set(file.tensors) == set(arrays)
        for name, array in arrays.items():
            assert file.tensors[name].shape == array.shape
            assert bytes(file.raw(name)) == array.tobytes()
            np.testing.assert_array_equal(file.read(name), array.astype(np.float32))
            assert file.read(name).dtype == np.float32


def test_data_that_is_not_aligned_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    content = container({"w": entry("F32", [2, 3], 0, 24)}, SIX)
    if content.index(SIX) % 4 == 0:
        content = container({"ww": entry("F32", [2, 3], 0, 24)}, SIX).replace(b'"ww"', b'"w" ')
    path.write_bytes(content)
    with SafeTensorsFile(path) as file:
        assert file.tensors["w"].offset % 4
        np.testing.assert_array_equal(file.read("w"), W)


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": None, "w": entry("F32", [2, 3], 0, 24)},
        {"w": entry("F32", [2, 3], 0, 24) | {"more": 1}},
    ],
)
def test_what_the_reference_library_overlooks_is_overlooked(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    content = container(header, bytes(W))
    assert [name for name, _ in deserialize(content)] == ["w"]
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with SafeTensorsFile(path) as file:
        assert file.metadata == {}
        np.testing.assert_array_equal(file.read("w"), W)


def test_a_tensor_is_a_view_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"w": W}, path)
    file = SafeTensorsFile(path)
    view = file.read("w")
    file.close()
    assert not view.flags.writeable
    np.testing.assert_array_equal(view, W)


SIX = bytes(W)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "G0-FILE"),
        (b"\x02\0\0", "G0-HEADER"),
        (container({}, b"", length=100), "G0-TRUNCATED"),
        (container({}, b"", length=1 << 63), "G0-HEADER"),
        (container(b"", b""), "G0-HEADER"),
        (container(b"[1]", b""), "G0-HEADER"),
        (container(b" {}", b""), "G0-HEADER"),
        (container(b'{"a":', b""), "G0-HEADER"),
        (container(b'{"a\xff":1}', b""), "G0-HEADER"),
        (container(b'{"a":' * 50_000, b""), "G0-HEADER"),
        (container(b'{"a":' + b"9" * 5000 + b"}", b""), "G0-HEADER"),
        (
            container(
                b'{"w":%s,"w":%s}' % ((json.dumps(entry("U8", [1], 0, 1)).encode(),) * 2), b"x"
            ),
            "G0-HEADER",
        ),
        (container({"__metadata__": {"a": 1}}, b""), "G0-HEADER"),
        (container({"__metadata__": []}, b""), "G0-HEADER"),
        (container({"w": 1}, b""), "G0-HEADER"),
        (container({"w": {"dtype": "F32", "shape": [1]}}, SIX), "G0-HEADER"),
        (container({"w": entry("F32", [-2, -3], 0, 24)}, SIX), "G0-HEADER"),
        (container({"w": entry("U8", [True], 0, 1)}, b"x"), "G0-HEADER"),
        (container({"w": entry("F32", [2, 3], 24, 0)}, SIX), "G0-TENSOR-SIZE"),
        (container({"w": entry("F32", [2, 4], 0, 24)}, SIX), "G0-TENSOR-SIZE"),
        (container({"w": entry("F16", [2, 3], 0, 24)}, SIX), "G0-TENSOR-SIZE"),
        (container({"w": entry("U8", [1 << 62, 1 << 62], 0, 1)}, b"x"), "G0-TENSOR-SIZE"),
        (container({"w": entry("U8", [0, 1 << 62, 1 << 62], 0, 0)}, b""), "G0-TENSOR-SIZE"),
        (container({"w": entry("U8", [1] * 100, 0, 1)}, b"x"), "G0-TENSOR-SIZE"),
        (container({"w": entry("F77", [2, 3], 0, 24)}, SIX), "G0-DTYPE"),
        (container({"w": {**entry("", [1], 0, 1), "dtype": []}}, b"x"), "G0-DTYPE"),
        (container({"w": entry("F32", [2, 3], 0, 24)}, SIX + b"x"), "G0-OFFSETS"),
        (container({"w": entry("F32", [2, 3], 1, 25)}, SIX + b"x"), "G0-OFFSETS"),
        (container({"w": entry("F32", [2, 3], 0, 24)}, SIX[:-1]), "G0-TRUNCATED"),
        (container({"w": entry("F32", [1 << 50], 0, 1 << 52)}, SIX), "G0-TRUNCATED"),
        (
            container({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, b"123456"),
            "G0-OFFSETS",
        ),
        (
            container({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 4, 6)}, b"123456"),
            "G0-OFFSETS",
        ),
    ],
)
def test_a_file_that_breaks_the_format_is_refused(
    tmp_path: Path, content: bytes, rule: str
) -> None:
    error = refusal(tmp_path, content)
    assert (error.fault, error.rule) == (ArtifactFault.MALFORMED, rule)


def test_a_type_of_the_format_that_we_do_not_know_is_unsupported(tmp_path: Path) -> None:
    error = refusal(tmp_path, container({"w": entry("F8_E8M0", [1], 0, 1)}, b"x"))
    assert error.fault is ArtifactFault.UNSUPPORTED


def test_every_flipped_header_bit_is_refused_or_read_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"w": W, "v": W.astype(np.float16)}, path, {"format": "pt"})
    data = path.read_bytes()
    header_bits = (8 + int.from_bytes(data[:8], "little")) * 8
    faults = Counter[ArtifactFault]()
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        for bit in range(header_bits):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit % 8]), place)
            try:
                with SafeTensorsFile(path) as opened:
                    for name in opened.tensors:
                        opened.read(name)
            except ArtifactError as error:
                faults[error.fault] += 1
            os.pwrite(file.fileno(), data[place : place + 1], place)
    assert set(faults) <= {ArtifactFault.MALFORMED, ArtifactFault.UNSUPPORTED}
    assert faults.total() > header_bits // 2


def test_every_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"w": np.zeros(100, np.float32)}, path)
    data = path.read_bytes()
    for size in [*range(0, len(data), 64), len(data) - 1]:
        assert refusal(tmp_path, data[:size]).fault is ArtifactFault.MALFORMED


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    tensors = [TensorSource.of(name, W, DType.F32) for name in "abc"]
    write_sharded_safetensors(tmp_path, tensors, 24)
    return tmp_path


def edit_index(directory: Path, **weight_map: str) -> None:
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] |= weight_map
    path.write_text(json.dumps(index))


def test_shards_are_read_through_their_index(shards: Path) -> None:
    with SafeTensorsFile(shards) as file:
        assert list(file.tensors) == ["a", "b", "c"]
        assert len(file.paths) == 3
        assert file.tensors["b"].path.name == "model-00002-of-00003.safetensors"
        np.testing.assert_array_equal(file.read("c"), W)
    assert len(SafeTensorsFile(shards / "model.safetensors.index.json").tensors) == 3


def test_a_single_file_goes_before_an_index_as_in_transformers(shards: Path) -> None:
    save_file({"single": W}, shards / "model.safetensors")
    assert list(SafeTensorsFile(shards).tensors) == ["single"]


@pytest.mark.parametrize(
    "shard",
    ["../m.safetensors", "/etc/passwd", "..", "", "sub/m.safetensors", "a\\b", "gone.safetensors"],
)
def test_an_index_names_files_of_its_own_directory_only(shards: Path, shard: str) -> None:
    edit_index(shards, a=shard)
    with pytest.raises(ArtifactError) as caught:
        SafeTensorsFile(shards)
    assert caught.value.rule == "G0-INDEX"


def test_a_shard_that_links_out_of_the_model_is_refused(shards: Path, tmp_path: Path) -> None:
    first = shards / "model-00001-of-00003.safetensors"
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_bytes(first.read_bytes())
    first.unlink()
    first.symlink_to(outside)
    with pytest.raises(ArtifactError, match="leads out of the model"):
        SafeTensorsFile(shards)


def test_a_shard_in_the_hub_cache_links_to_its_blob(shards: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "repo" / "snapshots" / "0123"
    blobs = tmp_path / "repo" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sorted(shards.glob("model*"))):
        (blobs / str(number)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(os.path.relpath(blobs / str(number), snapshot))
    assert list(SafeTensorsFile(snapshot).tensors) == ["a", "b", "c"]


def test_an_index_that_swaps_two_shards_is_refused(shards: Path) -> None:
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2)]
    edit_index(shards, a=names[1], b=names[0])
    with pytest.raises(ArtifactError, match=f"named in {names[1]} but lies in {names[0]}"):
        SafeTensorsFile(shards)


def test_an_index_that_names_a_tensor_no_shard_has_is_refused(shards: Path) -> None:
    edit_index(shards, d="model-00002-of-00003.safetensors")
    with pytest.raises(ArtifactError, match="but lies in no shard"):
        SafeTensorsFile(shards)


def test_a_tensor_missing_from_the_index_is_refused(shards: Path) -> None:
    path = shards / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    save_file({"c": W, "d": W}, shards / index["weight_map"]["c"])
    with pytest.raises(ArtifactError, match="not in the index"):
        SafeTensorsFile(shards)


def test_a_tensor_in_two_shards_is_refused(shards: Path) -> None:
    save_file({"c": W, "a": W}, shards / "model-00003-of-00003.safetensors")
    with pytest.raises(ArtifactError) as caught:
        SafeTensorsFile(shards)
    assert caught.value.rule == "G0-TENSOR-DUPLICATE"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map":{}}', '{"weight_map":{"a":1}}'])
def test_a_broken_index_is_refused(shards: Path, text: str) -> None:
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ArtifactError) as caught:
        SafeTensorsFile(shards)
    assert caught.value.rule == "G0-INDEX"


def test_a_directory_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.safetensors") as caught:
        SafeTensorsFile(tmp_path)
    assert caught.value.fault is ArtifactFault.NOT_FOUND
