"""The metadata of an APR file: which JSON types its readers insist on, and which keys poison it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.strict_json import is_count

ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_dim", "d_model", "n_embd"),
    "num_layers": ("n_layers", "num_hidden_layers", "n_layer"),
    "num_heads": ("n_heads", "num_attention_heads", "n_head"),
    "num_kv_heads": ("n_kv_heads", "num_key_value_heads"),
    "vocab_size": ("n_vocab",),
    "intermediate_size": ("ffn_dim", "intermediate_dim", "n_inner"),
    "max_position_embeddings": ("max_seq_len", "context_length", "n_ctx"),
    "rms_norm_eps": ("layer_norm_eps", "norm_eps"),
}
"""Canonical key -> spellings that APR's inference engine takes for the same field. Two spellings in
one file make that engine drop all metadata silently."""

Predicate = Callable[[object], bool]


def refuse_metadata(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise ArtifactError MALFORMED when a reader of the format would refuse or drop the metadata.

    The rules are those of the typed structure that `apr` parses it into: a key it knows must have
    the type it wants, null where that is allowed; any other key may hold anything.
    """
    for canonical, others in ALIASES.items():
        spellings = [key for key in (canonical, *others) if key in metadata]
        if len(spellings) > 1:
            raise malformed(
                path,
                "G0-APR-ALIAS",
                f"metadata has {' and '.join(spellings)}, spellings of one field; readers then "
                f"drop all metadata. Keep {canonical}",
            )
    for key, (predicate, expected) in _FIELDS.items():
        if key in metadata and not predicate(metadata[key]):
            raise _wrong(path, key, metadata[key], expected)
    for key, fields in _RECORDS.items():
        _refuse_record(path, key, metadata.get(key), fields)


def refuse_shard(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise ArtifactError UNSUPPORTED on a part of a model: what is missing is in other files."""
    count = (metadata.get("sharding") or {}).get("shard_count", 1)
    if count > 1:
        raise unsupported(path, f"is one of {count} shards of a model, which are not read")


def _refuse_record(
    path: Path, key: str, record: object, fields: Mapping[str, tuple[Predicate, str, bool]]
) -> None:
    if record is None:
        return
    if not isinstance(record, dict):
        raise _wrong(path, key, record, "an object or null")
    for name, (predicate, expected, mandatory) in fields.items():
        if (mandatory or name in record) and not predicate(record.get(name)):
            raise _wrong(path, f"{key}.{name}", record.get(name), expected)


def _wrong(path: Path, key: str, value: object, expected: str) -> ArtifactError:
    found = repr(value)
    found = found if len(found) <= 40 else f"{found[:37]}..."
    return malformed(path, "G0-METADATA", f"metadata {key} is {found}, expected {expected}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_u64(value: object) -> bool:
    return is_count(value) and isinstance(value, int) and value < 2**64


def _is_count_or_null(value: object) -> bool:
    return value is None or _is_u64(value)


def _is_number_or_null(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_byte(value: object) -> bool:
    return is_count(value) and isinstance(value, int) and value < 256


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


_TEXTS = [
    "name",
    "description",
    "author",
    "version",
    "source",
    "original_format",
    "created_at",
    "license",
    "data_source",
    "data_license",
    "chat_template",
    "chat_format",
    "architecture",
    "hf_architecture",
    "hf_model_type",
]
_COUNTS = [
    "hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "vocab_size",
    "intermediate_size",
    "max_position_embeddings",
    "head_dim",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "rope_type",
]
_NUMBERS = ("rope_theta", "rms_norm_eps")


def _fields() -> dict[str, tuple[Predicate, str]]:
    fields: dict[str, tuple[Predicate, str]] = {
        "model_type": (_is_text, "a string"),
        "total_size": (_is_u64, "an unsigned integer of 64 bits"),
        "param_count": (_is_u64, "an unsigned integer of 64 bits"),
    }
    fields |= dict.fromkeys(_TEXTS, (_is_text_or_null, "a string or null"))
    fields |= dict.fromkeys(_COUNTS, (_is_count_or_null, "an unsigned integer of 64 bits or null"))
    fields |= dict.fromkeys(_NUMBERS, (_is_number_or_null, "a number or null"))
    for canonical, others in ALIASES.items():
        fields |= dict.fromkeys(others, fields[canonical])
    return fields


_FIELDS = _fields()
_RECORDS: dict[str, dict[str, tuple[Predicate, str, bool]]] = {
    "quantization": {
        "quant_type": (_is_text, "a string", True),
        "bits": (_is_byte, "an integer below 256", True),
        "symmetric": (_is_flag, "true or false", True),
        "block_size": (_is_count_or_null, "an unsigned integer of 64 bits or null", False),
    },
    "sharding": {
        "shard_count": (_is_u64, "an unsigned integer of 64 bits", True),
        "shard_index": (_is_u64, "an unsigned integer of 64 bits", True),
        "total_size": (_is_u64, "an unsigned integer of 64 bits", True),
        "pattern": (_is_text_or_null, "a string or null", False),
    },
    "special_tokens": {
        f"{token}_token": (_is_text_or_null, "a string or null", False)
        for token in ("bos", "eos", "unk", "pad", "im_start", "im_end")
    },
}
"""Nested records: field -> what it must be, in words, and whether it must be there."""
