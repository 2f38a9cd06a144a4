from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.apr_file import AprFile
from pytest_aprqa.artifact.apr_layout import header_checksum
from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

Edit = Callable[[bytearray], object]

W = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
V = np.arange(40, dtype=np.float32)
INDEX, DATA = 24, 32
"""Where the header keeps the offsets of the index and of the data."""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.apr"
    tensors = [TensorSource.of("a", W, DType.F32), TensorSource.of("b", V, DType.F32)]
    write_apr(path, tensors, {"model_type": "", "hidden_size": 3})
    return path


def u64(data: bytearray, at: int) -> int:
    value: int = struct.unpack_from("<Q", data, at)[0]
    return value


def sealed(data: bytearray) -> bytes:
    """Make both checksums right again, so that only the fault under test remains."""
    data[40:44] = struct.pack("<I", header_checksum(bytes(data[:64])))
    data[-4:] = struct.pack("<I", zlib.crc32(data[:-4]))
    return bytes(data)


def refusal(path: Path, data: bytes) -> ArtifactError:
    bad = path.with_name("bad.apr")
    bad.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        AprFile(bad)
    assert "bad.apr" in caught.value.message
    return caught.value


def edited(path: Path, edit: Edit) -> ArtifactError:
    data = bytearray(path.read_bytes())
    edit(data)
    return refusal(path, sealed(data))


def test_every_flipped_bit_is_found(sound: Path) -> None:
    data = sound.read_bytes()
    found = 0
    with sound.open("r+b", buffering=0) as file:
        for bit in range(len(data) * 8):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit % 8]), place)
            with suppress(ArtifactError):
                AprFile(sound)
                pytest.fail(f"bit {bit} was flipped and the file was opened")
            found += 1
            os.pwrite(file.fileno(), data[place : place + 1], place)
    assert found == len(data) * 8
    assert AprFile(sound).read("a").shape == (2, 3)


def test_every_cut_is_found(sound: Path) -> None:
    data = sound.read_bytes()
    for size in [0, 3, 4, 63, 67, *range(64, len(data), 64), len(data) - 1]:
        assert refusal(sound, data[:size]).fault is ArtifactFault.MALFORMED


def test_a_changed_weight_is_told_apart_from_a_cut_file(sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    data[u64(data, DATA)] ^= 1
    assert "file checksum" in refusal(sound, bytes(data)).message
    assert refusal(sound, sound.read_bytes()[:-100]).rule == "G0-TRUNCATED"


def test_reading_without_the_checksum_does_not_look_at_the_weights(sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    data[u64(data, DATA)] ^= 1
    sound.write_bytes(data)
    assert AprFile(sound, checksum=False).read("a").shape == (2, 3)


@pytest.mark.parametrize("magic", [b"APRN", b"APR1", b"APR2"])
def test_older_formats_are_named(sound: Path, magic: bytes) -> None:
    error = refusal(sound, magic + sound.read_bytes()[4:])
    assert error.fault is ArtifactFault.UNSUPPORTED
    assert "version 1" in error.message or "legacy" in error.message


def test_another_layout_under_the_same_magic_is_told_apart(sound: Path) -> None:
    data = sound.read_bytes()
    error = refusal(sound, data[:4] + struct.pack("<I", 1) + data[8:])
    assert "another layout" in error.message


def set_at(at: int, fields: str, *values: int) -> Edit:
    return lambda data: struct.pack_into("<" + fields, data, at, *values)


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (set_at(0, "4B", 0x47, 0x47, 0x55, 0x46), "G0-HEADER"),
        (set_at(6, "H", 0x0C00), "LAYOUT-002"),
        (set_at(6, "H", 0x1400), "G0-HEADER"),
        (set_at(50, "B", 1), "G0-HEADER"),
        (set_at(12, "Q", 60), "G0-HEADER"),
        (set_at(12, "Q", 1 << 60), "G0-HEADER"),
        (set_at(20, "I", 0xFFFFFFFF), "G0-HEADER"),
        (set_at(20, "I", 5), "G0-METADATA"),
        (set_at(24, "Q", 1 << 63), "G0-HEADER"),
        (set_at(32, "Q", (1 << 64) - 64), "G0-TRUNCATED"),
        (set_at(8, "I", 3), "G0-TENSOR-NAME"),
        (set_at(8, "I", 0xFFFFFFFF), "G0-TRUNCATED"),
        (set_at(8, "I", 1), "G0-PADDING"),
    ],
)
def test_a_header_that_lies_is_refused(sound: Path, edit: Edit, rule: str) -> None:
    assert edited(sound, edit).rule == rule


