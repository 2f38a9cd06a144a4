"""Whether an artifact says of itself what the reference says: configuration and tokenizer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.config_gguf import context_in_gguf
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.stated import stated_by
from pytest_aprqa.artifact.tokenizer import TokenizerModel, TokenType, Vocabulary
from pytest_aprqa.observation import FileReport, Finding
from pytest_aprqa.words import Format

CONFIG_RULE = "G0-CONFIG-REFERENCE"
TOKENIZER_RULE = "G0-TOKENIZER-REFERENCE"

# GGUF holds numbers as FLOAT32, which keeps seven digits.
_TOLERANCE = 1e-6
# Of no weight in computing, or told by names that several model types share.
_NOT_COMPARED = ("model_type", "dtype", "extra")
# Where None is a statement too: positions are not scaled.
_NONE_IS_SAID = ("rope_scaling",)
_TOKENIZER_FIELDS = ("model", "bos", "eos", "add_bos", "add_eos", "add_space_prefix")


def check_reference(artifact: Artifact, reference: Artifact) -> FileReport:
    """Compare what an artifact states with what the reference states.

    A converter that loses or invents a hyper-parameter makes a file that is sound in itself; only
    the reference tells.

    Raises:
        ArtifactError: MALFORMED or UNSUPPORTED, as reading either does.
    """
    config, vocabulary = stated_by(artifact)
    other_config, other_vocabulary = stated_by(reference)
    context = context_in_gguf(other_config)
    if artifact.format is Format.GGUF and config.max_position_embeddings == context:
        other_config = replace(other_config, max_position_embeddings=context)
    findings = list(_config_differences(config, other_config))
    if vocabulary is not None and other_vocabulary is not None:
        findings += _tokenizer_differences(vocabulary.unpadded(), other_vocabulary.unpadded())
    return FileReport(tuple(findings), {"compared_with_reference": 1})


def _config_differences(config: ModelConfig, reference: ModelConfig) -> Iterator[Finding]:
    for field in fields(ModelConfig):
        if field.name in _NOT_COMPARED:
            continue
        found, expected = getattr(config, field.name), getattr(reference, field.name)
        invented = field.name in _NONE_IS_SAID and (found is None) is not (expected is None)
        if invented or not _same(found, expected):
            message = f"{field.name} is {found}, in the reference it is {expected}"
            yield Finding(CONFIG_RULE, message, where=field.name)
    for key in sorted(config.extra.keys() & reference.extra.keys()):
        if not _same(config.extra[key], reference.extra[key]):
            message = f"{key} is {config.extra[key]}, in the reference it is {reference.extra[key]}"
            yield Finding(CONFIG_RULE, message, where=key)


def _same(found: Any, expected: Any) -> bool:
    """Whether two values mean the same; what only one side states is no contradiction."""
    if found is None or expected is None or found == () or expected == ():
        return True
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        return all(_same(found[key], expected[key]) for key in found.keys() & expected.keys())
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=False)
        return len(found) == len(expected) and all(_same(one, other) for one, other in pairs)
    if isinstance(found, int | float) and isinstance(expected, int | float):
        return math.isclose(found, expected, rel_tol=_TOLERANCE)
    return bool(found == expected)


def _tokenizer_differences(found: Vocabulary, expected: Vocabulary) -> Iterator[Finding]:
    if len(found.tokens) != len(expected.tokens):
        message = f"{len(found.tokens)} tokens, in the reference {len(expected.tokens)}"
        yield Finding(TOKENIZER_RULE, message, where="tokens")
    for number, (one, other) in enumerate(zip(found.tokens, expected.tokens, strict=False)):
        if one != other:
            message = f"token {number} is {one!r}, in the reference {other!r}"
            yield Finding(TOKENIZER_RULE, message, where="tokens")
            break
    yield from _special_differences(found, expected)
    if found.model is TokenizerModel.BYTE_LEVEL_BPE and found.merges != expected.merges:
        message = f"{len(found.merges)} merges are not the reference's {len(expected.merges)}"
        yield Finding(TOKENIZER_RULE, message, where="merges")
    for name in _TOKENIZER_FIELDS:
        one, other = getattr(found, name), getattr(expected, name)
        if one != other:
            message = f"{name} is {one}, in the reference it is {other}"
            yield Finding(TOKENIZER_RULE, message, where=name)
    if found.chat_template != expected.chat_template:
        lost = "lost" if found.chat_template is None else "another one"
        message = f"the chat template of the reference is {lost}"
        yield Finding(TOKENIZER_RULE, message, where="chat_template")


def _special_differences(found: Vocabulary, expected: Vocabulary) -> Iterator[Finding]:
    """Compare which tokens are control tokens and which are plain text.

    Files of other makers may call a token user-defined that the reference calls either.
    """
    kinds = {TokenType.CONTROL: "a control token", TokenType.NORMAL: "plain text"}
    for number, (one, other) in enumerate(zip(found.types, expected.types, strict=False)):
        if one is not other and one in kinds and other in kinds:
            message = (
                f"token {number} ({found.tokens[number]!r}) is {kinds[one]}, "
                f"in the reference {kinds[other]}"
            )
            yield Finding(TOKENIZER_RULE, message, where="token types")
            return
