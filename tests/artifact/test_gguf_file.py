from __future__ import annotations

import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_value import GgufType
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType

W = np.arange(1, 7, dtype=np.float32).reshape(2, 3)


def text(value: str | bytes) -> bytes:
    encoded = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def pair(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(
    name: str | bytes = "w", dims: tuple[int, ...] = (3, 2), kind: int = 0, offset: int = 0
) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def container(
    *pairs: bytes,
    tensors: tuple[bytes, ...] = (tensor(),),
    data: bytes = bytes(W),
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    counts = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def refusal(tmp_path: Path, content: bytes) -> ArtifactError:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        GgufFile(path)
    assert "bad.gguf" in caught.value.message
    return caught.value


def test_what_the_reference_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    values: dict[str, Any] = {
        "n.u8": 200,
        "n.i8": -5,
        "n.u32": 1 << 31,
        "n.i64": -(1 << 40),
        "n.f32": 0.5,
        "n.f64": 1e300,
        "flag": True,
        "name": "Größe 日本",
        "list.text": ["a", "", "ü"],
        "list.int": [1, -2, 3],
        "list.float": [0.5, -1.5],
        "list.bool": [True, False],
    }
    writer.add_uint8("n.u8", values["n.u8"])
    writer.add_int8("n.i8", values["n.i8"])
    writer.add_uint32("n.u32", values["n.u32"])
    writer.add_int64("n.i64", values["n.i64"])
    writer.add_float32("n.f32", values["n.f32"])
    writer.add_float64("n.f64", values["n.f64"])
    writer.add_bool("flag", values["flag"])
    writer.add_string("name", values["name"])
    for key in ("list.text", "list.int", "list.float", "list.bool"):
        writer.add_array(key, values[key])
    rows = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    quantised = gguf.quants.quantize(rows, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("w", W)
    writer.add_tensor("half", W.astype(np.float16))
    writer.add_tensor("q", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with GgufFile(path) as file:
        assert dict(file.metadata) == {"general.architecture": "llama", **values}
        assert {name: info.shape for name, info in file.tensors.items()} == {
            "w": (2, 3),
            "half": (2, 3),
            "q": (4, 64),
        }
        np.testing.assert_array_equal(file.read("w"), W)
        np.testing.assert_array_equal(file.read("half"), W)
        np.testing.assert_array_equal(
            file.read("q"),
            gguf.quants.dequantize(quantised, gguf.GGMLQuantizationType.Q8_0),
        )


def test_dimensions_are_reversed_and_data_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(container(tensors=(tensor(dims=(3, 2)),)))
    with GgufFile(path) as file:
        assert file.tensors["w"].shape == (2, 3)
        assert file.read("w")[0].tolist() == [1, 2, 3]


def test_values_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    nested = struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 2) + struct.pack("<II", 7, 8)
    path.write_bytes(container(pair("a", 5, struct.pack("<i", -1)), pair("b", 9, nested)))
    with GgufFile(path) as file:
        assert [(v.key, v.type, v.element, v.value) for v in file.values] == [
            ("a", GgufType.INT32, None, -1),
            ("b", GgufType.ARRAY, GgufType.ARRAY, [[7, 8]]),
        ]


def test_the_alignment_of_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    head = b"GGUF" + struct.pack("<IQQ", 2, 1, 1)
    head += pair("general.alignment", 4, struct.pack("<I", 128)) + tensor()
    path.write_bytes(head + bytes(-len(head) % 128) + bytes(W))
    with GgufFile(path) as file:
        assert file.tensors["w"].offset == 128
        np.testing.assert_array_equal(file.read("w"), W)


def test_the_longest_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(container(tensors=(tensor("n" * 63),)))
    assert list(GgufFile(path).tensors) == ["n" * 63]


def test_a_tensor_without_dimensions_is_a_scalar(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(container(tensors=(tensor(dims=()),), data=bytes(W)))
    assert GgufFile(path).read("w").shape == ()


HUGE = 1 << 62


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"GGUF\x03\0\0", "G0-TRUNCATED"),
        (b"GGML" + container()[4:], "G0-HEADER"),
        (container(counts=(HUGE, 0)), "G0-HEADER"),
        (container(counts=(1, HUGE)), "G0-HEADER"),
        (container(counts=(2, 0)), "G0-TENSOR-NAME"),
        (container(text("a") + struct.pack("<I", 13)), "G0-METADATA"),
        (container(pair("", 7, b"\1")), "G0-METADATA"),
        (container(pair("a", 7, b"\2")), "G0-METADATA"),
        (container(pair("a", 7, b"\1"), pair("a", 7, b"\1")), "G0-METADATA"),
        (container(pair(b"\xff", 7, b"\1")), "G0-TEXT"),
        (container(pair("a", 8, text(b"\xc3\x28"))), "G0-TEXT"),
        (container(struct.pack("<Q", HUGE)), "G0-TRUNCATED"),
        (container(pair("a", 8, struct.pack("<Q", HUGE))), "G0-TRUNCATED"),
        (container(pair("a", 9, struct.pack("<IQ", 4, HUGE))), "G0-TRUNCATED"),
        (container(pair("a", 9, struct.pack("<IQ", 8, HUGE))), "G0-TRUNCATED"),
        (container(pair("a", 9, struct.pack("<IQ", 9, HUGE))), "G0-TRUNCATED"),
        (container(pair("a", 9, struct.pack("<IQ", 9, 1) * 9)), "G0-METADATA"),
        (container(pair("a", 9, struct.pack("<IQ", 7, 2) + b"\1\2")), "G0-METADATA"),
        (container(pair("a", 9, struct.pack("<IQ", 99, 1))), "G0-METADATA"),
        (container(pair("general.alignment", 4, struct.pack("<I", 0))), "G0-METADATA"),
        (container(pair("general.alignment", 4, struct.pack("<I", 24))), "G0-METADATA"),
        (container(pair("general.alignment", 8, text("32"))), "G0-METADATA"),
        (container(tensors=(tensor(""),)), "G0-TENSOR-NAME"),
        (container(tensors=(tensor("n" * 64),)), "G0-TENSOR-NAME"),
        (container(tensors=(tensor("ü" * 32),)), "G0-TENSOR-NAME"),
        (container(tensors=(tensor(b"\xff"),)), "G0-TEXT"),
        (container(tensors=(tensor(dims=(1, 1, 1, 1, 6)),)), "G0-TENSOR-SIZE"),
        (container(tensors=(tensor(dims=(3, 0)),)), "G0-TENSOR-SIZE"),
        (container(tensors=(tensor(dims=(HUGE, HUGE)),)), "G0-TENSOR-SIZE"),
        (container(tensors=(tensor(dims=(33, 2), kind=8),)), "G0-TENSOR-SIZE"),
        (container(tensors=(tensor(kind=4),)), "G0-DTYPE"),
        (container(tensors=(tensor(kind=999),)), "G0-DTYPE"),
        (container(tensors=(tensor(offset=8),)), "G0-ALIGNMENT"),
        (container(tensors=(tensor(offset=32),)), "G0-TRUNCATED"),
        (container(tensors=(tensor(offset=(1 << 64) - 32),)), "G0-TRUNCATED"),
        (container(data=bytes(W)[:-1]), "G0-TRUNCATED"),
        (container(tensors=(tensor("a"), tensor("b"))), "G0-OFFSETS"),
        (container(tensors=(tensor(offset=32),), data=bytes(64)), "G0-OFFSETS"),
        (
            container(tensors=(tensor("a"), tensor("b", offset=64)), data=bytes(96)),
            "G0-OFFSETS",
        ),
        (
            container(tensors=(tensor("b", offset=32), tensor("a")), data=bytes(64)),
            "G0-OFFSETS",
        ),
        (
            container(tensors=(tensor("a"), tensor("a", offset=32)), data=bytes(64)),
            "G0-TENSOR-DUPLICATE",
        ),
    ],
)
def test_a_file_that_breaks_the_format_is_refused(
    tmp_path: Path, content: bytes, rule: str
) -> None:
    error = refusal(tmp_path, content)
    assert (error.fault, error.rule) == (ArtifactFault.MALFORMED, rule)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (container(version=1), "version 1"),
        (container(version=4), "version 4"),
        (container(pair("split.count", 2, struct.pack("<H", 3))), "one of 3 parts"),
    ],
)
def test_other_kinds_of_gguf_are_unsupported(tmp_path: Path, content: bytes, said: str) -> None:
    error = refusal(tmp_path, content)
    assert error.fault is ArtifactFault.UNSUPPORTED
    assert said in error.message


