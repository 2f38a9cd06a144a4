"""Which artifacts a model is tested as: one of each format, or one for each quantisation of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_aprqa.words import Cell, Format

if TYPE_CHECKING:
    from pytest_aprqa.playbook.errors import FieldPath
    from pytest_aprqa.playbook.model_spec import ModelSpec

APR_QUANTIZATIONS = frozenset(
    [
        "f32",
        "f16",
        "fp16",
        "bf16",
        "q4_k",
        "q4_k_m",
        "q4_k_s",
        "q4k",
        "q6_k",
        "q4_0",
        "int4",
        "apr_q4",
        "q8_0",
        "int8",
        "apr_q8",
    ]
)
"""What the matrices of an APR file can be, in the words of the `apr` command and of llama.cpp."""

_ANY_QUANTIZATION = re.compile(r"(?<![a-z0-9])(i?q\d|b?f(16|32)|int[48])(?![a-z0-9])")


def artifacts_of(model: ModelSpec, formats: Iterable[Format]) -> tuple[Cell, ...]:
    """Return the artifacts to test, in the order of the formats.

    SafeTensors is the one ground truth. Of any other format there is one for each quantisation
    when the playbook states several; an only one need not be told from others by its name.
    """
    return tuple(
        Cell(form, quantization=quantization)
        for form in formats
        for quantization in _of_format(model, form)
    )


def formats_of(artifacts: Iterable[Cell]) -> tuple[Format, ...]:
    """Return the formats of artifacts, each once, in their order."""
    return tuple(dict.fromkeys(cell.format for cell in artifacts if cell.format))


def several(model: ModelSpec) -> tuple[str, ...]:
    """Return the quantisations by which artifacts are told apart; none when there is but one."""
    names = tuple(name.lower() for name in model.quantizations)
    return names if len(names) > 1 else ()


def states(file: str, quantization: str) -> bool:
    """Whether a file says in its name that it is of a quantisation ("model.Q4_K_M.gguf")."""
    word = rf"(?<![a-z0-9]){re.escape(quantization.lower())}(?![a-z0-9_])"
    return re.search(word, PurePath(file).name.lower()) is not None


def states_any(file: str) -> bool:
    """Whether a file says in its name that it is of some quantisation, whichever."""
    return _ANY_QUANTIZATION.search(PurePath(file).name.lower()) is not None


def left_out(model: ModelSpec) -> Iterator[tuple[FieldPath, str]]:
    """Say which of several quantisations are not tested in every format."""
    if Format.APR not in model.formats:
        return
    tested = _of_format(model, Format.APR)
    for place, name in enumerate(several(model)):
        if name not in tested:
            reason = (
                f"an APR file cannot hold {name}, so it is not tested as apr; one can hold "
                f"{', '.join(sorted(APR_QUANTIZATIONS))}"
            )
            yield ("model", "quantizations", place), reason


def unclear(model: ModelSpec) -> Iterator[tuple[FieldPath, str]]:
    """Find what leaves open which artifact is which."""
    names = [name.lower() for name in model.quantizations]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield ("model", "quantizations", place), f"{name} is stated twice"
    for form, named in model.files.items():
        at: FieldPath = ("model", "files", form.value)
        if isinstance(named, str):
            if several(model) and form is not Format.SAFETENSORS and not _is_clear(named, names):
                example = f"{{{names[0]}: {named}}}"
                yield at, f"say which of {', '.join(names)} the file is, for instance {example}"
        elif form is Format.SAFETENSORS:
            yield at, "SafeTensors are the one reference and have no quantisations; name a file"
        else:
            for name in named:
                if name not in names:
                    yield (*at, name), f"{name} is not among model.quantizations; add it there"


def _is_clear(file: str, quantizations: Iterable[str]) -> bool:
    return any(states(file, name) for name in quantizations)


def _of_format(model: ModelSpec, form: Format) -> tuple[str | None, ...]:
    names = several(model)
    if form is Format.SAFETENSORS or not names:
        return (None,)
    held = tuple(name for name in names if form is Format.GGUF or name in APR_QUANTIZATIONS)
    return held or names  # that none can be made is said by gateway G0 of each
