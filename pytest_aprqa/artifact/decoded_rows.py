"""A tensor of any type as float32, some rows at a time."""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import APR_Q8_HEADER, block_of, is_ggml_block, to_float32
from pytest_aprqa.artifact.tensor_file import DType


class DecodedRows:
    """A tensor whose rows are decoded when they are asked for.

    Args:
        raw: its data, flat.
        dtype: its type.
        shape: row-major; a row is the last dimension.

    Attributes:
        shape: as given.
    """

    def __init__(self, raw: npt.NDArray[np.uint8], dtype: DType, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._dtype = dtype
        self._columns = shape[-1] if shape else 1
        self._header = raw[: APR_Q8_HEADER if dtype is DType.APR_Q8 else 0]
        self._data: npt.NDArray[np.uint8] = raw[self._header.size :]
        block = block_of(dtype)
        blocks = -(-self._columns // block.elements)
        filled_up = is_ggml_block(dtype) and len(shape) == 2
        if self._columns % block.elements and not filled_up:
            # Blocks reach over the ends of rows: no row can be decoded on its own.
            self._data = to_float32(raw, dtype, shape).reshape(-1).view(np.uint8)
            self._dtype, blocks, block = DType.F32, self._columns, block_of(DType.F32)
        self._row_bytes = blocks * block.nbytes

    def rows(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Return rows `first` to `last` of the tensor seen as a matrix.

        Raises:
            ArtifactError: UNSUPPORTED, when there is no decoder for the type.
        """
        last = min(last, prod(self.shape) // max(1, self._columns))
        if first >= last:
            return np.empty((0, self._columns), np.float32)
        data = self._data[first * self._row_bytes : last * self._row_bytes]
        if self._header.size:
            data = np.concatenate([self._header, data])
        return to_float32(data, self._dtype, (last - first, self._columns))
