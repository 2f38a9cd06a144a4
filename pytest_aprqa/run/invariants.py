"""The conversion invariants I-1 to I-5: what a converted model must share with its reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import lcm, prod
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.check_reference import check_reference
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import model_tensors
from pytest_aprqa.artifact.conversion_record import declared_dtypes, is_lossless, rounds_to
from pytest_aprqa.artifact.decoded_rows import DecodedRows
from pytest_aprqa.artifact.dtypes import nbytes
from pytest_aprqa.artifact.mapped_file import given_back
from pytest_aprqa.artifact.model import Artifact, ArtifactError
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
from pytest_aprqa.artifact.side_by_side import side_by_side
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.twins import known_same
from pytest_aprqa.artifact.uncollected import uncollected
from pytest_aprqa.judge.by_layer import ERROR_BY_LAYER, errors_by_layer
from pytest_aprqa.judge.fidelity import first_not_finite
from pytest_aprqa.judge.invariants import (
    DtypeChange,
    Step,
    TensorComparison,
    compare_rows,
    judge_dtypes,
    judge_logits,
    judge_names,
    judge_tensors,
    same_tensor,
    step_of,
    with_bytes_back,
    with_first_difference,
)
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.kl import KL_NATS, KL_WORST_TOKEN, kl_by_position, mean_kl
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run import tokenizer
from pytest_aprqa.run.fidelity import LEAST_TOKENS, Pair, fidelity_text, pair_of, windows
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.words import REFERENCE, Cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Find out whether one invariant holds between the reference and an artifact."""
    observation: dict[str, object] = {"reference_digest": _reference(laboratory).digest}
    if check.subject == "I-1":
        judgement, positions = _logits(check, laboratory)
        observation |= positions
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


def _logits(check: Check, laboratory: Laboratory) -> tuple[Judgement, dict[str, object]]:
    """I-1: score the same text on both engines, and name what differs when they disagree.

    Returns:
        The judgement, and the KL divergence of every position in nats with the token where it is
        largest; none unless all are finite.
    """
    pair = pair_of(check, laboratory)
    count = check.params.get("tokens", LEAST_TOKENS)
    [tokens] = pair.reference.tokenize([fidelity_text()], special=False, timeout=pair.timeout)
    ours, theirs, budget = pair.score(windows(tokens[:count], pair.context_length))
    judgement = judge_logits(ours, theirs, budget)
    judgement = _by_tensors(judgement, check, laboratory)
    if any(first_not_finite(scores) for scores in (ours, theirs)):
        return judgement, {KL_NATS: [], KL_WORST_TOKEN: ""}
    judgement = _beside_others(judgement, check, laboratory, theirs)
    both = zip(ours, theirs, strict=True)
    kl = [float(f"{value:.4g}") for scores in both for value in kl_by_position(*scores)]
    return judgement, {KL_NATS: kl, KL_WORST_TOKEN: _worst_token(pair, ours, kl)}


def _worst_token(pair: Pair, scores: Sequence[TokenScores], kl: Sequence[float]) -> str:
    """Return the text of the token that is predicted where `kl`, by position, is largest."""
    if not kl:
        return ""
    predicted = [token for scored in scores for token in scored.token_ids[1:]]
    place = max(range(len(kl)), key=kl.__getitem__)
    [text] = pair.reference.detokenize([[predicted[place]]], pair.timeout)
    return text


def _beside_others(
    judgement: Judgement, check: Check, laboratory: Laboratory, scores: Sequence[TokenScores]
) -> Judgement:
    """Return a judgement with the divergence from other formats whose scores are here already."""
    if not any(s.logprobs for s in scores):
        return judgement
    asked = repr([s.token_ids for s in scores])
    known: dict[Cell, Sequence[TokenScores]]
    known = laboratory.once(("scores of artifacts", asked), dict)
    found = {
        f"kl_mean_nats_from_{cell.format}": mean_kl(others, scores)
        for cell, others in known.items()
        if cell.format is not check.cell.format
    }
    known[check.cell] = scores
    return replace(judgement, metrics={**judgement.metrics, **found})


