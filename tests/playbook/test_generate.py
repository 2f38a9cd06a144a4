"""Generated questions: reproducible, distinct, and with answers that can be judged."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.oracles import make_oracle
from pytest_aprqa.playbook.draw import SeededDraw
from pytest_aprqa.playbook.families import FAMILIES, KERNELS, family_of
from pytest_aprqa.playbook.generate import known_kernels, questions
from pytest_aprqa.words import Modality

ALL = (*FAMILIES, *(f"kernel-{name}" for name in KERNELS))


@pytest.mark.parametrize("name", ALL)
@given(seed=st.integers(0, 10_000))
def test_every_question_can_be_asked_and_judged(name: str, seed: int) -> None:
    made = family_of(name)(SeededDraw(Random(seed)))
    make_oracle(made.oracle.type, made.oracle.config)
    for modality in Modality:
        scenario = made.scenario(name, modality, max_tokens=32, seed=1)
        assert scenario.prompt.strip()
        assert (modality is Modality.RUN) <= (scenario.history == ())


@pytest.mark.parametrize("name", ["long-context", "multi-turn", "kernel-gqa"])
@given(seed=st.integers(0, 10_000))
def test_what_must_be_recalled_stands_in_the_prompt(name: str, seed: int) -> None:
    made = family_of(name)(SeededDraw(Random(seed)))
    told = "\n".join([made.question, *(turn.content for turn in made.history)])
    wanted = made.oracle.config
    pattern = wanted.get("pattern") or re.escape(wanted["any"][0])
    assert re.search(pattern, told)
    assert re.search(pattern, made.stem)


def test_a_seed_gives_the_same_questions_and_another_seed_others() -> None:
    assert questions(40, seed=1) == questions(40, seed=1)
    assert questions(40, seed=1) != questions(40, seed=2)


def test_fewer_questions_are_the_first_of_more() -> None:
    assert questions(90)[:30] == questions(30)


def test_there_are_enough_distinct_questions_for_every_cell_of_the_largest_tier() -> None:
    made = questions(1800, kernels=tuple(KERNELS))
    assert len(made) == 1800
    assert len({question.name for question in made}) == 1800
    asked = {(q.generated.question, q.generated.stem, q.generated.history) for q in made}
    assert len(asked) == 1800


def test_every_family_and_every_kernel_asked_for_has_its_share() -> None:
    kernels = ("gqa", "bias")
    names = [question.name.rpartition("-")[0] for question in questions(100, kernels=kernels)]
    wanted = {*FAMILIES, *(f"kernel-{name}" for name in kernels)}
    assert {*names} == wanted
    assert min(map(names.count, wanted)) == 10


@pytest.mark.parametrize(
    ("model", "kernels"),
    [
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", ("gqa", "rope", "bias", "tied-embeddings", "swiglu")),
        ("Qwen/Qwen2.5-7B-Instruct", ("gqa", "rope", "bias", "swiglu")),
        ("meta-llama/Meta-Llama-3.1-8B", ("gqa", "rope", "swiglu")),
        ("google/gemma-2b-it", ("mqa", "rope", "tied-embeddings")),
        ("somebody/something", ()),
    ],
)
def test_the_kernels_of_a_well_known_family_are_known(model: str, kernels: tuple[str, ...]) -> None:
    assert known_kernels(model) == kernels
    assert {*kernels} <= {*KERNELS}
