"""What the readers of all formats share: tensors by name, lying in mapped files."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import to_float32
from pytest_aprqa.artifact.malformed import malformed
from pytest_aprqa.artifact.mapped_file import HandedOut, bring, is_cached, map_file
from pytest_aprqa.artifact.tensor_file import TensorInfo
from pytest_aprqa.words import Format

MAX_DIMENSIONS = 32
MAX_ELEMENTS = 1 << 59
"""Elements whose float64 bytes still have a 64-bit signed length, with room to add."""


class MappedTensors:
    """A TensorFile over one or several mapped files; the base of the three readers.

    A reader's constructor maps its files with `_map` and fills `_tensors` and `_metadata`.
    """

    format: Format

    def __init__(self) -> None:
        self._mapped: dict[Path, npt.NDArray[np.uint8]] = {}
        self._handed_out = HandedOut()
        self._cached: bool | None = None
        self._tensors: dict[str, TensorInfo] = {}
        self._metadata: dict[str, Any] = {}

    def _map(self, path: Path) -> npt.NDArray[np.uint8]:
        self._mapped[path] = map_file(path)
        return self._mapped[path]

    def again(self) -> Self:
        """Return another reader of the same files, which are mapped anew and not read again."""
        twin = copy.copy(self)
        twin._mapped, twin._handed_out, twin._cached = {}, HandedOut(), None
        for path in self._mapped:
            twin._map(path)
        return twin

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self._mapped)

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        return MappingProxyType(self._tensors)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return MappingProxyType(self._metadata)

    def raw(self, name: str, index: int = 0, parts: int = 1) -> npt.NDArray[np.uint8]:
        data = self._view(name, index, parts)
        self._handed_out.add(data)
        return data

    def bring(self, name: str, index: int = 0, parts: int = 1) -> None:
        if not self.is_cached():
            bring(self._view(name, index, parts))

    def is_cached(self) -> bool:
        if self._cached is None:
            self._cached = all(map(is_cached, self._mapped.values()))
        return self._cached

    def _view(self, name: str, index: int, parts: int) -> npt.NDArray[np.uint8]:
        info = self._tensors[name]
        size = info.nbytes // parts
        begin = info.offset + index * size
        return self._mapped[info.path][begin : begin + size]

    def read(self, name: str) -> npt.NDArray[np.float32]:
        info = self._tensors[name]
        return to_float32(self.raw(name), info.dtype, info.shape)

    def close(self) -> None:
        """Let go of the maps; each ends with the last array that views it."""
        self._mapped = dict.fromkeys(self._mapped, np.empty(0, np.uint8))
        self._handed_out = HandedOut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def refuse_shape(path: Path, name: str, shape: Sequence[int]) -> None:
    """Raise ArtifactError MALFORMED on a shape no array can have, before anyone computes with it.

    Zeros do not excuse the other dimensions: their product must be a size a machine can address.
    """
    if len(shape) > MAX_DIMENSIONS:
        raise malformed(
            path,
            "G0-TENSOR-SIZE",
            f"has {len(shape)} dimensions, more than {MAX_DIMENSIONS}",
            f"tensor {name!r}",
        )
    if prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise malformed(
            path,
            "G0-TENSOR-SIZE",
            f"shape {list(shape)} overflows",
            f"tensor {name!r}",
        )


def refuse_overlaps(tensors: list[TensorInfo], rule: str) -> None:
    """Raise ArtifactError MALFORMED when two tensors of one file share a byte."""
    occupied = sorted((t for t in tensors if t.nbytes), key=lambda t: t.offset)
    for before, after in pairwise(occupied):
        end = before.offset + before.nbytes
        if after.offset < end:
            raise malformed(
                after.path,
                rule,
                f"starts at byte {after.offset}, inside tensor {before.name!r}, which ends "
                f"at byte {end}",
                f"tensor {after.name!r}",
            )
