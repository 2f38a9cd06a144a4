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

# What a type inherits entry by entry.
_TABLES = ("tensors", "keys", "extra", "fixed", "derived", "defaults", "only", "spellings", "meant")


class Layout(StrEnum):
    """How the values of a GGUF tensor differ from those of its Hugging Face counterpart.

    SAME: not at all. ROPE_HEADS, ROPE_KV_HEADS: rows of each head interleaved, because llama.cpp
    rotates adjacent pairs where transformers rotates halves. QKV_BY_HEAD: the fused projection
    lies by key head in Hugging Face, the queries of a head before its key and value; in GGUF all q
    then all k then all v. PLUS_ONE: GGUF stores the norm weight that is multiplied, Hugging Face
    stores it less one.
    """

    SAME = "same"
    ROPE_HEADS = "rope_heads"
    ROPE_KV_HEADS = "rope_kv_heads"
    QKV_BY_HEAD = "qkv_by_head"
    PLUS_ONE = "plus_one"


@dataclass(frozen=True, slots=True)
class TensorRule:
    """One tensor of a model, or one per layer when the names hold `{}`.

    It is one per expert when they hold `{e}` or end in `[e]`. A name that ends in `[e]` is that of a
    stack of all experts; in `[e,0/2]`, of a stack in which each expert has two such tensors, of
    which this is the first.

    Attributes:
        hf: name in SafeTensors and APR.
        gguf: name in GGUF.
        shape: row-major, each dimension a number or the name of a ModelConfig attribute.
        layout: how GGUF holds the values.
        when: the boolean ModelConfig attribute that says whether it exists; "" is always.
        fused: name in SafeTensors that stack the experts, as transformers 5 holds them; "" is `hf`.
        gguf_shape: in GGUF, where dimensions of one are left out; () is `shape`.
        router: it chooses experts, which rounding would change: it is never quantised.
    """

    hf: str
    gguf: str
    shape: tuple[str | int, ...]
    layout: Layout = Layout.SAME
    when: str = ""
    fused: str = ""
    gguf_shape: tuple[str | int, ...] = ()
    router: bool = False

    @property
    def per_expert(self) -> bool:
        return "{e}" in self.hf or "[e" in self.hf


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is known of one `model_type`.

    Attributes:
        model_type: of config.json.
        hf_class: the class transformers builds, `architectures[0]` of config.json.
        gguf: `general.architecture`.
        tensors: all tensors, in the order they are written.
        keys: ModelConfig field -> key of config.json, where it is not the field's own name; "" where
            there is none.
        extra: key of config.json -> key of GGUF without the architecture's prefix, for values
            that ModelConfig carries without understanding them.
        fixed: field of ModelConfig or key of config.json -> the only value GGUF can express.
        derived: key of config.json -> ModelConfig attribute that GGUF takes it to be.
        only: key of config.json -> the only value with which the tensors are these; with another
            it is an architecture of its own.
        spellings: key of config.json -> another key that means the same.
        meant: key of config.json -> value of older files -> what transformers takes it for.
        defaults: key of config.json -> value transformers assumes when the key is absent.
        layer_norm: whether it normalises with LayerNorm; else RMSNorm.
        sliding_period: every so many-th layer sees everything, the others a window; 0: all do.
        window_lost: it has a window in transformers, which llama.cpp does not apply.
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
    only: dict[str, Any] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    meant: dict[str, dict[str, str]] = field(default_factory=dict)
    layer_norm: bool = False
    sliding_period: int = 0
    window_lost: bool = False

    @property
    def experts(self) -> bool:
        """Whether its layers are mixtures of experts."""
        return any(rule.per_expert for rule in self.tensors)

    @property
    def expert_sizes(self) -> tuple[str, ...]:
        """The fields of ModelConfig on experts that a configuration must state."""
        if not self.experts:
            return ()
        sizes = {size for rule in self.tensors for size in rule.shape}
        own = ("expert_size", "shared_expert_size")
        return ("num_experts", "num_experts_used", *(size for size in own if size in sizes))


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


def architecture_of_gguf(name: str, experts: bool = False) -> Architecture:
    """Return what is known of a `general.architecture`, with experts or without.

    Several model types may share one (mistral and mixtral are llamas to llama.cpp); among those that
    have experts as asked, or else among all, the one whose `model_type` equals the name wins, else
    the first in alphabetical order.

    Raises:
        ArtifactError: UNSUPPORTED, naming the architecture, when nothing is known.
    """
    sharing = [known for known in _all().values() if known.gguf == name]
    if sharing:
        return min(sharing, key=lambda k: (k.experts is not experts, k.model_type != name))
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
                fused=rule.get("fused", ""),
                gguf_shape=tuple(rule.get("gguf_shape", ())),
                router=rule.get("router", False),
            )
            for hf, rule in merged["tensors"].items()
        ),
        keys=merged.get("keys", {}),
        extra=merged.get("extra", {}),
        fixed=merged.get("fixed", {}),
        defaults=merged.get("defaults", {}),
        derived=merged.get("derived", {}),
        only=merged.get("only", {}),
        spellings=merged.get("spellings", {}),
        meant=merged.get("meant", {}),
        layer_norm=merged.get("layer_norm", False),
        sliding_period=merged.get("sliding_period", 0),
        window_lost=merged.get("window_lost", False),
    )


def _inherit(name: str, raw: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a table with those of the type it extends; its own entries win, `drop` takes out."""
    own = raw[name]
    if "extends" not in own:
        return own
    base = _inherit(own["extends"], raw)
    merged: dict[str, Any] = {**base, **own}
    for table in _TABLES:
        merged[table] = {**base.get(table, {}), **own.get(table, {})}
    for key in own.get("drop", ()):
        del next(merged[table] for table in _TABLES if key in merged[table])[key]
    return merged
