"""The tensors of a model as a naming stores them: experts apart or in stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.dtypes import block_of
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.names import Naming, Place, required_tensors
from pytest_aprqa.artifact.row_order import NOT_BY_ROW, retyped, to_gguf_layout
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource


def can_be_stacked(dtype: DType, shape: tuple[int, ...]) -> bool:
    """Whether the bytes of a stack are those of its parts, one behind the other."""
    return dtype not in NOT_BY_ROW and shape[-1] % block_of(dtype).elements == 0


def stored_as(
    naming: Naming, config: ModelConfig, tensors: Sequence[TensorSource]
) -> list[TensorSource]:
    """Return the tensors that a file of this naming holds.

    Args:
        naming: of the file.
        config: of the model.
        tensors: one for each of `required_tensors(config)`, in that order, in the names and the
            row order of SafeTensors.

    Raises:
        ArtifactError: UNSUPPORTED, when parts of a stack are in a dtype that cannot be stacked.
    """
    stored: dict[str, list[tuple[Place, TensorSource]]] = {}
    for slot, tensor in zip(required_tensors(config), tensors, strict=True):
        moved = to_gguf_layout(tensor, slot.layout, config) if naming is Naming.GGUF else tensor
        place = slot.places[naming]
        stored.setdefault(place.name, []).append((place, moved))
    return [_stored(parts) for parts in stored.values()]


def _stored(parts: list[tuple[Place, TensorSource]]) -> TensorSource:
    place, tensor = parts[0]
    if len(parts) == 1:
        return replace(tensor, name=place.name, shape=place.shape)
    alike = len({part.dtype for _, part in parts}) == 1
    dtype = tensor.dtype if alike else DType.F32
    if not can_be_stacked(dtype, tensor.shape):
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"tensor {place.name!r} is a stack, which cannot be made of parts in {dtype}; "
            "take a type whose blocks fit into a row",
            where=place.name,
        )
    ordered = [retyped(part, dtype) for _, part in sorted(parts, key=lambda p: p[0].index)]
    return TensorSource(
        place.name, dtype, place.shape, partial(_joined, ordered), partial(_bring, ordered)
    )


def _bring(parts: Sequence[TensorSource]) -> None:
    for part in parts:
        part.bring()


def _joined(parts: Sequence[TensorSource]) -> npt.NDArray[np.uint8]:
    return np.concatenate([part.data() for part in parts])
