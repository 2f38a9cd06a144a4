"""How text is cut before byte-level BPE: GGUF's names and the structure of tokenizer.json."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

Step = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PreType:
    """One way of cutting.

    Attributes:
        name: in `tokenizer.ggml.pre`.
        steps: (kind, argument) in order: ("split", regex), ("digits", "each"), ("words", "gpt2").
        normalizer: type of the Unicode normaliser before it, or "".
        ignore_merges: a piece that is a token is not merged.
        add_bos: what llama.cpp assumes when the file does not say.
    """

    name: str
    steps: tuple[Step, ...]
    normalizer: str
    ignore_merges: bool
    add_bos: bool


def pre_type(name: str) -> PreType:
    """Return the way of cutting with this GGUF name.

    Raises:
        ArtifactError: UNSUPPORTED, naming it.
    """
    try:
        return _all()[name]
    except KeyError:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"pre-tokenizer {name!r} (tokenizer.ggml.pre) is not known; "
            f"known are {', '.join(sorted(_all()))}",
        ) from None


def recognise(tokenizer_json: Mapping[str, Any]) -> PreType:
    """Return the way of cutting that a byte-level tokenizer.json describes.

    Of several names for the same way the first in our table is taken.

    Raises:
        ArtifactError: UNSUPPORTED, showing the steps, when none of the known ones is the same.
    """
    steps = _steps(tokenizer_json.get("pre_tokenizer") or {})
    ignore_merges = bool(tokenizer_json.get("model", {}).get("ignore_merges", False))
    same = [known for known in _all().values() if known.steps == steps]
    exact = [known for known in same if known.ignore_merges == ignore_merges]
    if not same:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"the pre-tokenizer of tokenizer.json is none that llama.cpp has a name for: {steps}",
        )
    return (exact or same)[0]


def pre_tokenizer_json(pre: PreType) -> dict[str, Any]:
    """Return the `pre_tokenizer` of tokenizer.json."""
    parts = [_part(step) for step in pre.steps]
    if ("words", "gpt2") not in pre.steps:
        parts.append(_byte_level(use_regex=False))
    return parts[0] if len(parts) == 1 else {"type": "Sequence", "pretokenizers": parts}


@cache
def _all() -> dict[str, PreType]:
    file = resources.files("pytest_aprqa.artifact") / "pre_tokenizers.toml"
    known: dict[str, PreType] = {}
    for first, entry in tomllib.loads(file.read_text("utf-8")).items():
        for name in (first, *entry.get("also", ())):
            known[name] = PreType(
                name=name,
                steps=tuple(next(iter(step.items())) for step in entry["steps"]),
                normalizer=entry.get("normalizer", ""),
                ignore_merges=entry.get("ignore_merges", False),
                add_bos=entry.get("add_bos", False),
            )
    return known


def _steps(pre_tokenizer: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps of a `pre_tokenizer`; what is not understood is named as it is."""
    kind = pre_tokenizer.get("type")
    if kind == "Sequence":
        parts = pre_tokenizer.get("pretokenizers", ())
        return tuple(step for part in parts for step in _steps(part))
    if kind == "ByteLevel" and not pre_tokenizer.get("add_prefix_space"):
        return (("words", "gpt2"),) if pre_tokenizer.get("use_regex", True) else ()
    if kind == "Digits":
        return (("digits", "each" if pre_tokenizer.get("individual_digits") else "together"),)
    if kind == "Punctuation" and pre_tokenizer.get("behavior") == "Contiguous":
        return (("punctuation", "together"),)
    if kind == "Split" and pre_tokenizer.get("behavior") == "Isolated":
        return (("split", str(pre_tokenizer.get("pattern", {}).get("Regex"))),)
    return (("unknown", str(dict(pre_tokenizer))),)


def _part(step: Step) -> dict[str, Any]:
    kind, argument = step
    if kind == "split":
        pattern = {"Regex": argument}
        return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    if kind == "digits":
        return {"type": "Digits", "individual_digits": argument == "each"}
    if kind == "punctuation":
        return {"type": "Punctuation", "behavior": "Contiguous"}
    return _byte_level(use_regex=True)


def _byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