@pytest.mark.parametrize("flag", [0x1, 0x2, 0x4])
def test_compressed_and_encrypted_files_are_unsupported(sound: Path, flag: int) -> None:
    assert edited(sound, set_at(6, "H", 0x400 | flag)).fault is ArtifactFault.UNSUPPORTED


def test_another_major_version_is_unsupported(sound: Path) -> None:
    assert edited(sound, set_at(4, "B", 3)).fault is ArtifactFault.UNSUPPORTED


def in_index(at: int, fields: str, *values: int) -> Edit:
    return lambda data: struct.pack_into("<" + fields, data, u64(data, INDEX) + at, *values)


# The first entry: u16 1, "a", u8 dtype @3, u8 rank @4, u64 2 @5, u64 3 @13, offset @21, size @29;
# the second begins at 37: u16 1, "b", dtype @40, rank @41, u64 40 @42, offset @50, size @58.
@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        (in_index(0, "H", 0), "G0-TENSOR-NAME"),
        (in_index(0, "H", 257), "G0-TENSOR-NAME"),
        (in_index(2, "B", 0xFF), "G0-TEXT"),
        (in_index(2, "B", ord("c")), "G0-INDEX"),
        (in_index(2, "B", ord("b")), "G0-TENSOR-DUPLICATE"),
        (in_index(3, "B", 200), "G0-DTYPE"),
        (in_index(3, "B", 1), "G0-TENSOR-SIZE"),
        (in_index(4, "B", 255), "G0-TRUNCATED"),
        (in_index(5, "Q", 1 << 63), "G0-TENSOR-SIZE"),
        (in_index(5, "Q", 3), "G0-TENSOR-SIZE"),
        (in_index(21, "Q", 32), "G0-ALIGNMENT"),
        (in_index(21, "Q", 1 << 40), "G0-TRUNCATED"),
        (in_index(50, "Q", 0), "G0-OFFSETS"),
        (in_index(29, "Q", 25), "G0-TENSOR-SIZE"),
    ],
)
def test_an_index_that_lies_is_refused(sound: Path, edit: Edit, rule: str) -> None:
    assert edited(sound, edit).rule == rule


def test_bytes_hidden_in_the_padding_are_found(sound: Path) -> None:
    def hide(data: bytearray) -> None:
        data[u64(data, DATA) + 24] = 1

    error = edited(sound, hide)
    assert error.rule == "G0-PADDING"
    assert str(u64(bytearray(sound.read_bytes()), DATA) + 24) in error.where


