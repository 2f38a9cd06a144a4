"""The dtype a model is stored in, as one word."""

from __future__ import annotations

from collections import Counter

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tensor_file import DType


def stored_dtype(artifact: Artifact) -> DType:
    """Return the dtype that holds most of an artifact's bytes.

    Raises:
        ArtifactError: the container is malformed or cannot be read.
    """
    bytes_by_dtype: Counter[DType] = Counter()
    with open_tensors(artifact.path) as file:
        for info in file.tensors.values():
            bytes_by_dtype[info.dtype] += info.nbytes
    return max(bytes_by_dtype, key=lambda dtype: bytes_by_dtype[dtype], default=DType.F32)
