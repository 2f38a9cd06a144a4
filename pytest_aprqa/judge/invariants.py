"""I-1 to I-5: what must survive the conversion of a model from one format to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_aprqa.judge.budget import Budget
from pytest_aprqa.judge.by_layer import layer_of
from pytest_aprqa.judge.divergence import first_difference
from pytest_aprqa.judge.fidelity import judge_fidelity
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.rounding import Step, step_of
from pytest_aprqa.judge.tensors import TensorComparison, compare_rows, compare_tensor, same_tensor
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.words import Attribution, Outcome

__all__ = [
    "DtypeChange",
    "Step",
    "TemplateCase",
    "TensorComparison",
    "TokenizerCase",
    "compare_rows",
    "compare_tensor",
    "judge_dtypes",
    "judge_logits",
    "judge_names",
    "judge_tensors",
    "judge_tokenizer",
    "same_tensor",
    "step_of",
    "with_bytes_back",
    "with_first_difference",
]


@dataclass(frozen=True, slots=True)
class DtypeChange:
    """The dtype of one tensor before and after conversion.

    Attributes:
        tensor: its name in the reference.
        source, target: dtypes as the two files declare them; equal when nothing changed.
        declared: the dtype the conversion said it would write; "" when it said nothing, which
            declares that the dtype stays.
    """

    tensor: str
    source: str
    target: str
    declared: str = ""


@dataclass(frozen=True, slots=True)
class TokenizerCase:
    """One text through the tokenizers of reference and artifact.

    Attributes:
        text: what was encoded, without adding tokens.
        reference_ids, artifact_ids: what each made of it.
        decoded: the artifact's decoding of its own ids.
        reference_decoded: the reference's decoding of its own; None when it was not asked.
        composed_ids: what the artifact's engine makes of the text with its accents composed (NFC),
            where the format has no word for such a step; None where there is nothing to compose.
    """

    text: str
    reference_ids: tuple[int, ...]
    artifact_ids: tuple[int, ...]
    decoded: str
    reference_decoded: str | None = None
    composed_ids: tuple[int, ...] | None = None

    @property
    def is_composed_by_reference_only(self) -> bool:
        """Whether the ids differ for nothing but that the artifact's engine composes no accents."""
        return self.artifact_ids != self.reference_ids == self.composed_ids


@dataclass(frozen=True, slots=True)
class TemplateCase:
    """One conversation through the chat templates of reference and artifact.

    Attributes:
        name: what the conversation exercises ("system and two turns").
        reference, artifact: the rendered texts.
    """

    name: str
    reference: str
    artifact: str


def judge_logits(
    reference: Sequence[TokenScores], artifact: Sequence[TokenScores], budget: Budget
) -> Judgement:
    """Judge I-1, round-trip identity: the artifact computes what its reference computes.

    Raises:
        ValueError: the two sides scored different tokens.
    """
    return judge_fidelity(reference, artifact, budget)


def judge_names(
    reference_names: Collection[str],
    artifact_names: Collection[str],
    mapping: Mapping[str, str] | None = None,
    *,
    declared_extra: Collection[str] = (),
    declared_absent: Collection[str] = (),
) -> Judgement:
    """Judge I-2: the tensor names of reference and artifact map one to one, both ways.

    Args:
        reference_names: all names of the reference.
        artifact_names: all names of the artifact.
        mapping: artifact name -> reference name, where the formats name tensors differently;
            names it does not hold stand for themselves.
        declared_extra: artifact names the conversion may add, for instance an output head
            written out from a tied embedding.
        declared_absent: reference names the conversion may leave out, for instance a head that
            only repeats the embedding, or a rotary table that is computed.
    """
    mapped = [mapping.get(name, name) if mapping else name for name in artifact_names]
    twice = sorted(name for name, count in Counter(mapped).items() if count > 1)
    known = set(reference_names)
    extra = sorted(
        name
        for name, target in zip(artifact_names, mapped, strict=True)
        if target not in known and name not in declared_extra
    )
    missing = sorted(known - set(mapped) - set(declared_absent))
    compared = {
        "tensors": len(known & set(mapped)),
        "reference_tensors": len(known),
        "artifact_tensors": len(mapped),
    }
    expected = "every tensor of the reference once in the artifact, and no other"
    faults = [
        f"{len(names)} {what} ({_some(names)})"
        for what, names in (("missing", missing), ("undeclared", extra), ("ambiguous", twice))
        if names
    ]
    if not known or not mapped:
        return inconclusive("There are no tensor names to compare.", compared=compared)
    if faults:
        return falsified(
            f"Of {len(known)} reference and {len(mapped)} artifact tensors: {'; '.join(faults)}.",
            Attribution.CONVERSION,
            compared,
            expected=expected,
        )
    return corroborated(
        f"{compared['tensors']} tensor names correspond one to one.", compared, expected=expected
    )


