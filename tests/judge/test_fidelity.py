"""Teacher-forced scores of sound, broken and undecided artifacts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pytest_aprqa.judge.budget import Budget, budget_for
from pytest_aprqa.judge.fidelity import judge_fidelity, measure
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.words import Attribution, Outcome

ScoresOf = Callable[..., TokenScores]
VOCABULARY = 64


def text(seed: int, tokens: int = 128) -> np.ndarray:
    """Logits of a model that knows its text: a favourite token at each position."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(tokens, VOCABULARY))
    logits[np.arange(tokens), rng.integers(VOCABULARY, size=tokens)] += 6
    return logits


def noisy(logits: np.ndarray, sigma: float, seed: int = 99) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=logits.shape)
    return logits + sigma * noise


@pytest.fixture
def pair(scores_of: ScoresOf) -> Callable[..., tuple[list[TokenScores], list[TokenScores]]]:
    """Return reference scores and the scores of the same tokens under changed logits."""

    def build(
        change: Callable[[np.ndarray], np.ndarray], sequences: int = 4, tokens: int = 128
    ) -> tuple[list[TokenScores], list[TokenScores]]:
        logits = [text(seed, tokens) for seed in range(sequences)]
        reference = [scores_of(x) for x in logits]
        artifact = [
            scores_of(change(x), r.token_ids) for x, r in zip(logits, reference, strict=True)
        ]
        return reference, artifact

    return build


Pair = Callable[..., tuple[list[TokenScores], list[TokenScores]]]


def test_an_identical_artifact_is_corroborated(pair: Pair) -> None:
    judgement = judge_fidelity(*pair(lambda x: x), budget_for("float32", "F16"))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"sequences": 4, "tokens": 512}
    assert judgement.metrics["kl_mean_nats"] == 0
    assert judgement.metrics["top1_agreement"] == 1


def test_noise_within_the_budget_is_corroborated(pair: Pair) -> None:
    found = judge_fidelity(*pair(lambda x: noisy(x, 0.05)), budget_for("float32", "Q8_0"))
    assert found.outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: np.roll(x, 1, axis=1),
        lambda x: np.roll(x, 1, axis=0),
        lambda x: -x,
        lambda x: np.zeros_like(x),
        lambda x: noisy(x, 2.0),
    ],
    ids=["shifted vocabulary", "shifted positions", "flipped sign", "no answer", "loud noise"],
)
def test_a_fault_is_falsified_and_charged_to_the_conversion(
    pair: Pair, fault: Callable[[np.ndarray], np.ndarray]
) -> None:
    judgement = judge_fidelity(*pair(fault), budget_for("float32", "Q8_0"))
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION
    assert "First change beyond a tie at sequence" in judgement.reason


def test_a_fault_on_one_backend_can_be_charged_to_the_engine(pair: Pair) -> None:
    judgement = judge_fidelity(
        *pair(lambda x: -x), budget_for("float32", "F16"), attribution=Attribution.ENGINE
    )
    assert judgement.attribution is Attribution.ENGINE


@pytest.mark.parametrize(
    ("share", "outcome"), [(0.3, Outcome.CORROBORATED), (4.0, Outcome.FALSIFIED)]
)
def test_192_tokens_decide_reliably_on_either_side_of_the_budget(
    scores_of: ScoresOf, share: float, outcome: Outcome
) -> None:
    budget = budget_for("float32", "Q8_0")
    outcomes = []
    for seed in range(25):
        logits = text(seed, 192)
        reference = scores_of(logits)
        unit = measure([reference], [scores_of(noisy(logits, 0.1, seed), reference.token_ids)]).kl
        # KL grows with the square of the noise.
        sigma = 0.1 * math.sqrt(share * budget.max_mean_kl / unit)
        artifact = scores_of(noisy(logits, sigma, seed + 1000), reference.token_ids)
        outcomes.append(judge_fidelity([reference], [artifact], budget).outcome)
    assert outcomes.count(outcome) >= 24


def test_few_tokens_decide_nothing_about_a_sound_artifact(pair: Pair) -> None:
    scores = pair(lambda x: noisy(x, 0.05), sequences=1, tokens=12)
    judgement = judge_fidelity(*scores, budget_for("float32", "Q8_0"))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "score more tokens" in judgement.reason


def test_an_interval_that_straddles_the_budget_is_inconclusive(pair: Pair) -> None:
    scores = pair(lambda x: noisy(x, 0.3))
    kl = measure(*scores).kl
    budget = Budget(kl, 0.0, 10.0, 1.0, "as measured")
    assert judge_fidelity(*scores, budget).outcome is Outcome.INCONCLUSIVE


