"""A weights file taken apart to be spoilt: tensors as bytes, metadata as values, and back."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import read_config
from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.names import head_and_embedding, naming_of, required_tensors
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.falsify.fault import NotApplicableError, Sample
from pytest_aprqa.words import Format

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor as it lies in the file."""

    dtype: DType
    shape: tuple[int, ...]
    data: Bytes

    @classmethod
    def of(cls, values: Floats, dtype: DType) -> Stored:
        """Encode values."""
        return cls(dtype, values.shape, from_float32(np.ascontiguousarray(values), dtype))

    @property
    def values(self) -> Floats:
        return to_float32(self.data, self.dtype, self.shape).copy()

    @property
    def rows(self) -> Bytes:
        """The bytes of each row: whole blocks, so that rows can be moved as they are."""
        return self.data.reshape(self.shape[0], -1)


class WeightsFile:
    """The parts of one weights file, to be changed.

    Attributes:
        sample: where it lies.
        config: what the file says its shape is.
        tensors: by the names in the file; change, add and remove at will.
        metadata: plain values by key, of APR and GGUF; change, add and remove at will.
    """

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        path = sample.directory if sample.format is Format.SAFETENSORS else sample.weights
        with open_tensors(path) as file:
            self.config: ModelConfig = read_config(sample.format, path, file)
            self.metadata: dict[str, Any] = copy.deepcopy(dict(file.metadata))
            self._values = file.values if isinstance(file, GgufFile) else ()
            self.tensors = {
                name: Stored(info.dtype, info.shape, file.raw(name).copy())
                for name, info in file.tensors.items()
            }
        naming = naming_of(self.tensors)
        self._names = {slot.hf: slot.name(naming) for slot in required_tensors(self.config)}

    def name(self, hf: str) -> str:
        """Return the name in this file of a tensor named as in SafeTensors.

        Raises:
            NotApplicableError: the model has no such tensor.
        """
        try:
            return self._names[hf]
        except KeyError:
            raise NotApplicableError(f"the model has no tensor {hf}") from None

    def layer(self, number: int, part: str) -> str:
        """Return the name in this file of a part of a layer, such as "mlp.up_proj.weight"."""
        return self.name(f"model.layers.{number}.{part}")

    @property
    def middle(self) -> int:
        """A layer that is neither first nor last."""
        return self.config.num_layers // 2

    @property
    def embeddings(self) -> list[str]:
        """The embedding and, where the file has it, the head that is tied to it."""
        pair = head_and_embedding(self.config.architecture)
        assert pair is not None
        head, embedding = pair
        tied = [head] if self.config.tied and head in self.tensors else []
        return [self.name(embedding), *tied]

    def values(self, name: str) -> Floats:
        """Return a tensor as float32, row-major."""
        return self.tensors[name].values

    def put(self, name: str, values: Floats) -> None:
        """Replace the values of a tensor, which keeps its dtype."""
        self.tensors[name] = Stored.of(values, self.tensors[name].dtype)

    def put_rows(self, name: str, rows: Bytes) -> None:
        """Replace the rows of a tensor by rows of bytes."""
        self.tensors[name] = replace(
            self.tensors[name], data=np.ascontiguousarray(rows).reshape(-1)
        )

    def swap(self, one: str, other: str) -> None:
        """Exchange two tensors."""
        self.tensors[one], self.tensors[other] = self.tensors[other], self.tensors[one]

    def of_layer(self, number: int) -> list[str]:
        """Return the names of all tensors of a layer."""
        found = ((name, _LAYER.search(name)) for name in self.tensors)
        return [name for name, match in found if match and int(match[0]) == number]

    def in_layer(self, name: str, number: int) -> str:
        """Return the name of the same tensor of another layer."""
        return _LAYER.sub(str(number), name, count=1)

    def save(self) -> None:
        """Write the file again."""
        sources = [
            TensorSource(name, stored.dtype, stored.shape, partial(_as_it_is, stored.data))
            for name, stored in self.tensors.items()
        ]
        path = self.sample.weights
        if self.sample.format is Format.SAFETENSORS:
            write_safetensors(path, sources)
        elif self.sample.format is Format.APR:
            write_apr(path, sources, self.metadata)
        else:
            write_gguf(path, sources, list(self._gguf_values()))

    def _gguf_values(self) -> Iterator[GgufValue]:
        for value in self._values:
            if value.key in self.metadata:
                yield replace(value, value=self.metadata[value.key])
        for key in self.metadata.keys() - {value.key for value in self._values}:
            yield GgufValue(key, _type_of(self.metadata[key]), self.metadata[key])


def _type_of(value: object) -> GgufType:
    if isinstance(value, bool):
        return GgufType.BOOL
    if isinstance(value, int):
        return GgufType.UINT32
    return GgufType.FLOAT32 if isinstance(value, float) else GgufType.STRING


def _as_it_is(data: Bytes) -> Bytes:
    return data


@contextmanager
def edited(sample: Sample) -> Iterator[WeightsFile]:
    """Yield the parts of a sample's weights file; they are written back at the end."""
    file = WeightsFile(sample)
    yield file
    file.save()
