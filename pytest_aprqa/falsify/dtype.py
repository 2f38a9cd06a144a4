"""Faults of element types: right bytes that are read, scaled or rounded in the wrong way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import APR_CODES, block_of, ggml_code
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.falsify.container import sign_apr
from pytest_aprqa.falsify.fault import (
    Family,
    Faults,
    NotApplicableError,
    Original,
    Sample,
    converted,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.weights_file import Bytes, Floats, Stored, WeightsFile, edited
from pytest_aprqa.words import Format

fault = Faults(Family.DTYPE)

_BROKEN = converted(Gate.I4, reference=Gate.QUAL)
_SUBTLE = converted(Gate.I4, reference=Gate.DIGEST)
_QUANTISED = converted(Gate.I4)

_SUBTLE_WHY = (
    "SafeTensors are the ground truth: a model with these weights is as possible as the one "
    "without, and it answers as well"
)
_FP8_MAX = 448.0
"""Largest number of float8 e4m3, to which a tensor is scaled before it is rounded to that type."""

_ZERO_POINT = 8
"""The nibble that stands for zero, in Q4_0 and in APR's four-bit type."""


@fault("bf16-called-f16", "the bytes of bfloat16 are labelled float16", _BROKEN)
def bf16_called_f16(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        _relabel(file, DType.BF16, DType.F16)


@fault(
    "f16-called-bf16", "the bytes of float16 are labelled bfloat16", _BROKEN, original=Original.F16
)
def f16_called_bf16(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        _relabel(file, DType.F16, DType.BF16)


def _relabel(file: WeightsFile, found: DType, stated: DType) -> None:
    names = [name for name, stored in file.tensors.items() if stored.dtype is found]
    if not names:
        raise NotApplicableError(f"the model has no {found}")
    for name in names:
        file.tensors[name] = replace(file.tensors[name], dtype=stated)


@fault(
    "label-of-other-size", "a tensor is labelled with a type of another size", everywhere(Gate.G0)
)
def label_of_other_size(sample: Sample, random: Random) -> None:
    """Label float bytes F32 or F64, in the header or the index alone."""
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        stored = file.tensors[name]
    wider = DType.F64 if stored.dtype is DType.F32 else DType.F32
    data = bytearray(sample.weights.read_bytes())
    at = data.index(name.encode()) + len(name)
    rank = len(stored.shape)
    if sample.format is Format.SAFETENSORS:
        label = f'"{stored.dtype}"'.encode()
        at = data.index(label, at)
        data[at : at + len(label)] = f'"{wider}"'.encode()
    elif sample.format is Format.APR:
        data[at] = APR_CODES[wider]
    else:
        at += 4 + 8 * rank
        data[at : at + 4] = ggml_code(wider).to_bytes(4, "little")
    sample.weights.write_bytes(data)
    sign_apr(sample)


@fault("bytes-swapped", "the bytes of every number are in big-endian order", _BROKEN)
def bytes_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, stored in _matrices(file):
            width = block_of(stored.dtype).nbytes
            if width not in (2, 4):
                raise NotApplicableError("the weights are quantised")
            data = stored.data.reshape(-1, width)[:, ::-1]
            file.tensors[name] = replace(stored, data=np.ascontiguousarray(data).reshape(-1))


@fault("widened", "the matrices of one layer silently became F32", converted(Gate.I3))
def widened(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        matrices = [n for n in file.of_layer(file.middle) if len(file.tensors[n].shape) > 1]
        if all(file.tensors[name].dtype is DType.F32 for name in matrices):
            raise NotApplicableError("the matrices are F32 already")
        for name in matrices:
            file.tensors[name] = Stored.of(file.values(name), DType.F32)


@fault(
    "precision-lost",
    "the matrices went through a type of three bits of mantissa",
    _SUBTLE,
    blind=_SUBTLE_WHY,
)
def precision_lost(sample: Sample, random: Random) -> None:
    def shorten(values: Floats) -> Floats:
        mantissa, exponent = np.frexp(values)
        return np.ldexp(np.round(mantissa * 16) / 16, exponent).astype(np.float32)

    with edited(sample) as file:
        _change_matrices(file, shorten)


@fault("clipped", "weights beyond two standard deviations are clipped", _SUBTLE, blind=_SUBTLE_WHY)
def clipped(sample: Sample, random: Random) -> None:
    def clip(values: Floats) -> Floats:
        limit = 2 * float(values.std())
        return np.clip(values, -limit, limit)

    with edited(sample) as file:
        _change_matrices(file, clip)


@fault(
    "overflow", "a weight overflowed to infinity on its way through float16", everywhere(Gate.G0)
)
def overflow(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.down_proj.weight")
        values = file.values(name)
        values[0, 0] = np.inf
        file.put(name, values)


@fault(
    "scale-lost",
    "the scales of a quantisation were left out: every matrix is in its quants",
    _BROKEN,
)
def scale_lost(sample: Sample, random: Random) -> None:
    """Scale every matrix up to the range of float8, as a checkpoint of that type holds it."""
    with edited(sample) as file:
        _change_matrices(file, lambda values: values * np.float32(_FP8_MAX / np.abs(values).max()))


@fault(
    "scale-not-a-number",
    "one scale of a quantised tensor is not a number",
    converted(Gate.G0),
    original=Original.EIGHT,
)
def scale_not_a_number(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        _change_scales(file, name, lambda scales: _first(scales, np.nan))


@fault(
    "scale-infinite",
    "one scale of a quantised tensor is infinite",
    converted(Gate.G0),
    original=Original.FOUR,
)
def scale_infinite(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        _change_scales(file, name, lambda scales: _first(scales, np.inf))


@fault(
    "scales-zero",
    "the scales of a quantised tensor are zero",
    converted(Gate.G0),
    original=Original.EIGHT,
)
def scales_zero(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        _change_scales(file, name, np.zeros_like)


@fault(
    "scales-shifted", "every scale belongs to the block before", _QUANTISED, original=Original.FOUR
)
def scales_shifted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, _ in _matrices(file):
            _change_scales(file, name, lambda scales: np.roll(scales, 1))


@fault(
    "scales-rounded",
    "scales were rounded to powers of two, their quants were not made again",
    _QUANTISED,
    original=Original.EIGHT,
)
def scales_rounded(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, _ in _matrices(file):
            _change_scales(file, name, lambda scales: np.exp2(np.round(np.log2(scales))))


@fault(
    "quants-unsigned",
    "signed quants were stored as unsigned ones",
    _QUANTISED,
    original=Original.EIGHT,
)
def quants_unsigned(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, stored in _matrices(file):
            _change_quants(file, name, stored, lambda quants: quants ^ np.uint8(0x80))


@fault(
    "nibble-order",
    "the two values of a byte are taken in the order of another format",
    _QUANTISED,
    original=Original.FOUR,
)
def nibble_order(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, stored in _matrices(file):
            _change_quants(file, name, stored, _exchanged_nibbles)


@fault(
    "zero-point-lost",
    "the zero point of four-bit quants was left out",
    _QUANTISED,
    original=Original.FOUR,
)
def zero_point_lost(sample: Sample, random: Random) -> None:
    both = np.uint8(_ZERO_POINT << 4 | _ZERO_POINT)
    with edited(sample) as file:
        for name, stored in _matrices(file):
            _change_quants(file, name, stored, lambda quants: quants ^ both)


@fault(
    "blocks-misaligned",
    "quants are half a block off their scales",
    _QUANTISED,
    original=Original.FOUR,
)
def blocks_misaligned(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, stored in _matrices(file):
            _change_quants(file, name, stored, _moved_half_a_block)


@fault(
    "type-of-same-size",
    "blocks are labelled as another type of the same size",
    {Format.GGUF: Gate.I4},
    original=Original.FOUR,
)
def type_of_same_size(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        _relabel(file, DType.Q4_0, DType.IQ4_NL)


@fault(
    "quantised-twice",
    "eight-bit weights were made from four-bit ones",
    _QUANTISED,
    original=Original.EIGHT,
)
def quantised_twice(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name, stored in _matrices(file):
            coarse = Stored.of(stored.values, DType.Q4_0).values
            file.put(name, coarse)


def _matrices(file: WeightsFile) -> Iterator[tuple[str, Stored]]:
    """Yield the tensors that hold most of a model, as they are now."""
    for name, stored in list(file.tensors.items()):
        if len(stored.shape) > 1:
            yield name, stored


def _change_matrices(file: WeightsFile, change: Callable[[Floats], Floats]) -> None:
    for name, stored in _matrices(file):
        if name not in file.embeddings:
            file.put(name, change(stored.values))


def _first(scales: Floats, value: float) -> Floats:
    changed = scales.copy()
    changed[len(changed) // 2] = value
    return changed


def _scale_bytes(stored: Stored) -> tuple[Bytes, npt.DTypeLike]:
    """Return the bytes of a tensor's scales, a row each, and their type.

    GGML's Q8_0 and Q4_0 and APR's four-bit type begin each block with a float16; APR's eight-bit
    type begins each tensor with a float32.
    """
    if stored.dtype is DType.APR_Q8:
        return stored.data.reshape(1, -1)[:, :4], np.float32
    if stored.dtype not in (DType.Q8_0, DType.Q4_0, DType.APR_Q4):
        raise NotApplicableError(f"{stored.dtype} has no scales of its own")
    return stored.data.reshape(-1, block_of(stored.dtype).nbytes)[:, :2], np.float16


def _change_scales(file: WeightsFile, name: str, change: Callable[[Floats], Floats]) -> None:
    stored = replace(file.tensors[name], data=file.tensors[name].data.copy())
    held, kind = _scale_bytes(stored)
    scales = np.ascontiguousarray(held).view(kind).reshape(-1).astype(np.float32)
    with np.errstate(all="ignore"):
        changed = change(scales).astype(kind)
    held[:] = np.ascontiguousarray(changed).view(np.uint8).reshape(held.shape)
    file.tensors[name] = stored


def _change_quants(
    file: WeightsFile, name: str, stored: Stored, change: Callable[[Bytes], Bytes]
) -> None:
    changed = replace(stored, data=stored.data.copy())
    held, _ = _scale_bytes(changed)
    rows = changed.data.reshape(len(held), -1)
    rows[:, held.shape[1] :] = change(rows[:, held.shape[1] :])
    file.tensors[name] = changed


def _exchanged_nibbles(quants: Bytes) -> Bytes:
    exchanged: Bytes = (quants << np.uint8(4)) | (quants >> np.uint8(4))
    return exchanged


def _moved_half_a_block(quants: Bytes) -> Bytes:
    return np.roll(quants.reshape(-1), quants.shape[1] // 2).reshape(quants.shape)