def test_a_perplexity_ratio_outside_the_budget_is_falsified_by_itself(pair: Pair) -> None:
    budget = Budget(9.0, 0.0, 1.01, 99.0, "no matter")
    # The scored tokens are the favourites, so taking from them raises the perplexity.
    scores = pair(lambda x: np.where(x == x.max(1, keepdims=True), x - 2, x))
    assert judge_fidelity(*scores, budget).outcome is Outcome.FALSIFIED
    looser = replace(budget, max_perplexity_ratio=9.0)
    assert judge_fidelity(*scores, looser).outcome is Outcome.CORROBORATED


def test_nothing_scored_is_inconclusive(scores_of: ScoresOf) -> None:
    budget = budget_for("float32", "F16")
    empty = TokenScores((5,), (), (), ())
    for scores in ([], [empty]):
        assert judge_fidelity(scores, scores, budget).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("in_top", [True, False])
def test_scores_that_are_not_finite_are_a_finding(pair: Pair, bad: float, in_top: bool) -> None:
    reference, artifact = pair(lambda x: x)
    broken = artifact[1]
    if in_top:
        top = (*broken.top_logprobs[:3], (bad, *broken.top_logprobs[3][1:]))
        broken = replace(broken, top_logprobs=(*top, *broken.top_logprobs[4:]))
    else:
        broken = replace(broken, logprobs=(*broken.logprobs[:3], bad, *broken.logprobs[4:]))
    budget = budget_for("float32", "F16")
    sides = [artifact[0], broken, *artifact[2:]]
    judgement = judge_fidelity(reference, sides, budget)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION
    assert "artifact" in judgement.reason
    assert "sequence 1, token 4" in judgement.reason
    assert judge_fidelity(sides, artifact, budget).attribution is Attribution.MODEL


def test_an_engine_without_top_lists_leaves_nothing_to_judge(pair: Pair) -> None:
    reference, artifact = pair(lambda x: x, sequences=1, tokens=3)
    bare = replace(artifact[0], top_ids=((), (), ()), top_logprobs=((), (), ()))
    judgement = judge_fidelity(reference, [bare], budget_for("float32", "F16"))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.attribution is Attribution.ENGINE


def test_losses_beyond_all_measure_stay_finite(pair: Pair) -> None:
    found = judge_fidelity(*pair(lambda x: x * -1000), budget_for("float32", "F16"))
    assert found.outcome is Outcome.FALSIFIED
    assert all(map(math.isfinite, found.metrics.values()))


def test_other_tokens_are_a_mistake_of_the_caller(pair: Pair) -> None:
    reference, artifact = pair(lambda x: x)
    budget = budget_for("float32", "F16")
    with pytest.raises(ValueError, match="reference scored 4 sequences, the artifact 3"):
        judge_fidelity(reference, artifact[:3], budget)
    with pytest.raises(ValueError, match="Sequence 0 has different tokens"):
        judge_fidelity(reference, artifact[::-1], budget)


def test_measures_are_what_their_definitions_say(scores_of: ScoresOf) -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]]))
    other = np.log(np.array([[0.3, 0.5, 0.2], [0.6, 0.3, 0.1]]))
    tokens = (0, 0, 1)
    found = measure([scores_of(logits, tokens)], [scores_of(other, tokens)], tie_margin=0.5)
    kl = 0.5 * math.log(0.5 / 0.3) + 0.3 * math.log(0.3 / 0.5)
    assert found.worst_kl == pytest.approx(kl, rel=1e-6)
    assert found.kl == pytest.approx(kl / 2, rel=1e-6)
    assert found.top1 == 0.5
    assert found.perplexity_reference == pytest.approx((0.5 * 0.3) ** -0.5)
    assert found.perplexity_artifact == pytest.approx((0.3 * 0.3) ** -0.5)
    assert found.ratio == pytest.approx((0.5 / 0.3) ** 0.5)
    change = found.first_change
    assert change is not None
    assert (change.place.token, change.reference_id, change.artifact_id) == (1, 0, 1)
    assert change.reference_logprob == pytest.approx(math.log(0.5))
    assert change.margin == pytest.approx(2 * math.log(0.5 / 0.3))
    assert found.first_untied == change


def test_a_change_of_preference_within_the_tie_margin_is_forgiven(scores_of: ScoresOf) -> None:
    logits = np.array([[1.0, 0.95, 0.0]])
    other = np.array([[0.95, 1.0, 0.0]])
    found = measure([scores_of(logits)], [scores_of(other, (0, 0))], tie_margin=0.2)
    assert (found.top1, found.top1_untied, found.first_untied) == (0, 1, None)


def test_a_token_the_other_side_does_not_list_counts_as_its_last(scores_of: ScoresOf) -> None:
    logits, other = np.array([[4.0, 3.0, 0.0]]), np.array([[0.0, 3.0, 4.0]])
    found = measure([scores_of(logits, top=2)], [scores_of(other, (0, 0), top=2)])
    assert found.first_change is not None
    assert found.first_change.margin == pytest.approx(2.0)
