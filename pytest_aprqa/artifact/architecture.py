"""What is known of each architecture: tensor names, shapes and the order of rows per format.

The knowledge itself stands in `architectures/*.toml`, one file per Hugging Face `model_type`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault


class Layout(StrEnum):
    """How the values of a GGUF tensor differ from those of its Hugging Face counterpart.

    SAME: not at all. ROPE_HEADS, ROPE_KV_HEADS: rows of each head interleaved, because llama.cpp
    rotates adjacent pairs where transformers rotates halves. QKV_BY_HEAD: the fused projection
    lies head by head in Hugging Face, all q then all k then all v in GGUF. PLUS_ONE: GGUF stores
    the norm weight that is multiplied, Hugging Face stores it less one.
    """

    SAME = "same"
    ROPE_HEADS = "rope_heads"
    ROPE_KV_HEADS = "rope_kv_heads"
    QKV_BY_HEAD = "qkv_by_head"
    PLUS_ONE = "plus_one"


@dataclass(frozen=True, slots=True)
class TensorRule:
    """One tensor of a model, or one per layer when the names hold `{}`.

    Attributes:
        hf: name in SafeTensors and APR.
        gguf: name in GGUF.
        shape: row-major, each dimension the name of a ModelConfig attribute.
        layout: how GGUF holds the values.
        when: the boolean ModelConfig attribute that says whether it exists; "" is always.
    """

    hf: str
    gguf: str
    shape: tuple[str, ...]
    layout: Layout = Layout.SAME
    when: str = ""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is known of one `model_type`.

    Attributes:
        model_type: of config.json.
        hf_class: the class transformers builds, `architectures[0]` of config.json.
        gguf: `general.architecture`.
        tensors: all tensors, in the order they are written.
        keys: ModelConfig field -> key of config.json, where it is not the field's own name.
        extra: key of config.json -> key of GGUF without the architecture's prefix, for values
            that ModelConfig carries without understanding them.
        fixed: field of ModelConfig or key of config.json -> the only value GGUF can express.
        derived: key of config.json -> ModelConfig attribute that GGUF takes it to be.
        defaults: key of config.json -> value transformers assumes when the key is absent.
        layer_norm: whether it normalises with LayerNorm; else RMSNorm.
        sliding_period: every so many-th layer sees everything, the others a window; 0: all do.
    """

    model_type: str
    hf_class: str
    gguf: str
    tensors: tuple[TensorRule, ...]
    keys: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    layer_norm: bool = False
    sliding_period: int = 0


def architecture(model_type: str) -> Architecture:
    """Return what is known of a `model_type` of config.json.

    Raises:
        ArtifactError: UNSUPPORTED, naming the type, when nothing is known.
    """
    try:
        return _all()[model_type]
    except KeyError:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"architecture {model_type!r} is not known; known are {', '.join(sorted(_all()))}",
        ) from None


def architecture_of_gguf(name: str) -> Architecture:
    """Return what is known of a `general.architecture`.

    Several model types may share one (mistral is a llama to llama.cpp); the first in
    alphabetical order whose `model_type` equals the name wins, else the first that uses it.

    Raises:
        ArtifactError: UNSUPPORTED, naming the architecture, when nothing is known.
    """
    if name in _all() and _all()[name].gguf == name:
        return _all()[name]
    for known in _all().values():
        if known.gguf == name:
            return known
    names = sorted({known.gguf for known in _all().values()})
    raise ArtifactError(
        ArtifactFault.UNSUPPORTED,
        f"GGUF architecture {name!r} is not known; known are {', '.join(names)}",
    )


def model_types() -> tuple[str, ...]:
    """Return every `model_type` that is known."""
    return tuple(_all())


@cache
def _all() -> dict[str, Architecture]:
    folder = resources.files("pytest_aprqa.artifact") / "architectures"
    raw = {
        entry.name.removesuffix(".toml"): tomllib.loads(entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return {name: _build(name, raw) for name in sorted(raw)}


def _build(name: str, raw: dict[str, dict[str, Any]]) -> Architecture:
    merged = _inherit(name, raw)
    return Architecture(
        model_type=name,
        hf_class=merged["hf_class"],
        gguf=merged["gguf"],
        tensors=tuple(
            TensorRule(
                hf=hf,
                gguf=rule["gguf"],
                shape=tuple(rule["shape"]),
                layout=Layout(rule.get("layout", Layout.SAME)),
                when=rule.get("when", ""),
            )
            for hf, rule in merged["tensors"].items()
        ),
        keys=merged.get("keys", {}),
        extra=merged.get("extra", {}),
        fixed=merged.get("fixed", {}),
        defaults=merged.get("defaults", {}),
        derived=merged.get("derived", {}),
        layer_norm=merged.get("layer_norm", False),
        sliding_period=merged.get("sliding_period", 0),
    )


def _inherit(name: str, raw: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a table with those of the type it extends; its own entries win, `drop` removes."""
    own = raw[name]
    if "extends" not in own:
        return own
    base = _inherit(own["extends"], raw)
    merged: dict[str, Any] = {**base, **own}
    for table in ("tensors", "keys", "extra", "fixed", "derived", "defaults"):
        merged[table] = {**base.get(table, {}), **own.get(table, {})}
    for hf in own.get("drop", ()):
        del merged["tensors"][hf]
    return merged
