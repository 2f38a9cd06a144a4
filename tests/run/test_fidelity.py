"""What is scored, by how many tokens, and what of it is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_aprqa.falsify.spoilt_engine import SpoiltEngine
from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.fidelity import (
    WINDOW,
    beginning,
    fidelity_text,
    opening_text,
    pair_of,
    windows,
)
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.words import Outcome

PLAYBOOK = """\
name: scored
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [safetensors, apr, gguf]}
test_matrix: {modalities: [run], backends: [cpu], scenario_count: 1, prompts: [What is 2+2?]}
metadata: {tier: mvp}
"""


def planned(laboratory: Laboratory, name: str) -> Check:
    [check] = [c for c in laboratory.plan.checks if c.name == name]
    return check


def test_the_text_begins_as_shorter_runs_know_it() -> None:
    assert fidelity_text().startswith(opening_text())
    assert len(fidelity_text().encode()) > 15_000


def test_long_texts_are_cut_into_windows() -> None:
    tokens = list(range(2 * WINDOW + 3))
    cut = windows(tokens, 4096)
    assert [len(window) for window in cut] == [WINDOW, WINDOW, 3]
    assert [token for window in cut for token in window] == tokens
    assert windows(tokens[:192], 4096) == [tokens[:192]]
    assert [len(window) for window in windows(tokens[:9], 4)] == [4, 4], "one token has no score"


class Noisy(SpoiltEngine):
    """A real engine that shifts its log-probabilities in sequences of another length."""

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        told = super().score(sequences, top, timeout, dtype)
        if len(sequences[0]) == 64:
            return told
        return [replace(one, top_logprobs=tuple(map(self._flat, one.top_logprobs))) for one in told]

    def _flat(self, logprobs: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(0.9 * logprob - 0.1 for logprob in logprobs)


def test_the_reference_is_held_against_itself_in_another_shape(laboratory: Laboratory) -> None:
    pair = pair_of(planned(laboratory, "I-1[apr]"), laboratory)
    [tokens] = pair.reference.tokenize([fidelity_text()], special=False, timeout=60)
    [whole] = pair.reference.score([tokens[:64]], 8, 60)
    quiet = pair._noise([whole], "")
    assert 0 <= quiet < 1e-4
    noisy = replace(pair, reference=Noisy(pair.reference))
    assert noisy._differs(beginning(whole, 32), "") > 1e-3
    by_table = budget_for("bfloat16", "BF16").max_mean_kl
    assert budget_for("bfloat16", "BF16", reference_noise=quiet).max_mean_kl == by_table
    assert pair._noise([beginning(whole, 9)], "") == 0.0, "too short to tell"
    broken = replace(whole, logprobs=(float("nan"), *whole.logprobs[1:]))
    assert pair._noise([broken], "") == 0.0


def test_a_bfloat16_reference_is_held_against_itself_in_float16(laboratory: Laboratory) -> None:
    pair = pair_of(planned(laboratory, "I-1[gguf]"), laboratory)
    assert pair.reference.load(60).dtype == "bfloat16"
    [tokens] = pair.reference.tokenize([fidelity_text()], special=False, timeout=60)
    [whole] = pair.reference.score([tokens[:64]], 8, 60)
    assert 0 < pair._noise([whole], "float16") < 1e-2
    assert pair._noise([whole], "float16") > pair._noise([whole], "")
    by_llama_cpp = replace(pair, reference=pair.artifact)
    assert by_llama_cpp._differs(whole, "float16") == 0.0, "which knows of no other dtype"


@pytest.fixture
def scored(laboratory: Laboratory) -> Laboratory:
    """A laboratory in which APR was scored on a thousand tokens."""
    check = replace(planned(laboratory, "I-1[apr]"), params={"tokens": 1024})
    found = run_check(check, laboratory)
    assert found.outcome is Outcome.CORROBORATED
    assert found.compared["sequences"] == 1024 // min(WINDOW, laboratory.load(check).context_length)
    assert len(found.observation["kl_nats_by_position"]) == found.compared["tokens"] > 1000
    assert "kl_mean_nats_from_apr" not in found.metrics
    return laboratory


def test_a_format_is_also_held_against_another_that_was_scored(scored: Laboratory) -> None:
    check = replace(planned(scored, "I-1[gguf]"), params={"tokens": 1024})
    found = run_check(check, scored)
    assert 0 <= found.metrics["kl_mean_nats_from_apr"] < 1e-3
