"""Layers and experts held against their siblings: whether one is a copy of another."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_aprqa.artifact.same_bytes import same_bytes
from pytest_aprqa.artifact.tensor_file import TensorFile, TensorInfo
from pytest_aprqa.artifact.tensor_statistics import Statistics
from pytest_aprqa.observation import Finding, Severity

RULE = "G0-REPEATED-TENSOR"

_NUMBER = re.compile(r"\.\d+\.")


class Siblings:
    """The same matrices of all layers, and of all experts, of a model.

    Training never leaves two matrices alike, bit for bit. Few are compared: only those whose
    largest magnitude and number of zeros agree.
    """

    def __init__(self, tensors: TensorFile) -> None:
        self._tensors = tensors
        self._seen: dict[tuple[object, ...], list[TensorInfo]] = {}

    def find(self, info: TensorInfo, statistics: Statistics) -> Iterator[Finding]:
        """Yield the finding that a tensor is a copy of one that was here before."""
        role = _NUMBER.sub(".{}.", info.name)
        if len(info.shape) < 2 or role == info.name or statistics.constant is not None:
            return
        alike = (role, info.dtype, info.shape, statistics.peak, statistics.zeros)
        others = self._seen.setdefault(alike, [])
        for other in others:
            if same_bytes(self._tensors.raw(info.name), self._tensors.raw(other.name)):
                message = f"{info.name} is a copy of {other.name}, bit for bit"
                yield Finding(RULE, message, Severity.WARNING, info.name)
                return
        others.append(info)
