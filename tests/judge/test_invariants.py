"""I-1 to I-5: what must survive a conversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.invariants import (
    DtypeChange,
    TemplateCase,
    TensorComparison,
    TokenizerCase,
    compare_tensor,
    judge_dtypes,
    judge_logits,
    judge_names,
    judge_tensors,
    judge_tokenizer,
    same_tensor,
    with_bytes_back,
    with_first_difference,
)
from pytest_aprqa.judge.judgement import corroborated, falsified
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.words import Attribution, Outcome

ScoresOf = Callable[..., TokenScores]
NAMES = ("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight")
SHORT = {"token_embd.weight": NAMES[0], "blk.0.ffn_up.weight": NAMES[1], "norm.weight": NAMES[2]}


def test_i1_holds_for_the_same_logits_and_fails_for_others(scores_of: ScoresOf) -> None:
    logits = np.random.default_rng(0).normal(size=(200, 32)) * 3
    reference = scores_of(logits)
    other = scores_of(logits[:, ::-1], reference.token_ids)
    budget = budget_for("float32", "F16")
    assert judge_logits([reference], [reference], budget).outcome is Outcome.CORROBORATED
    assert judge_logits([reference], [other], budget).outcome is Outcome.FALSIFIED


FAILED = falsified("The logits differ.", Attribution.CONVERSION, {"tokens": 3})


def test_a_failed_i1_names_the_first_tensor_that_differs_and_its_layer() -> None:
    sound, other = np.ones((4, 4), np.float32), np.eye(4, dtype=np.float32)
    tensors = [
        compare_tensor(name, sound, sound if name == "embed" else other, 0.0)
        for name in ("embed", "model.layers.3.q_proj.weight", "model.layers.4.q_proj.weight")
    ]
    judgement = with_first_difference(FAILED, tensors)
    assert judgement.reason.startswith(
        "The logits differ. 2 of 3 tensors differ from the reference"
    )
    assert "in layer 3: model.layers.3.q_proj.weight differs beyond rounding" in judgement.reason
    assert (judgement.outcome, judgement.attribution) == (FAILED.outcome, FAILED.attribution)


def test_a_failed_i1_with_sound_tensors_says_that_it_is_not_the_tensors() -> None:
    judgement = with_first_difference(FAILED, [same_tensor("embed", (2, 2))])
    assert "All 1 tensors are the reference's up to rounding" in judgement.reason


def test_a_failed_i1_with_sound_tensors_names_what_the_file_states_otherwise() -> None:
    tensors = [same_tensor("embed", (2, 2))]
    judgement = with_first_difference(FAILED, tensors, ["rope_theta is 3, not 4", "and more"])
    assert "the cause is what the file states (rope_theta is 3, not 4)." in judgement.reason


def test_tensors_are_not_read_for_an_i1_that_holds() -> None:
    sound = corroborated("They agree.", {"tokens": 3})
    assert with_first_difference(sound, iter(())) is sound


def test_i2_holds_for_names_that_map_one_to_one() -> None:
    judgement = judge_names(NAMES, tuple(SHORT), SHORT)
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"tensors": 3, "reference_tensors": 3, "artifact_tensors": 3}
    assert judge_names(NAMES, NAMES).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("names", [((), ()), (NAMES, ()), ((), NAMES)])
def test_i2_of_no_names_is_inconclusive(names: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    assert judge_names(*names).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("artifact", "said"),
    [
        (NAMES[:2], "1 missing (model.norm.weight)"),
        ((*NAMES, "rogue"), "1 undeclared (rogue)"),
        ((*NAMES[:2], "rogue"), "1 missing (model.norm.weight); 1 undeclared (rogue)"),
        ((*NAMES, "norm.weight"), "1 ambiguous (model.norm.weight)"),
    ],
)
def test_i2_fails_for_names_without_a_partner(artifact: tuple[str, ...], said: str) -> None:
    judgement = judge_names(NAMES, artifact, SHORT)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION
    assert said in judgement.reason


def test_i2_fails_when_every_name_differs_although_the_counts_agree() -> None:
    judgement = judge_names(NAMES, ("a", "b", "c"))
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.compared["tensors"] == 0


def test_i2_allows_what_the_conversion_declares() -> None:
    written_out = (*NAMES, "lm_head.weight")
    assert judge_names(NAMES, written_out).outcome is Outcome.FALSIFIED
    declared = judge_names(NAMES, written_out, declared_extra=("lm_head.weight",))
    assert declared.outcome is Outcome.CORROBORATED
    left_out = judge_names(written_out, NAMES, declared_absent=("lm_head.weight",))
    assert left_out.outcome is Outcome.CORROBORATED


def test_i2_names_only_the_first_of_many() -> None:
    many = [f"layer.{i}" for i in range(40)]
    assert "39 missing (layer.1, layer.10, layer.11 and 36 more)" in (
        judge_names(many, many[:1]).reason
    )


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (DtypeChange("w", "BF16", "BF16"), Outcome.CORROBORATED),
        (DtypeChange("w", "BF16", "Q4_K", "Q4_K"), Outcome.CORROBORATED),
        (DtypeChange("w", "BF16", "F32"), Outcome.FALSIFIED),
        (DtypeChange("w", "BF16", "F32", "Q4_K"), Outcome.FALSIFIED),
        (DtypeChange("w", "BF16", "BF16", "Q4_K"), Outcome.FALSIFIED),
    ],
)
def test_i3_fails_for_a_dtype_nobody_declared(change: DtypeChange, outcome: Outcome) -> None:
    judgement = judge_dtypes([DtypeChange("norm", "F32", "F32"), change])
    assert judgement.outcome is outcome
    assert judgement.compared == {"tensors": 2}


def test_i3_of_nothing_is_inconclusive() -> None:
    assert judge_dtypes([]).outcome is Outcome.INCONCLUSIVE


def test_i4_holds_for_equal_tensors_and_counts_them() -> None:
    tensor = np.random.default_rng(0).normal(size=(8, 32)).astype(np.float32)
    judgement = judge_tensors(compare_tensor(name, tensor, tensor, 0.0) for name in "ab")
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"tensors": 2, "elements": 512}


def test_i4_fails_for_a_transposed_square_matrix_and_names_it() -> None:
    rng = np.random.default_rng(0)
    tensor = rng.normal(size=(32, 32)).astype(np.float32)
    comparisons = [
        compare_tensor("sound", tensor, tensor, 0.1, 32),
        compare_tensor("turned", tensor, tensor.T, 0.1, 32),
    ]
    judgement = judge_tensors(comparisons)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION
    assert "turned differs beyond rounding: it holds the transposed matrix" in judgement.reason
    assert judgement.metrics == {"faulty_tensors": 1.0}


def test_i4_of_no_elements_is_inconclusive() -> None:
    empty = np.empty((0, 4), np.float32)
    for comparisons in ([], [compare_tensor("e", empty, empty, 0.0)]):
        assert judge_tensors(comparisons).outcome is Outcome.INCONCLUSIVE


def test_i4_charges_the_model_for_numbers_its_reference_already_lacks() -> None:
    broken = np.full((2, 2), np.nan, np.float32)
    sound = np.ones((2, 2), np.float32)
    both = judge_tensors([compare_tensor("w", broken, broken, 0.0)])
    assert (both.outcome, both.attribution) == (Outcome.FALSIFIED, Attribution.MODEL)
    lost = judge_tensors([compare_tensor("w", sound, broken, 0.0)])
    assert lost.attribution is Attribution.CONVERSION


def lossless(name: str, artifact: float) -> TensorComparison:
    ours, theirs = np.ones((2, 2), np.float32), np.full((2, 2), artifact, np.float32)
    return replace(compare_tensor(name, ours, theirs, 0.0), lossless_bytes=8)


def test_i1_asks_for_the_bytes_of_tensors_that_nothing_rounds() -> None:
    logits = corroborated("Close.", {"tokens": 7})
    rounded = compare_tensor("r", np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), 0.1)
    sound = with_bytes_back(logits, [lossless("a", 1.0), rounded, lossless("b", 1.0)])
    assert sound.outcome is Outcome.CORROBORATED
    assert sound.compared == {"tokens": 7, "lossless_tensors": 2, "lossless_bytes": 16}
    assert "2 of 2 tensors" in sound.reason
    changed = with_bytes_back(logits, [lossless("a", 1.0), lossless("b", 2.0)])
    assert (changed.outcome, changed.attribution) == (Outcome.INCONCLUSIVE, Attribution.CONVERSION)
    assert "1 of 2 tensors" in changed.reason
    assert "b did not, which I-4 judges" in changed.reason
    assert "no bytes can" in with_bytes_back(logits, [rounded]).reason


def test_the_bytes_do_not_mend_logits_that_differ() -> None:
    apart = falsified("Apart.", Attribution.ENGINE, {"tokens": 7})
    found = with_bytes_back(apart, [lossless("a", 1.0)])
    assert (found.outcome, found.attribution) == (Outcome.FALSIFIED, Attribution.ENGINE)


def case(text: str, decoded: str | None = None, **more: Any) -> TokenizerCase:
    ids = tuple(text.encode())
    fields: dict[str, Any] = {"reference_ids": ids, "artifact_ids": ids} | more
    return TokenizerCase(text, decoded=text if decoded is None else decoded, **fields)


def test_i5_holds_for_tokenizers_and_templates_that_agree() -> None:
    judgement = judge_tokenizer([case("Hello"), case("")], [TemplateCase("one turn", "x", "x")])
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"texts": 2, "tokens": 5, "templates": 1}


def test_i5_fails_for_other_ids_and_says_from_where() -> None:
    judgement = judge_tokenizer([case("ok"), case("Hello", artifact_ids=(72, 101, 9))])
    assert judgement.outcome is Outcome.FALSIFIED
    assert "'Hello' encodes differently from token 2" in judgement.reason
    assert "(108, 108, 111), the artifact (9,)" in judgement.reason


@pytest.mark.parametrize(
    ("decoded", "reference_decoded", "holds"),
    [
        ("naïve", None, True),
        (" naïve", None, True),
        ("naive", None, False),
        ("naive", "naive", True),
        ("naïve", "naive", False),
        ("", None, False),
        ("naïve ", None, False),
    ],
)
def test_i5_wants_the_text_back_unless_the_reference_loses_it_too(
    decoded: str, reference_decoded: str | None, holds: bool
) -> None:
    judgement = judge_tokenizer([case("naïve", decoded, reference_decoded=reference_decoded)])
    assert judgement.outcome.passes == holds


def test_i5_fails_for_a_template_that_renders_differently() -> None:
    judgement = judge_tokenizer([case("ok")], [TemplateCase("tools", "<a>b", "<a>c")])
    assert judgement.outcome is Outcome.FALSIFIED
    assert "'tools' differently from character 3" in judgement.reason


def test_an_engine_that_composes_no_accents_is_told_and_not_blamed_on_the_conversion() -> None:
    decomposed = case("e\u0301", artifact_ids=(101, 204), reference_decoded="\u00e9")
    as_composed = replace(decomposed, composed_ids=decomposed.reference_ids)
    judgement = judge_tokenizer([case("ok"), as_composed])
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared["texts"] == 1
    assert "1 with decomposed accents are left out" in judgement.reason
    assert judge_tokenizer([as_composed]).outcome is Outcome.INCONCLUSIVE
    for other in (None, (7, 8)):
        found = judge_tokenizer([replace(decomposed, composed_ids=other)])
        assert found.outcome is Outcome.FALSIFIED
    lost = judge_tokenizer([case("ok"), replace(as_composed, decoded="e")])
    assert lost.outcome is Outcome.FALSIFIED


def test_i5_of_no_tokens_is_inconclusive() -> None:
    assert judge_tokenizer([]).outcome is Outcome.INCONCLUSIVE
    assert judge_tokenizer([case("")]).outcome is Outcome.INCONCLUSIVE
