"""The ends of bits, by the compiled code and without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pytest_aprqa.artifact import bit_ends
from pytest_aprqa.artifact.bit_ends import Ends, compiled, ends_by_numpy, ends_of

WIDTHS = [np.dtype(f"u{size}") for size in (1, 2, 4, 8)]
FINDERS = [ends_of, ends_by_numpy]
Bits = npt.NDArray[np.unsignedinteger]


def test_it_is_compiled_wherever_it_can_be(tmp_path: Path) -> None:
    assert compiled() is not None or not compiles(tmp_path), "install it again: pip install -e ."


def compiles(directory: Path) -> bool:
    compiler = shutil.which(os.environ.get("CC") or "cc")
    source = Path(bit_ends.__file__).with_name("native") / "ends.c"
    command = [compiler, "-shared", "-fPIC", "-o", directory / "ends.so", source]
    return compiler is not None and not subprocess.run(command, check=False).returncode


def by_hand(bits: Bits) -> Ends:
    plain, signed = bits.tolist(), bits.view(f"i{bits.itemsize}").tolist()
    return Ends(max(plain), min(plain), max(signed), min(signed))


@pytest.mark.parametrize("find", FINDERS)
@given(data=st.data())
def test_they_are_those_of_python(find: Callable[[Bits], Ends], data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(WIDTHS))
    bits = data.draw(arrays(dtype, st.integers(1, 300)))
    first = data.draw(st.integers(0, bits.size - 1))
    assert find(bits[first:]) == by_hand(bits[first:])


@pytest.mark.parametrize("find", FINDERS)
@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
def test_an_end_is_found_wherever_it_lies(
    find: Callable[[Bits], Ends], dtype: np.dtype[np.unsignedinteger]
) -> None:
    top = 1 << (8 * dtype.itemsize - 1)
    for place in range(129):
        bits = np.full(129, 5, dtype)
        for value in (0, 1, 6, top - 1, top, 2 * top - 1):
            bits[place] = value
            assert find(bits) == by_hand(bits)


def test_numbers_that_lie_askew_or_apart_are_read_too() -> None:
    raw = np.arange(1, 1 + 8 * 100, dtype=np.uint64).view(np.uint8)
    askew = raw[1 : 1 + 8 * 90].view(np.uint64)
    apart = raw.view(np.uint16)[::3]
    assert not askew.flags.aligned
    assert not apart.flags.c_contiguous
    for bits in (askew, apart):
        assert ends_of(bits) == by_hand(bits.copy())


def test_the_ends_of_both_are_those_of_all() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 16, 1000, np.uint16)
    assert ends_of(bits[:300]) | ends_of(bits[300:]) == ends_of(bits)


def test_without_the_compiled_code_numpy_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_ends, "compiled", lambda: None)
    assert ends_of(np.array([3, 1, 2**16 - 1], np.uint16)) == Ends(2**16 - 1, 1, 3, -1)
