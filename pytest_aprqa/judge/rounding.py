"""How far a dtype's rounding may move an element of a tensor."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROW, TENSOR = 0, -1
"""Blocks as large as the row and as the tensor."""

_FLOATS = {"F64": 0.0, "F32": 0.0, "F16": 2.0**-11, "BF16": 2.0**-8}
"""Half a unit in the last place, relative to the element."""

_BLOCKS_OF_32 = {
    "Q8_0": 0.5 / 127,
    "Q8_1": 0.5 / 127,
    "Q5_0": 1 / 16,
    "Q5_1": 1 / 31,
    "Q4_0": 1 / 8,
    "Q4_1": 1 / 15,
    "APR_Q4": 1 / 14,
    "MXFP4": 1 / 4,
}
"""Half a step, or a whole one where the format cannot reach its largest value on one side (Q4_0,
Q5_0 and MXFP4). Q4_1 and Q5_1 spread their steps over the range, at most twice the magnitude."""

_BY_BITS = {8: 0.5 / 127, 6: 0.04, 5: 0.1, 4: 0.2, 3: 0.35, 2: 0.7, 1: 1.0}
"""K and I types choose scales by least squares and round them too, so an outlier may be clipped.

Seen on normal, heavy-tailed and sparse weights: at most 0.072 for Q4_K and 0.016 for Q6_K.
"""

_SCALE_ROUNDING = 2.0**-10
"""Of float16 scales and minima: half a unit in the last place of each."""

_UNDERFLOW = 2.0**-25
"""Half the smallest float16."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far rounding may move an element.

    Attributes:
        bound: largest error, as a share of the largest magnitude in the element's block.
        block: neighbours along a row that share a scale; 1 for float types, TENSOR for APR_Q8.
    """

    bound: float
    block: int


def step_of(dtype: str) -> Step:
    """Return the rounding step of a dtype ("F16", "Q8_0", "Q4_K"); 0 for F32 and F64.

    Raises:
        ValueError: a dtype of which nothing is known.
    """
    name = dtype.upper()
    if name in _FLOATS:
        return Step(_FLOATS[name], 1)
    if name == "APR_Q8":
        return Step(_BY_BITS[8], TENSOR)
    if name in _BLOCKS_OF_32:
        return Step(_BLOCKS_OF_32[name] + _SCALE_ROUNDING, 32)
    match = re.search(r"Q([1-8])", name)
    if match is None or int(match[1]) not in _BY_BITS:
        raise ValueError(f"The rounding step of the dtype {dtype!r} is not known.")
    return Step(_BY_BITS[int(match[1])] + _SCALE_ROUNDING, 256)


def least_error(block: int) -> float:
    """Return the absolute error that underflow may cause, whatever the magnitudes.

    A float16 loses up to half its smallest value. A scale does so times the largest quant it is
    multiplied with: 127 in blocks of 32; 127 * 32 in the super-blocks of Q6_K.
    """
    if block == 1:
        return _UNDERFLOW
    return _UNDERFLOW * (127 if block == 32 else 127 * 32)
