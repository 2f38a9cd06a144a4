"""The conversion invariants I-1 to I-5: what a converted model must share with its reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import lcm, prod
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.check_reference import check_reference
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import model_tensors
from pytest_aprqa.artifact.conversion_record import declared_dtypes, rounds_to
from pytest_aprqa.artifact.decoded_rows import DecodedRows
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.names import (
    Naming,
    head_and_embedding,
    naming_of,
    required_tensors,
    with_parts,
)
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.rope_factors import FACTOR_TENSORS
from pytest_aprqa.artifact.same_bytes import same_finite_values
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.judge.by_layer import ERROR_BY_LAYER, errors_by_layer
from pytest_aprqa.judge.fidelity import first_not_finite
from pytest_aprqa.judge.invariants import (
    DtypeChange,
    Step,
    TemplateCase,
    TensorComparison,
    TokenizerCase,
    compare_rows,
    judge_dtypes,
    judge_logits,
    judge_names,
    judge_tensors,
    judge_tokenizer,
    same_tensor,
    step_of,
    with_first_difference,
)
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.kl import KL_NATS, KL_WORST_TOKEN, kl_by_position
from pytest_aprqa.playbook.check import Check, Message
from pytest_aprqa.run.fidelity import fidelity_text, pair_of
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.run.worst_token import worst_token
from pytest_aprqa.words import REFERENCE, Cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

FIDELITY_TOKENS = 192
"""Tokens scored for I-1 unless the plan asks for more."""

_MOST_THREADS = 8
"""A few threads already read as fast as memory delivers."""

TOKENIZER_TEXTS = (
    "Hello, world!",
    "It's 12,345.67 o'clock; isn't it? We'll see, they've said I'd 'know'.",
    "0123456789 007 3.14159 1e-5 2024-02-29",
    "na\u00efve caf\u00e9 \u0141\u00f3d\u017a Stra\u00dfe \u00c5ngstr\u00f6m \u00f1and\u00fa",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \u2764\ufe0f",
    "  two  spaces   three\ttab\n\n\nlines \r\n end   ",
    "def f(x):\n    return {'a': [x ** 2, -1], \"b\": None}  # comment\n",
    "<b>bold</b> &amp; C:\\path\\file https://example.org/?q=1&r=2#top",
    "!!!???...---___===+++***///@@@###$$$%%%^^^&&&",
    "\u0007bell \u200bzero-width \u00a0no-break \ufeffmark",
)

CONVERSATIONS = {
    "one question": (Message("user", "What is 2+2?"),),
    "a system message": (Message("system", "Be brief."), Message("user", "Hi.")),
    "two turns": (
        Message("user", "Hi."),
        Message("assistant", "Hello!"),
        Message("user", "Bye."),
    ),
}


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Find out whether one invariant holds between the reference and an artifact."""
    observation: dict[str, object] = {"reference_digest": _reference(laboratory).digest}
    if check.subject == "I-1":
        judgement, kl = _logits(check, laboratory)
        observation |= {KL_NATS: kl, KL_WORST_TOKEN: worst_token(check, laboratory, kl)}
    elif check.subject == "I-4":
        judgement, observation[ERROR_BY_LAYER] = _tensors(check, laboratory)
    else:
        judgement = _INVARIANTS[check.subject](check, laboratory)
    return Observed(
        judgement=judgement,
        artifact_digest=laboratory.artifact(check.cell).digest,
        observation=observation,
    )


def _reference(laboratory: Laboratory) -> Artifact:
    return laboratory.artifact(Cell(REFERENCE))


def _logits(check: Check, laboratory: Laboratory) -> tuple[Judgement, list[float]]:
    """I-1: score the same text on both engines, and name what differs when they disagree.

    Returns:
        The judgement, and the KL divergence of every position in nats, none unless all are finite.
    """
    pair = pair_of(check, laboratory)
    count = min(check.params.get("tokens", FIDELITY_TOKENS), pair.context_length)
    [tokens] = pair.reference.tokenize([fidelity_text()], special=False, timeout=pair.timeout)
    ours, theirs, budget = pair.score([tokens[:count]])
    judgement = judge_logits(ours, theirs, budget)
    reference, artifact = _reference(laboratory), laboratory.artifact(check.cell)
    judgement = explained(judgement, reference, artifact)
    if any(first_not_finite(scores) for scores in (ours, theirs)):
        return judgement, []
    return judgement, [float(f"{kl:.4g}") for kl in kl_by_position(ours[0], theirs[0])]


def explained(judgement: Judgement, reference: Artifact, artifact: Artifact) -> Judgement:
    """Return a failed judgement of logits with the first tensor, or statement, that differs."""

    def statements() -> Iterator[str]:
        yield from (finding.message for finding in check_reference(artifact, reference).findings)

    comparisons = compare_artifacts(reference, artifact)
    return with_first_difference(judgement, comparisons, statements())


def _names(check: Check, laboratory: Laboratory) -> Judgement:
    return compare_names(_reference(laboratory), laboratory.artifact(check.cell))


