"""What an artifact may lose, against what sound ones were measured to lose."""

from __future__ import annotations

import math

import pytest

from pytest_aprqa.judge.budget import SAME_WEIGHTS_TIE, budget_for, other_arithmetic, tie_margin
from pytest_aprqa.judge.statistics import clopper_pearson

MEASURED = [
    # artifact dtype, same weights, mean KL, top-1 agreement, perplexity ratio on SmolLM2-135M
    ("F16", False, 0.00001, 0.998, 23.054 / 23.051),
    ("Q4_1", True, 0.0031, 0.969, 23.186 / 23.051),
    ("Q8_0", False, 0.0047, 0.967, 23.06 / 23.051),
    ("Q6_K", False, 0.0114, 0.938, 23.32 / 23.051),
    ("Q4_K_M", False, 0.068, 0.857, 23.94 / 23.051),
    ("Q2_K", False, 0.392, 0.639, 30.97 / 23.051),
    ("APR_Q8", False, 0.0629, 0.785, 32.83 / 31.69),
    ("APR_Q4", False, 0.376, 0.576, 45.07 / 31.69),
]


@pytest.mark.parametrize(("dtype", "same_weights", "kl", "top1", "ratio"), MEASURED)
def test_sound_artifacts_that_were_measured_lie_well_inside(
    dtype: str, same_weights: bool, kl: float, top1: float, ratio: float
) -> None:
    budget = budget_for("float32", dtype, same_weights=same_weights)
    assert 2 * kl < budget.max_mean_kl
    assert top1 > budget.min_top1
    assert ratio < budget.max_perplexity_ratio


@pytest.mark.parametrize(
    ("dtype", "kl"),
    [
        *[("F16", 0.000551), ("Q8_0", 0.001355), ("Q6_K", 0.005452), ("Q5_K_M", 0.010762)],
        *[("Q4_K_M", 0.031273), ("Q4_0", 0.071940), ("Q3_K_M", 0.101913), ("Q2_K", 0.445132)],
    ],
)
def test_published_losses_of_an_8b_model_lie_inside(dtype: str, kl: float) -> None:
    # llama.cpp, LLaMA-3-8B; the f16 row is the noise of its 16-bit log-probability file.
    noise = 0.000551
    assert kl - noise < budget_for("float32", dtype).max_mean_kl


def test_a_coarser_type_never_has_a_smaller_budget() -> None:
    types = ("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")
    budgets = [budget_for("float32", dtype).max_mean_kl for dtype in types]
    assert budgets == sorted(budgets)
    assert budget_for("float32", "Q2_K").max_mean_kl < budget_for("float32", "IQ1_S").max_mean_kl


def test_the_same_weights_may_differ_only_by_arithmetic() -> None:
    same = budget_for("float32", "Q4_K_M", same_weights=True)
    assert same.max_mean_kl < 0.1 * budget_for("float32", "Q4_K_M").max_mean_kl


def test_a_noisier_reference_widens_the_budget() -> None:
    plain = budget_for("float32", "F16")
    assert budget_for("bfloat16", "F16").max_mean_kl > plain.max_mean_kl
    measured = budget_for("float32", "F16", reference_noise=0.01)
    assert "as measured, for arithmetic" in measured.because
    assert measured.max_mean_kl == pytest.approx(0.015, rel=0.01)


@pytest.mark.parametrize(
    ("reference", "artifact", "other"),
    [
        ("float32", "BF16", "bfloat16"),
        ("float32", "F16", "float16"),
        ("float16", "BF16", "bfloat16"),
        ("bfloat16", "F32", "float16"),
        ("bfloat16", "BF16", "float16"),
        ("bfloat16", "Q4_0", "float16"),
        ("float32", "F32", ""),
        ("float16", "F16", ""),
        ("float32", "Q8_0", ""),
    ],
)
def test_a_reference_is_held_against_itself_in_the_arithmetic_of_the_other_side(
    reference: str, artifact: str, other: str
) -> None:
    assert other_arithmetic(reference, artifact) == other


def test_seventy_odd_positions_can_prove_agreement_even_to_the_tightest_budget() -> None:
    assert budget_for("float32", "F32").min_top1 <= clopper_pearson(72, 72).low


@pytest.mark.parametrize("dtype", ["F16", "Q8_0", "Q4_0"])
def test_a_model_that_knows_little_may_lose_little(dtype: str) -> None:
    budget = budget_for("float32", dtype, information=0.002)
    assert budget.max_mean_kl <= 0.4 * 0.002
    assert "0.002 nats" in budget.because


def test_a_model_that_knows_much_is_not_bound_by_that() -> None:
    for dtype in ("F16", "Q8_0", "Q4_K_M", "Q2_K"):
        assert budget_for("float32", dtype, information=6.3) == budget_for("float32", dtype)


def test_the_measured_tie_is_a_tie() -> None:
    # One engine said "The", the other "L'"; the first token's top two differ by 0.16 nats.
    assert 0.16 < SAME_WEIGHTS_TIE < 0.5
    assert tie_margin(0.0) == 0


def test_tie_margin_is_three_deviations_of_noise_with_that_kl() -> None:
    sigma = 0.05
    assert tie_margin(sigma**2 / 2) == pytest.approx(3 * math.sqrt(2) * sigma)


@pytest.mark.parametrize("dtype", ["", "unknown", "I32", "Q9_0", "float8_e4m3fn"])
def test_a_dtype_of_which_nothing_is_known_is_refused_by_name(dtype: str) -> None:
    with pytest.raises(ValueError, match="No fidelity budget is known"):
        budget_for("float32", dtype)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("all F32", "float32"),
        ("torch.bfloat16", "BF16"),
        ("Q4_K - Medium", "Q4_K_M"),
        ("Q4_0 (guessed)", "Q4_0"),
        ("Q8_0", "q8_0"),
        ("IQ4_XS - 4.25 bpw", "Q4_K"),
        ("MXFP4 MoE", "Q4_K"),
        ("TQ1_0 - 1.69 bpw ternary", "IQ1_S"),
        ("APR_Q8", "Q5_0"),
    ],
)
def test_names_are_understood_as_engines_write_them(said: str, meant: str) -> None:
    assert budget_for("float32", said) == budget_for("float32", meant)


def test_the_older_block_types_may_cost_more_than_k_types() -> None:
    for older, k_type in (("Q4_0", "Q4_K_M"), ("Q5_1", "Q5_K_M")):
        assert budget_for("float32", older).max_mean_kl > budget_for("float32", k_type).max_mean_kl
