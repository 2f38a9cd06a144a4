"""What an artifact states of itself, wherever its format keeps it, to be changed by one name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.template import TEMPLATE_FILE, read_template
from pytest_aprqa.falsify.fault import NotApplicableError, Sample
from pytest_aprqa.falsify.weights_file import edited
from pytest_aprqa.words import Format

_APR_REST = "hf_config"
_GGUF_TEMPLATE = "tokenizer.chat_template"
_APR_TEMPLATE = "chat_template"


@dataclass(frozen=True, slots=True)
class _Keys:
    """The names of one field; those of GGUF without the prefix of the architecture."""

    hf: str
    apr: str
    gguf: tuple[str, ...] = ()


_FIELDS = {
    "layers": _Keys("num_hidden_layers", "num_layers", ("block_count",)),
    "heads": _Keys("num_attention_heads", "num_heads", ("attention.head_count",)),
    "kv_heads": _Keys("num_key_value_heads", "num_kv_heads", ("attention.head_count_kv",)),
    "head_dim": _Keys(
        "head_dim",
        "head_dim",
        ("attention.key_length", "attention.value_length", "rope.dimension_count"),
    ),
    "intermediate": _Keys("intermediate_size", "intermediate_size", ("feed_forward_length",)),
    "epsilon": _Keys("rms_norm_eps", "rms_norm_eps", ("attention.layer_norm_rms_epsilon",)),
    "context": _Keys("max_position_embeddings", "max_position_embeddings", ("context_length",)),
    "tied": _Keys("tie_word_embeddings", "tied_embeddings"),
    "activation": _Keys("hidden_act", f"{_APR_REST}.hidden_act"),
    "theta": _Keys("rope_parameters.rope_theta", "rope_theta", ("rope.freq_base",)),
}


@contextmanager
def json_file(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the content of a JSON file, and write it back."""
    content = json.loads(path.read_text("utf-8"))
    yield content
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


@contextmanager
def hf_config(sample: Sample) -> Iterator[dict[str, Any]]:
    """Yield config.json of a SafeTensors sample."""
    with json_file(sample.directory / "config.json") as config:
        yield config


@contextmanager
def metadata(sample: Sample) -> Iterator[dict[str, Any]]:
    """Yield the metadata of an APR or GGUF sample."""
    with edited(sample) as file:
        yield file.metadata


def state(sample: Sample, field: str, change: Callable[[Any], Any]) -> None:
    """Change a field of the configuration by its name in this module.

    Raises:
        NotApplicableError: the format does not state it.
    """
    keys = _FIELDS[field]
    if sample.format is Format.SAFETENSORS:
        with hf_config(sample) as config:
            _change(config, keys.hf, change)
    elif sample.format is Format.APR:
        with metadata(sample) as values:
            _change(values, keys.apr, change)
    else:
        if not keys.gguf:
            raise NotApplicableError(f"GGUF does not state {keys.hf}")
        with metadata(sample) as values:
            prefix = values["general.architecture"]
            for key in keys.gguf:
                _change(values, f"{prefix}.{key}", change, nested=False)


def _change(
    values: dict[str, Any], key: str, change: Callable[[Any], Any], *, nested: bool = True
) -> None:
    holder = values
    if nested:
        *outer, key = key.split(".")
        for name in outer:
            holder = holder[name]
    if key not in holder:
        raise NotApplicableError(f"the model states no {key}")
    holder[key] = change(holder[key])


def state_rope_scaling(sample: Sample, factor: float) -> None:
    """State that positions are scaled linearly."""
    scaling = {"rope_type": "linear", "factor": factor}
    if sample.format is Format.SAFETENSORS:
        with hf_config(sample) as config:
            config["rope_parameters"] |= scaling
    elif sample.format is Format.APR:
        with metadata(sample) as values:
            values[_APR_REST].setdefault("rope_parameters", {}).update(scaling)
    else:
        with metadata(sample) as values:
            prefix = values["general.architecture"]
            values[f"{prefix}.rope.scaling.type"] = "linear"
            values[f"{prefix}.rope.scaling.factor"] = factor


def state_architecture(sample: Sample, model_type: str, hf_class: str) -> None:
    """State another architecture; GGUF's keys get its prefix, for they would not be found."""
    if sample.format is Format.SAFETENSORS:
        with hf_config(sample) as config:
            config |= {"model_type": model_type, "architectures": [hf_class]}
        return
    with metadata(sample) as values:
        if sample.format is Format.APR:
            values |= dict.fromkeys(("model_type", "architecture", "hf_model_type"), model_type)
            values["hf_architecture"] = hf_class
            return
        before = values["general.architecture"]
        for key in [key for key in values if key.startswith(f"{before}.")]:
            values[f"{model_type}{key.removeprefix(before)}"] = values.pop(key)
        values["general.architecture"] = model_type


def state_ends(sample: Sample, ends: tuple[int, ...]) -> None:
    """State which tokens end a text."""
    if sample.format is Format.SAFETENSORS:
        for name in ("config.json", "generation_config.json"):
            if (sample.directory / name).is_file():
                with json_file(sample.directory / name) as config:
                    config["eos_token_id"] = list(ends)
        return
    prefix = "tokenizer." if sample.format is Format.APR else "tokenizer.ggml."
    with metadata(sample) as values:
        for key in ("eos_token_id", "eot_token_id"):
            values.pop(f"{prefix}{key}", None)
        for key, value in zip(("eos_token_id", "eot_token_id"), ends, strict=False):
            values[f"{prefix}{key}"] = value
        if sample.format is Format.APR and "eos_token_id" in values.get(_APR_REST, {}):
            values[_APR_REST]["eos_token_id"] = list(ends)


@contextmanager
def template(sample: Sample) -> Iterator[list[str | None]]:
    """Yield the chat template as the only item of a list; None takes it away.

    Raises:
        NotApplicableError: the model has none.
    """
    if sample.format is Format.SAFETENSORS:
        path = sample.directory / TEMPLATE_FILE
        beside = sample.directory / "tokenizer_config.json"
        held = [read_template(sample.directory, json.loads(beside.read_text("utf-8")))]
        _refuse_without(held)
        yield held
        with json_file(beside) as stated:
            stated.pop("chat_template", None)
        path.unlink(missing_ok=True)
        if held[0] is not None:
            path.write_text(held[0], "utf-8")
        return
    key = _APR_TEMPLATE if sample.format is Format.APR else _GGUF_TEMPLATE
    with metadata(sample) as values:
        held = [values.pop(key, None)]
        _refuse_without(held)
        yield held
        if held[0] is not None:
            values[key] = held[0]


def _refuse_without(held: list[str | None]) -> None:
    if held[0] is None:
        raise NotApplicableError("the model has no chat template")