def judge_dtypes(changes: Sequence[DtypeChange]) -> Judgement:
    """Judge I-3: no tensor changed its dtype without the conversion having said so.

    Args:
        changes: one for every tensor, also for those that kept their dtype.
    """
    compared = {"tensors": len(changes)}
    silent = [c for c in changes if c.target != (c.declared or c.source)]
    if not changes:
        return inconclusive("There are no dtypes to compare.", compared=compared)
    if silent:
        names = [f"{c.tensor}: {c.source} became {c.target}" for c in silent]
        return falsified(
            f"{len(silent)} of {len(changes)} tensors changed dtype silently ({_some(names)}).",
            Attribution.CONVERSION,
            compared,
            expected=f"{silent[0].tensor} as {silent[0].declared or silent[0].source}",
        )
    return corroborated(f"{len(changes)} tensors have their declared dtype.", compared)


def judge_tensors(comparisons: Iterable[TensorComparison]) -> Judgement:
    """Judge I-4: every tensor holds the reference's numbers in the reference's places.

    The name of the invariant speaks of statistics; those cannot see a transposed square matrix,
    permuted heads or swapped layers, so positions are compared. Consumed as a stream.
    """
    tensors = elements = 0
    worst: TensorComparison | None = None
    faults: list[TensorComparison] = []
    for comparison in comparisons:
        tensors += 1
        elements += comparison.elements
        if comparison.fault:
            faults.append(comparison)
        if worst is None or comparison.relative_error > worst.relative_error:
            worst = comparison
    compared = {"tensors": tensors, "elements": elements}
    if faults:
        by_model = all(fault.reference_not_finite for fault in faults)
        more = f" ({len(faults) - 1} more of {tensors} tensors)" if len(faults) > 1 else ""
        return falsified(
            f"{faults[0].fault}{more}.",
            Attribution.MODEL if by_model else Attribution.CONVERSION,
            compared,
            expected="the reference's values up to the rounding of the dtype",
            metrics={"faulty_tensors": float(len(faults))},
        )
    if worst is None or not elements:
        return inconclusive("There are no tensor values to compare.", compared=compared)
    return corroborated(
        f"{elements} elements of {tensors} tensors agree up to rounding; the largest relative "
        f"error is {worst.relative_error:.3g} in {worst.name}.",
        compared,
        metrics={"relative_error_max": worst.relative_error, "cosine_min": worst.worst_row_cosine},
    )


def with_bytes_back(judgement: Judgement, comparisons: Iterable[TensorComparison]) -> Judgement:
    """Return a judgement of logits that also asks for the bytes of tensors that nothing rounds.

    The way there and back gives the reference's bytes where the way there is lossless, which is when
    the artifact holds the very same values. Logits that agree do not pass without them; that the
    values are others is for I-4 to falsify, so that one fault fails one invariant.

    Args:
        judgement: of scores.
        comparisons: of all tensors, with their `lossless_bytes`.
    """
    lossless = [comparison for comparison in comparisons if comparison.lossless_bytes]
    size = sum(comparison.lossless_bytes for comparison in lossless)
    if not lossless:
        told = "Every dtype on the way rounds, so no bytes can come back the same."
        return replace(judgement, reason=f"{judgement.reason} {told}")
    compared = {
        **judgement.compared,
        "lossless_tensors": len(lossless),
        "lossless_bytes": size,
    }
    changed = [comparison.name for comparison in lossless if not comparison.is_given_back]
    told = (
        f"{len(lossless) - len(changed)} of {len(lossless)} tensors that no dtype on the way "
        f"rounds come back byte for byte ({size} bytes)"
    )
    told += f"; {_some(changed)} did not, which I-4 judges." if changed else "."
    judgement = replace(judgement, reason=f"{judgement.reason} {told}", compared=compared)
    if not changed or judgement.outcome.fails:
        return judgement
    return replace(judgement, outcome=Outcome.INCONCLUSIVE, attribution=Attribution.CONVERSION)


