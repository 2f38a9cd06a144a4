"""What a call to a function in C takes."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

LIBC = ctypes.CDLL(None)
"""The C library of this process; its functions are called without the interpreter's lock."""


def address_of(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    """Return where the data of an array begins."""
    return ctypes.c_void_p(array.ctypes.data)
