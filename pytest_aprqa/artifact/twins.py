"""Tensors that a reference and an artifact hold byte for byte: found once, not compared again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from pytest_aprqa.artifact.architecture import Layout
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import model_tensors
from pytest_aprqa.artifact.file_state import settled_state
from pytest_aprqa.artifact.look import Look, Twin
from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.artifact.names import Naming, naming_of, required_tensors
from pytest_aprqa.artifact.row_order import gguf_rows
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.artifact.tensor_pieces import CHUNK_BYTES
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tensor_statistics import is_float
from pytest_aprqa.words import Format

_SAME: dict[tuple[str, str], frozenset[str]] = {}
"""States of the files of a reference and of an artifact -> names of the tensors that are the same."""


@contextmanager
def twins_in(reference: Artifact | None, tensors: TensorFile) -> Iterator[Mapping[str, Twin]]:
    """Yield the tensors of a reference whose bytes a file should hold, by the file's names.

    There are none without a reference of SafeTensors, or when it cannot be read, which is said of
    it elsewhere. Quantised tensors, those of another dtype or shape, and parts of stacks have none.
    """
    with ExitStack() as stack:
        twins: Mapping[str, Twin] = {}
        if reference is not None and reference.format is Format.SAFETENSORS:
            with suppress(ArtifactError):
                config, sources = stack.enter_context(model_tensors(reference))
                twins = _by_name(config, sources, tensors)
        yield twins


def _by_name(
    config: ModelConfig, sources: Sequence[TensorSource], tensors: TensorFile
) -> dict[str, Twin]:
    naming = naming_of(tensors.tensors)
    twins = {}
    for slot, source in zip(required_tensors(config), sources, strict=True):
        place = slot.places[naming]
        info = tensors.tensors.get(place.name)
        if info is None or place.parts > 1 or not is_float(info.dtype):
            continue
        if (info.dtype, info.shape) != (source.dtype, source.shape):
            continue
        twin = Twin(source)
        if naming is Naming.GGUF:
            if slot.layout is Layout.PLUS_ONE:
                continue  # stored as other values
            twin = Twin(source, gguf_rows(slot.layout, config))
        if twin.order is None or info.nbytes <= CHUNK_BYTES * len(twin.order):
            twins[place.name] = twin
    return twins


def states_of(reference: Artifact | None, artifact: Artifact) -> tuple[str, str] | None:
    """Return the states of the files of both, to be taken before they are looked at.

    None when there is no reference, or when a later change of a file would not show.
    """
    if reference is None:
        return None
    try:
        one, other = settled_state(reference.files), settled_state(artifact.files)
    except OSError:
        return None
    return (one, other) if one and other else None


def remember_same(
    states: tuple[str, str] | None, twins: Mapping[str, Twin], looks: Iterable[Look]
) -> None:
    """Remember which tensors are finite and the same, as long as neither file is changed."""
    if states is not None:
        _SAME[states] = frozenset(
            twins[look.info.name].source.name
            for look in looks
            if look.same and look.statistics is not None and not look.statistics.not_finite
        )


def known_same(reference: Artifact, artifact: Artifact) -> frozenset[str]:
    """Return the names, in the reference, of tensors known to be finite and the same in both."""
    states = states_of(reference, artifact)
    return _SAME.get(states, frozenset()) if states else frozenset()
