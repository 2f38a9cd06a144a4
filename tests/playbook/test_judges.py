"""Who judges which prompt."""

from __future__ import annotations

import pytest

from pytest_aprqa.playbook.check import OracleSpec
from pytest_aprqa.playbook.judges import Judges
from pytest_aprqa.playbook.matrix import Prompt
from pytest_aprqa.playbook.oracles import Oracle

STRICT = Oracle(type="garbage", config={"max_repetition_ratio": 0.3})
TOLERANT = Oracle(type="arithmetic", config={"tolerance": 0.01})
RELEVANT = Oracle(type="response", config={"min_relevance": 0.3})


def chosen(prompt: str | Prompt, *settings: Oracle) -> list[OracleSpec]:
    entry = Prompt(prompt=prompt) if isinstance(prompt, str) else prompt
    return list(Judges(settings).of_prompt(entry))


@pytest.mark.parametrize(
    "prompt",
    [
        "2+2=",
        "What is 15 - 7?",
        "Calculate 7*8",
        "100/4",
        "12 × 3",
        "What is 0.1 + 0.2?",
        "15-7",
        "what's 100/4?",
        "I have 3 + 4 apples.",
        "What is 5+3 minus my age?",
    ],
)
def test_a_sum_is_computed(prompt: str) -> None:
    assert chosen(prompt) == [OracleSpec("arithmetic")]


@pytest.mark.parametrize(
    "prompt",
    [
        "def f(n):",
        "fn main() {",
        "async function go()",
        "class A:",
        "import os, sys",
        "from os import path",
        "let x = 1;",
        "for i in range(3):",
        "Fix this:\n```\nx = \n```",
        "Write a Python function that adds.",
    ],
)
def test_the_beginning_of_code_is_parsed(prompt: str) -> None:
    assert chosen(prompt) == [OracleSpec("code_syntax")]


@pytest.mark.parametrize(
    "prompt",
    [
        "Who are you?",
        "GPT-4 and a top-10 list",
        "Explain the class struggle.",
        "1984",
        "Describe the sea in 1-2 sentences.",
        "Who is there for me 24/7?",
        "What happened on 2024-11-29?",
        "let me know what a tide is",
        "for how long does an egg boil?",
        "import duties are paid by",
        "class of 1984",
    ],
)
def test_plain_text_is_only_asked_not_to_be_garbage(prompt: str) -> None:
    assert chosen(prompt) == []


def test_the_playbook_says_how_strict_an_oracle_is() -> None:
    assert chosen("2+2=", TOLERANT, STRICT) == [
        OracleSpec("arithmetic", {"tolerance": 0.01}),
        OracleSpec("garbage", {"max_repetition_ratio": 0.3}),
    ]


def test_an_oracle_for_other_prompts_is_not_asked() -> None:
    assert chosen("Who are you?", TOLERANT) == []
    assert chosen("2+2=", RELEVANT) == [OracleSpec("arithmetic")]
    assert chosen("Who are you?", RELEVANT) == [OracleSpec("response", {"min_relevance": 0.3})]


def test_an_oracle_without_a_form_is_asked_of_every_answer() -> None:
    polite = Oracle(type="regex", config={"pattern": "please"})
    for prompt in ("2+2=", "Who are you?", "def f():"):
        assert OracleSpec("regex", {"pattern": "please"}) in chosen(prompt, polite)


def test_an_expected_text_is_looked_for() -> None:
    entry = Prompt(prompt="What is 2+2?", expected=("4", "four"))
    assert chosen(entry) == [OracleSpec("contains", {"any": ["4", "four"]})]


def test_oracles_of_the_prompt_itself_are_the_only_ones() -> None:
    own = Oracle(type="exact", config={"value": "4"})
    entry = Prompt(prompt="2+2=", oracles=(own,))
    assert chosen(entry, TOLERANT, STRICT) == [OracleSpec("exact", {"value": "4"})]
    assert chosen(Prompt(prompt="2+2=", oracles=()), TOLERANT) == []


def test_a_known_answer_keeps_its_own_configuration_over_the_playbooks() -> None:
    judges = Judges([Oracle(type="code_syntax", config={"languages": ["rust"], "x": 1})])
    [spec] = judges.of_known(OracleSpec("code_syntax", {"languages": ["python"]}))
    assert spec.config == {"languages": ["python"], "x": 1}


def test_oracles_that_no_question_needed_are_known() -> None:
    judges = Judges([TOLERANT, RELEVANT, STRICT])
    judges.of_prompt(Prompt(prompt="2+2="))
    assert judges.idle() == (1,)
