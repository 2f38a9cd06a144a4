"""Whether generation_config.json, which says where generation ends, fits the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.model_file import read_whole
from pytest_aprqa.artifact.strict_json import JsonError, is_count, parse_object
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.words import Format

RULE = "G0-GENERATION"

_FILE = "generation_config.json"
_ENDS = "eos_token_id"
_TOKENS = ("bos_token_id", _ENDS, "pad_token_id")
_NO_TOKEN = -1  # how files of Llama 1 say that nothing pads


def check_generation(artifact: Artifact, config: ModelConfig) -> FileReport:
    """Check the generation configuration of a SafeTensors directory, where there is one.

    It may end texts at more tokens than config.json does, as those of chat models do.
    """
    path = artifact.path / _FILE
    if artifact.format is not Format.SAFETENSORS or not path.exists():
        return FileReport(())
    try:
        stated = parse_object(read_whole(path), unique_keys=False)
    except (JsonError, OSError) as error:
        message = f"{_FILE} cannot be read: {error}"
        return FileReport((Finding(RULE, message, where=_FILE),))
    findings = (*_unknown(stated, config), *_contradiction(stated, config))
    return FileReport(findings, {"generation_config": 1})


def _unknown(stated: Mapping[str, Any], config: ModelConfig) -> Iterator[Finding]:
    for key in _TOKENS:
        for number in _listed(stated.get(key)):
            if key == "pad_token_id" and number == _NO_TOKEN:
                continue
            if not is_count(number) or number >= config.vocab_size:
                yield Finding(
                    RULE,
                    f"{key} is {number!r}, which is no id of the {config.vocab_size} tokens",
                    where=f"{_FILE}, {key}",
                )


def _contradiction(stated: Mapping[str, Any], config: ModelConfig) -> Iterator[Finding]:
    ends = [number for number in _listed(stated.get(_ENDS)) if number in range(config.vocab_size)]
    if ends and config.eos_token_ids and not {*ends} & {*config.eos_token_ids}:
        yield Finding(
            RULE,
            f"{_ENDS} is {ends}, in config.json {[*config.eos_token_ids]}: no token ends a text "
            "in both",
            Severity.WARNING,
            f"{_FILE}, {_ENDS}",
        )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