def test_files_without_the_row_major_flag_are_tolerated(sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    data[6:8] = b"\0\0"
    sound.write_bytes(sealed(data))
    np.testing.assert_array_equal(AprFile(sound).read("a"), W)


def test_data_may_lie_in_any_order(sound: Path) -> None:
    data = bytearray(sound.read_bytes())
    index, start = u64(data, INDEX), u64(data, DATA)
    data[start : start + 256] = data[start + 64 : start + 64 + 192] + data[start : start + 64]
    struct.pack_into("<Q", data, index + 21, 192)
    struct.pack_into("<Q", data, index + 50, 0)
    sound.write_bytes(sealed(data))
    with AprFile(sound) as file:
        np.testing.assert_array_equal(file.read("a"), W)
        np.testing.assert_array_equal(file.read("b"), V)


@pytest.mark.parametrize(
    ("stored", "code", "read"),
    [
        (DType.APR_Q4, 8, DType.APR_Q4),
        (DType.APR_Q8, 9, DType.APR_Q8),
    ],
)
def test_legacy_type_codes_are_read(tmp_path: Path, stored: DType, code: int, read: DType) -> None:
    path = tmp_path / "x.apr"
    write_apr(path, [TensorSource.of("a", V, stored)], {})
    expected = AprFile(path).read("a")
    data = bytearray(path.read_bytes())
    data[u64(data, INDEX) + 3] = code
    path.write_bytes(sealed(data))
    with AprFile(path) as file:
        assert file.tensors["a"].dtype is read
        np.testing.assert_array_equal(file.read("a"), expected)


@pytest.mark.parametrize("shape", [(3, 32), (33,), (2, 3, 16)])
def test_a_legacy_code_may_mean_blocks_of_ggml(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    flat = np.zeros(-(-values.size // 32) * 32, np.float32)
    flat[: values.size] = values.reshape(-1)
    with AprFile(legacy(tmp_path / "x.apr", shape, from_float32(flat, DType.Q8_0))) as file:
        assert file.tensors["a"].dtype is DType.Q8_0
        assert np.abs(file.read("a") - values).max() < 0.5


@pytest.mark.parametrize("shape", [(2, 48), (6, 16), (3, 5)])
def test_blocks_across_rows_are_unsupported_and_no_fault(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    blocks = np.zeros(-(-int(np.prod(shape)) // 32) * 34, np.uint8)
    with pytest.raises(ArtifactError, match="blocks that cross the ends of rows") as caught:
        AprFile(legacy(tmp_path / "x.apr", shape, blocks))
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def legacy(path: Path, shape: tuple[int, ...], raw: np.ndarray) -> Path:
    """Write an APR file with one tensor of type code 8."""
    write_apr(path, [TensorSource("a", DType.U8, (raw.size,), lambda: raw)], {})
    data = bytearray(path.read_bytes())
    start = u64(data, INDEX)
    entry = struct.pack("<HcBB", 1, b"a", 8, len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
    entry += struct.pack("<QQ", 0, raw.size)
    assert start + len(entry) <= u64(data, DATA)
    data[start : u64(data, DATA)] = entry.ljust(u64(data, DATA) - start, b"\0")
    path.write_bytes(sealed(data))
    return path


def with_metadata(path: Path, text: bytes) -> Path:
    """Write an empty APR file with this metadata."""
    padded = text + bytes(-len(text) % 64)
    end = 64 + len(padded)
    header = bytearray(
        struct.pack("<4sBBHIQIQQI20s", b"APR\0", 2, 0, 0x400, 0, 64, len(text), end, end, 0, b"")
    )
    path.write_bytes(sealed(header + padded + bytes(4)))
    return path


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a":NaN}',
        b'{"a":1}x',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b'{"model_type":null}',
        b'{"total_size":-1}',
        b'{"total_size":18446744073709551616}',
        b'{"hidden_size":1000000000000000000000000000000}',
        b'{"hidden_size":896.0}',
        b'{"hidden_size":true}',
        b'{"rope_theta":"1e6"}',
        b'{"architecture":7}',
        b'{"quantization":{"quant_type":"q4_k","bits":4}}',
        b'{"quantization":{"quant_type":"q4_k","bits":400,"symmetric":true}}',
        b'{"sharding":[]}',
        b'{"special_tokens":{"bos_token":1}}',
    ],
)
def test_metadata_that_no_reader_accepts_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        AprFile(with_metadata(tmp_path / "x.apr", text))
    assert caught.value.rule == "G0-METADATA"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"hidden_size": None, "quantization": None, "model_type": "llama"},
        {"anything": [1, {"deep": None}], "tokenizer.vocabulary": ["a", "é"]},
        {"n_embd": 8, "rms_norm_eps": 1e-5, "rope_type": 2},
        {"sharding": {"shard_count": 1, "shard_index": 0, "total_size": 5}},
    ],
)
def test_metadata_that_readers_accept_is_read(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = with_metadata(tmp_path / "x.apr", json.dumps(metadata).encode())
    assert dict(AprFile(path).metadata) == metadata


def test_of_a_key_that_occurs_twice_the_last_one_counts(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "x.apr", b'{"name":"a","name":"b"}')
    assert AprFile(path).metadata["name"] == "b"


def test_a_shard_must_say_which_it_is(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "x.apr", b'{"sharding":null}')
    data = bytearray(path.read_bytes())
    data[6:8] = struct.pack("<H", 0x0410)
    path.write_bytes(sealed(data))
    with pytest.raises(ArtifactError, match="SHARDED, but the metadata have no sharding") as caught:
        AprFile(path)
    assert caught.value.rule == "G0-HEADER"


def test_one_shard_of_several_is_unsupported(tmp_path: Path) -> None:
    sharding = b'{"sharding":{"shard_count":2,"shard_index":0,"total_size":5}}'
    with pytest.raises(ArtifactError, match="one of 2 shards") as caught:
        AprFile(with_metadata(tmp_path / "x.apr", sharding))
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def test_two_spellings_of_one_field_poison_the_metadata(tmp_path: Path) -> None:
    path = with_metadata(tmp_path / "x.apr", b'{"num_layers":2,"n_layer":null}')
    with pytest.raises(ArtifactError) as caught:
        AprFile(path)
    assert caught.value.rule == "G0-APR-ALIAS"
