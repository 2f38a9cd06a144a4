"""What a writer is given: a tensor whose bytes are made when they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType


@dataclass(frozen=True, slots=True)
class TensorSource:
    """One tensor to write.

    Attributes:
        name: as it will stand in the file.
        dtype: in the file.
        shape: row-major, outermost dimension first.
        data: returns the tensor's data in that dtype as flat bytes; called once, when its turn
            has come, so that a writer holds one tensor at a time.
        bring: has the system read from the disk what `data` is made of.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    data: Callable[[], npt.NDArray[np.uint8]]
    bring: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, name: str, array: npt.NDArray[np.float32], dtype: DType) -> TensorSource:
        """Return the source of an array that is encoded when it is written."""
        return cls(name, dtype, array.shape, lambda: from_float32(array, dtype))

    def bytes_of(self, size: int) -> memoryview:
        """Return the data, or raise ArtifactError when it is not of the size it must have."""
        self.bring()
        data = np.ascontiguousarray(self.data()).view(np.uint8).reshape(-1)
        if data.size != size:
            raise ArtifactError(
                ArtifactFault.MALFORMED,
                f"tensor {self.name!r}: {data.size} bytes were made for {self.dtype} "
                f"{list(self.shape)}, which takes {size}",
                rule="G0-TENSOR-SIZE",
                where=self.name,
            )
        return data.data