def _by_tensors(judgement: Judgement, check: Check, laboratory: Laboratory) -> Judgement:
    """Return the judgement of the logits with what the tensors say to it, where they can be read."""
    try:
        compared = _comparisons(check, laboratory)
    except ArtifactError as error:
        told = f"The tensors cannot be held against the reference's: {error.message}."
        return replace(judgement, reason=f"{judgement.reason} {told}")
    judgement = with_bytes_back(judgement, compared)
    return explained(judgement, check, laboratory)


def explained(judgement: Judgement, check: Check, laboratory: Laboratory) -> Judgement:
    """Return a failed judgement of logits with the first tensor, or statement, that differs."""
    reference, artifact = _sides(check, laboratory)

    def comparisons() -> Iterator[TensorComparison]:
        yield from _comparisons(check, laboratory)

    def statements() -> Iterator[str]:
        yield from (finding.message for finding in check_reference(artifact, reference).findings)

    return with_first_difference(judgement, comparisons(), statements())


def _names(check: Check, laboratory: Laboratory) -> Judgement:
    return compare_names(_reference(laboratory), laboratory.artifact(check.cell))


@uncollected()
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


@uncollected()
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
    compared = _comparisons(check, laboratory)
    return judge_tensors(compared), errors_by_layer(compared)


def _sides(check: Check, laboratory: Laboratory) -> tuple[Artifact, Artifact]:
    return _reference(laboratory), laboratory.artifact(check.cell)


def _comparisons(check: Check, laboratory: Laboratory) -> list[TensorComparison]:
    """Return the comparison of each tensor; I-1 and I-4 look at the same, which reads every byte."""
    sides = _sides(check, laboratory)
    key = ("comparisons", " ".join(side.digest for side in sides))
    return laboratory.once(key, lambda: compare_artifacts(*sides))


@uncollected()
def compare_artifacts(reference: Artifact, artifact: Artifact) -> list[TensorComparison]:
    """Return the comparison of each tensor of the reference with the artifact's."""

    def compare(ours: TensorSource, theirs: TensorSource) -> TensorComparison:
        step = step_of(rounds_to(reference, artifact, ours.dtype, theirs.dtype))
        return _comparison(ours, theirs, step)

    def comparisons() -> Iterator[Callable[[], TensorComparison]]:
        for ours in tensors:
            if ours.name in same:
                yield partial(_same, ours)
            elif theirs := twins.get(ours.name):
                ours.bring()
                theirs.bring()
                yield partial(compare, ours, theirs)

    same = known_same(reference, artifact)

    with model_tensors(reference) as (_, tensors), model_tensors(artifact) as (_, others):
        twins = {source.name: source for source in others}
        return side_by_side(comparisons())


def _same(ours: TensorSource) -> TensorComparison:
    size = nbytes(ours.dtype, ours.shape)
    return replace(same_tensor(ours.name, ours.shape), lossless_bytes=size)


def _comparison(ours: TensorSource, theirs: TensorSource, step: Step) -> TensorComparison:
    with given_back(ours.data(), theirs.data()) as (reference, artifact):
        lossless = reference.nbytes if is_lossless(ours.dtype, theirs.dtype) else 0
        alike = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if alike and same_finite_values(reference, artifact, ours.dtype):
            return _same(ours)
        shapes = ours.shape, theirs.shape
        if ours.shape == theirs.shape and DType.APR_Q4 in (ours.dtype, theirs.dtype):
            shapes = (_in_whole_blocks(ours.shape, step.block),) * 2
        found = compare_rows(
            ours.name,
            DecodedRows(reference, ours.dtype, shapes[0]),
            DecodedRows(artifact, theirs.dtype, shapes[1]),
            step.bound,
            step.block,
        )
        return replace(found, lossless_bytes=lossless)


def _in_whole_blocks(shape: tuple[int, ...], block: int) -> tuple[int, ...]:
    """Return a shape whose rows are whole blocks: those of APR_Q4 reach over the ends of rows."""
    count = prod(shape)
    if not count or block < 1 or shape[-1] % block == 0:
        return shape
    row = lcm(shape[-1], block)
    return (count // row, row) if count % row == 0 else (1, count)


_INVARIANTS: dict[str, Callable[[Check, Laboratory], Judgement]] = {
    "I-2": _names,
    "I-3": _dtypes,
    "I-5": tokenizer.compare,
}