def compare_names(reference: Artifact, artifact: Artifact) -> Judgement:
    """I-2: the names in the two files correspond one to one."""
    with model_tensors(reference) as (config, tensors), open_tensors(artifact.path) as file:
        naming, slots = naming_of(file.tensors), required_tensors(config)
        extra = {*FACTOR_TENSORS}
        if config.tied:
            extra.add(_head(config, naming))
        return judge_names(
            [source.name for source in tensors],
            with_parts(file.tensors, slots, naming),
            {slot.name(naming): slot.hf for slot in slots},
            declared_extra=extra,
        )


def _head(config: ModelConfig, naming: Naming) -> str:
    pair = head_and_embedding(config.architecture)
    return "output.weight" if naming is Naming.GGUF or pair is None else pair[0]


def _dtypes(check: Check, laboratory: Laboratory) -> Judgement:
    return compare_dtypes(_reference(laboratory), laboratory.artifact(check.cell))


def compare_dtypes(reference: Artifact, artifact: Artifact) -> Judgement:
    """I-3: each tensor has the dtype the conversion declared."""
    declared = declared_dtypes(reference, artifact)
    with model_tensors(reference) as (_, ours), model_tensors(artifact) as (_, theirs):
        target = {source.name: source.dtype for source in theirs}
        return judge_dtypes(
            [
                DtypeChange(
                    source.name,
                    source.dtype,
                    target[source.name],
                    declared.get(source.name, ""),
                )
                for source in ours
                if source.name in target
            ]
        )


def _tensors(check: Check, laboratory: Laboratory) -> tuple[Judgement, list[float]]:
    """I-4: every element is where the reference has it, up to rounding; and how far off by layer."""
    reference, artifact = _reference(laboratory), laboratory.artifact(check.cell)
    compared = list(compare_artifacts(reference, artifact))
    return judge_tensors(compared), errors_by_layer(compared)


def compare_artifacts(reference: Artifact, artifact: Artifact) -> Iterator[TensorComparison]:
    """Yield the comparison of each tensor of the reference with the artifact's.

    Some tensors are compared side by side: numpy lets other threads run while it works.
    """

    def compare(ours: TensorSource) -> TensorComparison:
        theirs = twins[ours.name]
        step = step_of(rounds_to(reference, artifact, ours.dtype, theirs.dtype))
        return _comparison(ours, theirs, step)

    with model_tensors(reference) as (_, tensors), model_tensors(artifact) as (_, others):
        twins = {source.name: source for source in others}
        both = [ours for ours in tensors if ours.name in twins]
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="compare") as pool:
            yield from pool.map(compare, both)


def _comparison(ours: TensorSource, theirs: TensorSource, step: Step) -> TensorComparison:
    reference, artifact = ours.data(), theirs.data()
    alike = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if alike and same_finite_values(reference, artifact, ours.dtype):
        return same_tensor(ours.name, ours.shape)
    shapes = ours.shape, theirs.shape
    if ours.shape == theirs.shape and DType.APR_Q4 in (ours.dtype, theirs.dtype):
        shapes = (_in_whole_blocks(ours.shape, step.block),) * 2
    return compare_rows(
        ours.name,
        DecodedRows(reference, ours.dtype, shapes[0]),
        DecodedRows(artifact, theirs.dtype, shapes[1]),
        step.bound,
        step.block,
    )


def _in_whole_blocks(shape: tuple[int, ...], block: int) -> tuple[int, ...]:
    """Return a shape whose rows are whole blocks: those of APR_Q4 reach over the ends of rows."""
    count = prod(shape)
    if not count or block < 1 or shape[-1] % block == 0:
        return shape
    row = lcm(shape[-1], block)
    return (count // row, row) if count % row == 0 else (1, count)


def _tokenizer(check: Check, laboratory: Laboratory) -> Judgement:
    """I-5: both engines encode, decode and render alike."""
    pair = pair_of(check, laboratory)
    ours, theirs, limit = pair.reference, pair.artifact, pair.timeout
    templates: list[TemplateCase] = []
    if ours.load(limit).has_chat_template:
        templates = [
            TemplateCase(name, ours.render(turns, limit), theirs.render(turns, limit))
            for name, turns in CONVERSATIONS.items()
        ]
    return judge_tokenizer(_tokenizer_cases(ours, theirs, limit), templates)


def _tokenizer_cases(reference: Engine, artifact: Engine, limit: float) -> list[TokenizerCase]:
    ours = reference.tokenize(TOKENIZER_TEXTS, special=False, timeout=limit)
    theirs = artifact.tokenize(TOKENIZER_TEXTS, special=False, timeout=limit)
    our_texts = reference.detokenize(ours, limit)
    their_texts = artifact.detokenize(theirs, limit)
    return [
        TokenizerCase(text, tuple(our_ids), tuple(their_ids), their_text, our_text)
        for text, our_ids, their_ids, our_text, their_text in zip(
            TOKENIZER_TEXTS, ours, theirs, our_texts, their_texts, strict=True
        )
    ]


_INVARIANTS: dict[str, Callable[[Check, Laboratory], Judgement]] = {
    "I-2": _names,
    "I-3": _dtypes,
    "I-5": _tokenizer,
}