def small_model() -> bytes:
    return container(
        pair("general.architecture", 8, text("llama")),
        pair("general.alignment", 4, struct.pack("<I", 32)),
        pair("n", 10, struct.pack("<Q", 7)),
        pair("tokens", 9, struct.pack("<IQ", 8, 2) + text("ab") + text("c")),
        tensors=(tensor("w"), tensor("q", (32, 2), 8, 32)),
        data=bytes(W) + bytes(8) + bytes(range(68)),
    )


def test_every_flipped_header_bit_is_refused_or_read_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    data = small_model()
    header_bits = (len(data) - 100) * 8
    faults = Counter[ArtifactFault]()
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        for bit in range(header_bits):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit % 8]), place)
            try:
                with GgufFile(path) as opened:
                    for name in opened.tensors:
                        opened.read(name)
            except ArtifactError as error:
                faults[error.fault] += 1
            os.pwrite(file.fileno(), data[place : place + 1], place)
    assert set(faults) <= {ArtifactFault.MALFORMED, ArtifactFault.UNSUPPORTED}
    assert faults.total() > header_bits // 2


def test_every_cut_is_refused(tmp_path: Path) -> None:
    data = small_model()
    for size in [*range(0, len(data), 64), *range(0, 64, 4), len(data) - 1]:
        assert refusal(tmp_path, data[:size]).fault is ArtifactFault.MALFORMED


def test_quantised_types_carry_their_names(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(small_model())
    assert GgufFile(path).tensors["q"].dtype is DType.Q8_0
