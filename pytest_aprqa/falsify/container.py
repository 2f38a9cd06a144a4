"""Faults of the container: cut, shifted, mislabelled and mixed-up files."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pytest_aprqa.artifact.apr_layout import CHECKSUM_FIELD, FOOTER, HEADER, header_checksum
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME
from pytest_aprqa.artifact.tensor_file import TensorInfo
from pytest_aprqa.falsify.fault import (
    WEIGHTS,
    Family,
    Faults,
    Original,
    Sample,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.words import Format

fault = Faults(Family.CONTAINER)

_ONLY_SAFETENSORS = {Format.SAFETENSORS: Gate.G0}
_U64 = struct.Struct("<Q")
_PAGE = 4096


@fault("truncated", "the last third of the weights file is missing", everywhere(Gate.G0))
def truncated(sample: Sample, random: Random) -> None:
    _cut(sample.weights, sample.weights.stat().st_size // 3)


@fault("one-byte-short", "the last byte of the weights file is missing", everywhere(Gate.G0))
def one_byte_short(sample: Sample, random: Random) -> None:
    _cut(sample.weights, 1)


@fault("trailing-bytes", "another download is appended to the file", everywhere(Gate.G0))
def trailing_bytes(sample: Sample, random: Random) -> None:
    with sample.weights.open("ab") as file:
        file.write(random.randbytes(1000))


@fault("empty", "the weights file has no byte", everywhere(Gate.G0))
def empty(sample: Sample, random: Random) -> None:
    sample.weights.write_bytes(b"")


@fault("header-length", "the length field of the header is wrong", everywhere(Gate.G0))
def header_length(sample: Sample, random: Random) -> None:
    # SafeTensors: bytes of the JSON; APR: size of the metadata; GGUF: number of key-values.
    offset = {Format.SAFETENSORS: 0, Format.APR: 20, Format.GGUF: 16}[sample.format]
    with sample.weights.open("r+b") as file:
        file.seek(offset)
        width = 4 if sample.format is Format.APR else 8
        value = int.from_bytes(file.read(width), "little")
        file.seek(offset)
        file.write((value + 1).to_bytes(width, "little"))
    sign_apr(sample)


@fault("magic", "the first bytes are those of no format", everywhere(Gate.G0))
def magic(sample: Sample, random: Random) -> None:
    _overwrite(sample.weights, 0, b"\x89PNG\r\n\x1a\n")


@fault("version", "the file claims to be of an older version", {Format.APR: Gate.G0})
def version(sample: Sample, random: Random) -> None:
    _overwrite(sample.weights, 4, b"\x01")
    sign_apr(sample)


@fault("pickle", "a torch pickle stands under the name of the weights", everywhere(Gate.G0))
def pickle_in_disguise(sample: Sample, random: Random) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"weight": [0.0] * 1000}))
        file.writestr("archive/data/0", random.randbytes(100_000))
    sample.weights.write_bytes(archive.getvalue())


@fault("html", "an error page was saved in place of the weights", everywhere(Gate.G0))
def html(sample: Sample, random: Random) -> None:
    sample.weights.write_text("<!DOCTYPE html><html><body>404: Not Found</body></html>\n" * 40)


@fault("git-lfs-pointer", "the pointer of git-lfs was not resolved", everywhere(Gate.G0))
def git_lfs_pointer(sample: Sample, random: Random) -> None:
    size = sample.weights.stat().st_size
    sample.weights.write_text(
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{random.randbytes(32).hex()}\nsize {size}\n"
    )


@fault("other-format", "the file is of another format than its name says", everywhere(Gate.G0))
def other_format(sample: Sample, random: Random) -> None:
    if sample.format is Format.SAFETENSORS:
        _write_minimal_gguf(sample.weights)
    else:
        sample.weights.write_bytes((sample.directory / WEIGHTS[Format.SAFETENSORS]).read_bytes())


@fault("offsets-shifted", "a tensor begins 64 bytes too late", everywhere(Gate.G0))
def offsets_shifted(sample: Sample, random: Random) -> None:
    def shift(begin: int, end: int, _: tuple[int, int]) -> tuple[int, int]:
        return begin + 64, end + 64

    _move_tensor(sample, shift)


@fault("offsets-shared", "two tensors point to the same bytes", everywhere(Gate.G0))
def offsets_shared(sample: Sample, random: Random) -> None:
    def share(_: int, __: int, other: tuple[int, int]) -> tuple[int, int]:
        return other

    _move_tensor(sample, share)


@fault("offset-past-end", "a tensor lies past the end of the file", everywhere(Gate.G0))
def offset_past_end(sample: Sample, random: Random) -> None:
    far = (sample.weights.stat().st_size // 64 + 1000) * 64

    def away(begin: int, end: int, _: tuple[int, int]) -> tuple[int, int]:
        return far, far + end - begin

    _move_tensor(sample, away)


@fault("checksum", "a bit has flipped since the checksum was written", {Format.APR: Gate.G0})
def checksum(sample: Sample, random: Random) -> None:
    info = _a_matrix(sample)
    with sample.weights.open("r+b") as file:
        file.seek(info.offset + info.nbytes // 2)
        [byte] = file.read(1)
        file.seek(-1, io.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


@fault(
    "hole",
    "a page of the file is zeros, as a download that was resumed in the wrong place leaves it",
    {Format.SAFETENSORS: Gate.DIGEST, Format.APR: Gate.G0, Format.GGUF: Gate.I4},
    blind="a few rows of zeros can be meant; one page of millions of weights changes no short answer",
)
def hole(sample: Sample, random: Random) -> None:
    info = _a_matrix(sample)
    page = min(_PAGE, info.nbytes // 2)
    _overwrite(sample.weights, info.offset + info.nbytes // 4, bytes(page))


@fault(
    "shards-exchanged",
    "two shards bear each other's names",
    _ONLY_SAFETENSORS,
    original=Original.SHARDED,
)
def shards_exchanged(sample: Sample, random: Random) -> None:
    one, other = _shards(sample)
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


@fault(
    "shard-missing", "one of two shards is not there", _ONLY_SAFETENSORS, original=Original.SHARDED
)
def shard_missing(sample: Sample, random: Random) -> None:
    _shards(sample)[1].unlink()


@fault(
    "shard-twice", "one shard is a copy of the other", _ONLY_SAFETENSORS, original=Original.SHARDED
)
def shard_twice(sample: Sample, random: Random) -> None:
    one, other = _shards(sample)
    other.write_bytes(one.read_bytes())


@fault(
    "index-stale",
    "the index names a tensor that no shard holds",
    _ONLY_SAFETENSORS,
    original=Original.SHARDED,
)
def index_stale(sample: Sample, random: Random) -> None:
    path = sample.directory / INDEX_NAME
    index = json.loads(path.read_text("utf-8"))
    shard = next(iter(index["weight_map"].values()))
    index["weight_map"]["model.layers.0.self_attn.rotary.weight"] = shard
    path.write_text(json.dumps(index), "utf-8")


@fault(
    "name-twice", "a tensor is there twice, the second time with other values", everywhere(Gate.G0)
)
def name_twice(sample: Sample, random: Random) -> None:
    """Give a tensor the name of another one of the same length."""
    path = sample.weights
    data = bytearray(path.read_bytes())
    one, other = _twins(sample)
    at = data.index(_written(sample, one))
    data[at : at + len(_written(sample, one))] = _written(sample, other)
    path.write_bytes(data)
    sign_apr(sample)


def _written(sample: Sample, name: str) -> bytes:
    return f'"{name}"'.encode() if sample.format is Format.SAFETENSORS else name.encode()


def _twins(sample: Sample) -> tuple[str, str]:
    """Return the names of two tensors of the same length and shape."""
    where = sample.directory if sample.format is Format.SAFETENSORS else sample.weights
    with open_tensors(where) as file:
        for info in file.tensors.values():
            for other in file.tensors.values():
                alike = len(info.name) == len(other.name) and info.shape == other.shape
                if alike and info.name != other.name:
                    return info.name, other.name
    raise ValueError("no two tensors are alike")


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - size)


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _shards(sample: Sample) -> tuple[Path, Path]:
    one, other = sorted(sample.directory.glob("model-?????-of-?????.safetensors"))
    return one, other


def _a_matrix(sample: Sample) -> TensorInfo:
    where = sample.directory if sample.format is Format.SAFETENSORS else sample.weights
    with open_tensors(where) as file:
        matrices = [info for info in file.tensors.values() if len(info.shape) == 2]
    return matrices[len(matrices) // 2]


Move = Callable[[int, int, tuple[int, int]], tuple[int, int]]
"""New begin and end of a tensor's data, from its old ones and those of another tensor."""


