"""One way to look into a file of tensors, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from pytest_aprqa.words import Format


class DType(StrEnum):
    """Element types over all formats. Block-quantised types carry their GGML or APR name."""

    F64 = "F64"
    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    F8_E4M3 = "F8_E4M3"
    F8_E5M2 = "F8_E5M2"
    I64 = "I64"
    I32 = "I32"
    I16 = "I16"
    I8 = "I8"
    U64 = "U64"
    U32 = "U32"
    U16 = "U16"
    U8 = "U8"
    BOOL = "BOOL"
    Q4_0 = "Q4_0"
    Q4_1 = "Q4_1"
    Q5_0 = "Q5_0"
    Q5_1 = "Q5_1"
    Q8_0 = "Q8_0"
    Q8_1 = "Q8_1"
    Q2_K = "Q2_K"
    Q3_K = "Q3_K"
    Q4_K = "Q4_K"
    Q5_K = "Q5_K"
    Q6_K = "Q6_K"
    Q8_K = "Q8_K"
    IQ2_XXS = "IQ2_XXS"
    IQ2_XS = "IQ2_XS"
    IQ2_S = "IQ2_S"
    IQ3_XXS = "IQ3_XXS"
    IQ3_S = "IQ3_S"
    IQ1_S = "IQ1_S"
    IQ1_M = "IQ1_M"
    IQ4_NL = "IQ4_NL"
    IQ4_XS = "IQ4_XS"
    TQ1_0 = "TQ1_0"
    TQ2_0 = "TQ2_0"
    MXFP4 = "MXFP4"
    NVFP4 = "NVFP4"
    Q1_0 = "Q1_0"
    APR_Q4 = "APR_Q4"
    APR_Q8 = "APR_Q8"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies.

    Attributes:
        name: as written in the file.
        dtype: as declared in the file.
        shape: row-major, outermost dimension first (PyTorch order) for every format.
        path: the file that holds the bytes (one shard of several).
        offset: of the first byte in that file.
        nbytes: length of the data without padding.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    path: Path
    offset: int
    nbytes: int


class TensorFile(Protocol):
    """Tensors and metadata of one artifact, memory-mapped; nothing is read until asked for.

    A context manager. Opening raises ArtifactError when the container is malformed.
    """

    format: Format

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files it is made of: shards in order, without config or tokenizer."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """All tensors by name, in file order."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata inside the weights file (GGUF key-values, APR JSON, __metadata__)."""
        ...

    def raw(self, name: str, index: int = 0, parts: int = 1) -> npt.NDArray[np.uint8]:
        """Return the bytes of a tensor as a read-only view of the memory map.

        Args:
            name: in the file.
            index: which of its equal parts.
            parts: how many there are of them; one, all of it, if not given.
        """
        ...

    def bring(self, name: str, index: int = 0, parts: int = 1) -> None:
        """Have the system read from the disk what `raw` returns, unless it holds the files already."""
        ...

    def is_cached(self) -> bool:
        """Whether the system held the files in memory when this was asked first."""
        ...

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """Return a tensor dequantised to float32 in its shape."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
