"""The largest and the least of bits, at the speed at which memory can be read."""

from __future__ import annotations

import ctypes
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.foreign import address_of

Bits = npt.NDArray[np.unsignedinteger]

_SOURCE = Path(__file__).parent / "native" / "ends.c"


class Ends(NamedTuple):
    """The largest and the least of bits, read without a sign and with one."""

    largest: int
    least: int
    signed_largest: int
    signed_least: int

    def __or__(self, other: Ends) -> Ends:
        """Return the ends of both together."""
        return Ends(
            max(self.largest, other.largest),
            min(self.least, other.least),
            max(self.signed_largest, other.signed_largest),
            min(self.signed_least, other.signed_least),
        )


def ends_of(bits: Bits) -> Ends:
    """Return the ends of bits, of which there is at least one."""
    library = compiled()
    if library is None or not (bits.flags.c_contiguous and bits.flags.aligned):
        return ends_by_numpy(bits)
    ends = np.empty(4, bits.dtype)
    find = getattr(library, f"ends{8 * bits.itemsize}")
    find(address_of(bits), ctypes.c_size_t(bits.size), address_of(ends))
    return Ends(*ends[:2].tolist(), *ends[2:].view(f"i{bits.itemsize}").tolist())


def ends_by_numpy(bits: Bits) -> Ends:
    """Return the same in four passes: for places where nothing could be compiled."""
    signed = bits.view(f"i{bits.itemsize}")
    return Ends(int(bits.max()), int(bits.min()), int(signed.max()), int(signed.min()))


@cache
def compiled() -> ctypes.CDLL | None:
    """Return the compiled library of this very source, or None where there is none."""
    try:
        digest = sha256(_SOURCE.read_bytes()).hexdigest()[:16]
        return ctypes.CDLL(str(_SOURCE.with_name(f"ends-{digest}.so")))
    except OSError:
        return None