def with_first_difference(
    judgement: Judgement,
    comparisons: Iterable[TensorComparison],
    statements: Iterable[str] = (),
) -> Judgement:
    """Return a failed judgement of logits with where on the way through the model it may come from.

    Args:
        judgement: of scores; a pass is returned as it is.
        comparisons: of the tensors, in the order in which the model computes with them. Not
            touched for a pass.
        statements: what the artifact states otherwise than the reference. Touched only when no
            tensor differs.
    """
    if not judgement.outcome.fails:
        return judgement
    tensors = list(comparisons)
    faults = [comparison for comparison in tensors if comparison.fault]
    if faults:
        layer = layer_of(faults[0].name)
        where = "outside the layers" if layer is None else f"in layer {layer}"
        place = (
            f"{len(faults)} of {len(tensors)} tensors differ from the reference, the first of them "
            f"{where}: {faults[0].fault}."
        )
    else:
        place = f"All {len(tensors)} tensors are the reference's up to rounding: the cause is "
        stated = next(iter(statements), None)
        if stated is None:
            place += "the rounding itself, or the engine."
        else:
            place += f"what the file states ({stated})."
    return replace(judgement, reason=f"{judgement.reason} {place}")


def judge_tokenizer(
    cases: Sequence[TokenizerCase], templates: Sequence[TemplateCase] = ()
) -> Judgement:
    """Judge I-5: both sides encode alike, decoding gives the text back, and templates agree.

    A decoding that is not the text is excused when the reference decodes its own ids to the same,
    or when only a space at the start differs, which SentencePiece adds or takes. Normalising
    tokenizers (NFKC, lower case) are lossy by design and need `reference_decoded`. That an engine
    composes no accents where the reference does is its doing, not the conversion's: it is told.
    """
    alike = [case for case in cases if not case.is_composed_by_reference_only]
    tokens = sum(len(case.reference_ids) for case in alike)
    compared = {"texts": len(alike), "tokens": tokens, "templates": len(templates)}
    faults = [fault for case in cases if (fault := _tokenizer_fault(case))]
    faults += [fault for template in templates if (fault := _template_fault(template))]
    if faults:
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        return falsified(
            f"{faults[0]}{more}.",
            Attribution.CONVERSION,
            compared,
            expected="the same token ids, the same text back and the same rendered template",
            metrics={"faulty_cases": float(len(faults))},
        )
    if not tokens and not templates:
        return inconclusive("There are no tokens and templates to compare.", compared=compared)
    lossy = sum(case.decoded != case.text for case in alike)
    note = f" ({lossy} are changed by the reference's tokenizer too)" if lossy else ""
    return corroborated(
        f"{len(alike)} texts encode to the same {tokens} tokens and back{note}; "
        f"{len(templates)} templates render alike.{_composing_note(len(cases) - len(alike))}",
        compared,
    )


def _composing_note(texts: int) -> str:
    if not texts:
        return ""
    return (
        f" {texts} with decomposed accents are left out: the reference's tokenizer composes them, "
        "the artifact's engine does not, and the file has no word to ask for it."
    )


def _tokenizer_fault(case: TokenizerCase) -> str:
    excused = case.is_composed_by_reference_only
    position = first_difference(case.reference_ids, case.artifact_ids)
    if position is not None and not excused:
        return (
            f"{case.text[:40]!r} encodes differently from token {position}: the reference has "
            f"{_window(case.reference_ids, position)}, the artifact "
            f"{_window(case.artifact_ids, position)}"
        )
    lossless = excused or case.reference_decoded is None
    wanted = case.text if lossless else case.reference_decoded or ""
    position = first_difference(wanted, case.decoded)
    if position is None or case.decoded == f" {wanted}" or f" {case.decoded}" == wanted:
        return ""
    return (
        f"{case.text[:40]!r} decodes differently from character {position}: expected "
        f"{_window(wanted, position)!r}, got {_window(case.decoded, position)!r}"
    )


def _template_fault(case: TemplateCase) -> str:
    position = first_difference(case.reference, case.artifact)
    if position is None:
        return ""
    return (
        f"The template renders {case.name!r} differently from character {position}: the reference "
        f"has {_window(case.reference, position)!r}, the artifact "
        f"{_window(case.artifact, position)!r}"
    )


def _window(items: Sequence[object], position: int) -> Sequence[object]:
    return items[position : position + 8]


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