def _move_tensor(sample: Sample, move: Move) -> None:
    """Let a tensor's entry point elsewhere; `move` gets offsets from the start of the data."""
    if sample.format is Format.SAFETENSORS:
        _move_in_safetensors(sample.weights, move)
    else:
        _move_in_index(sample, move)
        sign_apr(sample)


def _move_in_safetensors(path: Path, move: Move) -> None:
    data = path.read_bytes()
    (length,) = _U64.unpack_from(data)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    names = [name for name, entry in header.items() if len(entry.get("shape", ())) == 2]
    one, other = (header[name]["data_offsets"] for name in names[-2:])
    header[names[-2]]["data_offsets"] = list(move(one[0], one[1], (other[0], other[1])))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(_U64.pack(len(text)) + text + data[8 + length :])


def _move_in_index(sample: Sample, move: Move) -> None:
    """Change an offset in the index of an APR or GGUF file, where it follows name and shape."""
    data = bytearray(sample.weights.read_bytes())
    one, other = _twin_infos(sample)
    start = _data_start(sample, data)
    begin, _ = move(
        one.offset - start,
        one.offset - start + one.nbytes,
        (other.offset - start, other.offset - start + other.nbytes),
    )
    name = one.name.encode()
    at = data.index(name) + len(name)
    rank = len(one.shape)
    # APR: type, rank, shape, offset; GGUF: rank, shape, type, offset.
    at += 2 + 8 * rank if sample.format is Format.APR else 4 + 8 * rank + 4
    if _U64.unpack_from(data, at) != (one.offset - start,):
        raise ValueError(f"the offset of {one.name} is not where it was looked for")
    _U64.pack_into(data, at, begin)
    sample.weights.write_bytes(data)


def _twin_infos(sample: Sample) -> tuple[TensorInfo, TensorInfo]:
    names = _twins(sample)
    with open_tensors(sample.weights) as file:
        return file.tensors[names[0]], file.tensors[names[1]]


def _data_start(sample: Sample, data: bytes | bytearray) -> int:
    if sample.format is Format.APR:
        return int(HEADER.unpack_from(data)[8])
    with open_tensors(sample.weights) as file:
        return min(info.offset for info in file.tensors.values())


def sign_apr(sample: Sample) -> None:
    """Make the checksums of an APR file right again, so that they do not give the fault away."""
    if sample.format is not Format.APR:
        return
    data = bytearray(sample.weights.read_bytes())
    data[CHECKSUM_FIELD] = FOOTER.pack(header_checksum(bytes(data[: HEADER.size])))
    data[-FOOTER.size :] = FOOTER.pack(zlib.crc32(data[: -FOOTER.size]))
    sample.weights.write_bytes(data)


def _write_minimal_gguf(path: Path) -> None:
    from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
    from pytest_aprqa.artifact.gguf_write import write_gguf

    write_gguf(path, [], [GgufValue("general.architecture", GgufType.STRING, "llama")])
