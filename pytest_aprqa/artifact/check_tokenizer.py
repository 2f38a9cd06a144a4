"""Whether an artifact's tokenizer and chat template are there, load, and fit the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import read_text, read_whole
from pytest_aprqa.artifact.stated import stated_by
from pytest_aprqa.artifact.strict_json import parse_object
from pytest_aprqa.artifact.template import TemplateRefusedError, read_template, render
from pytest_aprqa.artifact.tokenizer import RULE, Vocabulary
from pytest_aprqa.artifact.tokenizer_hf import tokenizer_json
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.words import Format

TEMPLATE_RULE = "G0-TEMPLATE"

_PROBE = "Hello, world! 2 + 2 = 4"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def check_tokenizer(artifact: Artifact, config: ModelConfig) -> FileReport:
    """Check the tokenizer and the template of an artifact.

    Raises:
        ArtifactError: UNSUPPORTED, when the tokenizer is of a kind or in a form we do not know.
    """
    try:
        loaded = _load(artifact, config)
        tokenizer, special = loaded.tokenizer, loaded.special
        with _refusals():
            ids = tokenizer.encode(_PROBE, add_special_tokens=False).ids
            text = tokenizer.decode(ids, skip_special_tokens=False)
    except ArtifactError as error:
        if error.fault is not ArtifactFault.MALFORMED:
            raise
        return FileReport((Finding(error.rule or RULE, error.message, where=error.where),))
    except _NotLoadableError as error:
        return FileReport((Finding(RULE, str(error), where="tokenizer"),))
    findings = [
        *_sizes(loaded, config),
        *_encoding(ids, text),
        *_template(loaded.template, special, tokenizer),
    ]
    return FileReport(tuple(findings), {"vocabulary": tokenizer.get_vocab_size()})


class _NotLoadableError(Exception):
    """There is no tokenizer, or the tokenizers library does not take it."""


class _Loaded(NamedTuple):
    """A tokenizer as the tokenizers library has it.

    Attributes:
        tokenizer: a `tokenizers.Tokenizer`.
        special: ids by role.
        template: of a chat.
        highest: the highest id, -1 without any.
    """

    tokenizer: Any
    special: dict[str, int | None]
    template: str | None
    highest: int


def _load(artifact: Artifact, config: ModelConfig) -> _Loaded:
    if artifact.format is Format.SAFETENSORS:
        return _hugging_face(artifact.path, config)
    vocabulary = stated_by(artifact).vocabulary
    if vocabulary is None:
        raise _NotLoadableError(f"{artifact.path.name} holds no tokenizer")
    return _of_vocabulary(vocabulary)


def _of_vocabulary(vocabulary: Vocabulary) -> _Loaded:
    ids = (vocabulary.bos, vocabulary.eos, vocabulary.unk, vocabulary.pad)
    special = dict(zip(_SPECIAL, ids, strict=True))
    tokenizer = _from_text(json.dumps(tokenizer_json(vocabulary)))
    return _Loaded(tokenizer, special, vocabulary.chat_template, len(vocabulary.tokens) - 1)


def _from_text(text: str) -> Any:
    from tokenizers import Tokenizer

    with _refusals():
        return Tokenizer.from_str(text)


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what the tokenizers library refuses.

    It raises bare Exception for that, and for what it did not foresee a panic of its Rust code, which
    is no Exception.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise _NotLoadableError(f"the tokenizer does not work: {error}") from error


def _hugging_face(directory: Path, config: ModelConfig) -> _Loaded:
    path = directory / "tokenizer.json"
    if not path.exists():
        vocabulary = vocabulary_from_hf(directory, config)
        if vocabulary is None:
            raise _NotLoadableError(f"{directory} has neither tokenizer.json nor tokenizer.model")
        return _of_vocabulary(vocabulary)
    stated: dict[str, Any] = {}
    beside = directory / "tokenizer_config.json"
    try:
        text = read_text(path)
        if beside.exists():
            stated = parse_object(read_whole(beside), unique_keys=False)
    except (OSError, ValueError) as error:
        raise _NotLoadableError(f"the tokenizer's files cannot be read: {error}") from error
    ids: dict[str, int | None] = {
        "bos_token": config.bos_token_id,
        "eos_token": config.eos_token_ids[0] if config.eos_token_ids else None,
        "unk_token": None,
        "pad_token": config.pad_token_id,
    }
    with wrong_kind_is_malformed(TEMPLATE_RULE, beside.name):
        template = read_template(directory, stated)
    tokenizer = _from_text(text)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    return _Loaded(tokenizer, ids, template, highest)


def _sizes(loaded: _Loaded, config: ModelConfig) -> Iterator[Finding]:
    tokenizer, special, highest = loaded.tokenizer, loaded.special, loaded.highest
    if highest >= config.vocab_size:
        yield Finding(
            RULE,
            f"the tokenizer has id {highest}, the embedding has {config.vocab_size} rows",
            where="tokenizer",
        )
    if not tokenizer.get_vocab_size(with_added_tokens=True):
        yield Finding(RULE, "the vocabulary is empty", where="tokenizer")
    named = {role: number for role, number in special.items() if number is not None}
    named |= {f"eos_token_id[{n}]": number for n, number in enumerate(config.eos_token_ids)}
    for role, number in named.items():
        if not 0 <= number < config.vocab_size or tokenizer.id_to_token(number) is None:
            yield Finding(
                RULE, f"{role} is id {number}, which the vocabulary does not have", where=role
            )
    if special["eos_token"] is None and not config.eos_token_ids:
        yield Finding(
            RULE, "no token ends a text: generation never stops", Severity.WARNING, "eos_token"
        )


def _encoding(ids: list[int], text: str) -> Iterator[Finding]:
    if not ids:
        yield Finding(RULE, f"the tokenizer encodes {_PROBE!r} to nothing", where="tokenizer")
        return
    if text.strip() != _PROBE:
        yield Finding(
            RULE,
            f"the tokenizer encodes {_PROBE!r} and decodes {text!r}",
            Severity.WARNING,
            "tokenizer",
        )


def _template(
    template: str | None, special: dict[str, int | None], tokenizer: Any
) -> Iterator[Finding]:
    if template is None:
        yield Finding(TEMPLATE_RULE, "there is no chat template", Severity.INFO)
        return
    ids = range(tokenizer.get_vocab_size(with_added_tokens=True))
    texts = {
        role: tokenizer.id_to_token(number) or "" if number in ids else ""
        for role, number in special.items()
    }
    try:
        rendered = render(
            template,
            [{"role": "user", "content": _PROBE}],
            bos_token=texts["bos_token"],
            eos_token=texts["eos_token"],
        )
    except TemplateRefusedError as error:
        yield Finding(TEMPLATE_RULE, f"the chat template refuses a plain question: {error}")
    except ArtifactError as error:
        yield Finding(TEMPLATE_RULE, error.message, where=error.where)
    else:
        if _PROBE not in rendered:
            yield Finding(TEMPLATE_RULE, "the chat template drops the user's message")
