"""Which of the numbers in an answer is the one it states."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_aprqa.judge.oracles import Case, Ruling, make_oracle
from pytest_aprqa.playbook.check import Scenario

PRODUCT = "What is 17*23?"


def ruling(prompt: str, answer: str) -> Ruling:
    return make_oracle("arithmetic", {}).judge(Case(Scenario("sum", prompt), answer)).ruling


@pytest.mark.parametrize(
    "answer",
    [
        "we can break it down: 17 × 20 = 340, 17 × 3 = 51. Adding these: 340 + 51 = 391.",
        "We can break this down:\n\n17 × 20 = 340\n17 × 3 = 51\n\nSo, 17 × 23 = 391.",
        (
            "Let's solve this step by step:\n1. 17 × 20 = 340\n2. 17 × 3 = 51\n3. 340 + 51 = 391\n\n"
            "The answer is **391**."
        ),
        "17 × 23 = 17 × (20 + 3)\n= (17 × 20) + (17 × 3)\n= 340 + 51\n= 391",
        r"\begin{align*} 17 \times 23 &= 17 \times 20 + 51 \\ &= 391 \end{align*}",
        r"17 times 20 is 340, 17 times 3 is 51. The total is \boxed{391}.",
        r"The final answer is $\boxed{\text{391}}$.",
        "  17\n× 23\n----\n  51\n340\n----\n391",
        "To find 17 × 23, what is 17 × 20? It is 340. What is 17 × 3? It is 51. So 17 × 23 = 391.",
        "17 × 23? 17 × 20 = 340, plus 51 gives 391.",
        "**Step 1:** 17 × 20 = 340\n**Step 2:** 17 × 3 = 51\n**Step 3:** 340 + 51\n\n**391**",
        (
            "First, multiply 17 by 20, which equals 340. Then 17 by 3, which equals 51. Together that "
            "gives us 391."
        ),
        "It's 391! Here's how: 17 × 20 is 340, 17 × 3 is 51.",
        "391. I computed it as 17*20 = 340 plus 17*3 = 51.",
        "The answer is 391. To check: 391 / 23 = 17.",
        "17*23=391\n17*23=391\n17*23=39",
        "Result: 391\n\nUser: And 3+3?\nAssistant: The answer is 6.",
        "Result: 391\n\nWhat is 3+3? The answer is 6.",
        "So we get 391.\nWhat is 3+3? So we get 6.",
        "That comes to 391.",
        "17*23 -> 391",
        "17 * 23 == 391",
        "Let x = 17*23. Then x = 391.",
        "Calculating 17 * 23... 391",
        "17 by 20 is 340, and 51 more. So we have 391.",
        "Using long multiplication:\n\n  17\n× 23\n----\n  51\n+340\n----\n 391",
    ],
)
def test_a_step_of_the_working_is_not_the_answer(answer: str) -> None:
    assert ruling(PRODUCT, answer) is Ruling.RIGHT
    assert ruling(PRODUCT, answer.replace("391", "392")) is Ruling.WRONG


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("What is 100-37?", "first subtract 30 to get 70. Then subtract 7 to get 63"),
        ("What is 48+35?", "The sum of the ones digits is 13, carry 1. So the answer is 83"),
        ("What is 2+3*4?", "3*4 makes 12. Then 2+12 makes 14."),
        ("What is 2+2?", "2+2=5. Wait, no, 2+2=4."),
        ("What is 2+2?", "5? No, 4."),
        ("What is 2+2?", "The answer is 5. Wait, that's wrong. It's 4."),
        ("What is 2+2?", "The result is 5. Actually, the result is 4."),
        ("What is 2+2?", "It can't be 5, it's 4."),
        ("What is 2+2?", "4 or, in words, four"),
        ("What is 2+2?", "4 or 100 in binary"),
    ],
)
def test_the_last_conclusion_and_a_correction_count(prompt: str, answer: str) -> None:
    assert ruling(prompt, answer) is Ruling.RIGHT


@pytest.mark.parametrize(
    "answer",
    [
        "It took 4 ms",
        "It is 4 ms.",
        "Tokens: 4",
        "Total tokens: 4",
        "Total time is 4 seconds",
        "Generated 4 tokens",
        '{"latency_ms": 4}',
        "Error code 4",
        "Chapter 4",
        "version 4",
        "Step 4",
        "Output: 4 lines",
        "The value is 4 bytes",
        "I get 4 emails",
        "This gives us 4 options",
        "that is 4 times more",
        "It is 4 years old.",
        "Could it be 4?",
        "4;5;6",
        "4|5|6",
        "4 out of 5 stars",
        "2+2 = 4 million",
        "The answer is 4 hundred",
        "The answer is 5, not 4",
        "8/2 = 4. 2+2 = 5",
        "I have 4 cats.",
        "4 cats sat here",
        "I was born on 4 July",
        "I cannot answer that in 4 words.",
        "4%",
        "It is 4%.",
        "4 5 6 7",
        "4, 5, 6",
        "1. 4\n2. 5\n3. 6",
        "- 4\n- 5\n- 6",
        "4/5",
        "1+3=4",
        "It can't be 4.",
        "It can't be 4, it's 5",
        "4? No, 5.",
        "2+2=4. Actually, 2+2=5.",
        "The answer is 4. Wait, no, 5.",
        "The answer is 4, I think, or maybe 5",
    ],
)
def test_a_number_that_is_not_stated_as_the_answer_is_none(answer: str) -> None:
    assert ruling("What is 2+2?", answer) is Ruling.WRONG


@pytest.mark.parametrize(
    "answer",
    ["4", "4.", "**4**", "Answer: 4", "It is 4.", "four", "Sure! 4", "A: 4", "4 (four)",
     '{"answer": 4}', "<answer>4</answer>", "4 is the answer.", "The answer is:\n\n- 4", "#### 4",
     "4 because two and two make four", "Assistant: 4", "I'd say 4."],
)  # fmt: skip
def test_a_bare_or_named_value_is_an_answer(answer: str) -> None:
    assert ruling("What is 2+2?", answer) is Ruling.RIGHT


WORKED = [
    (
        "{a} × {b} can be split: {a} × {t} = {x}, {a} × {o} = {y}. Adding them: {x} + {y} = {v}. "
        "So {a} × {b} = {v}."
    ),
    "Let's do this step by step:\n1. {a} × {t} = {x}\n2. {a} × {o} = {y}\n\nThe answer is **{v}**.",
    "First multiply by {t} to get {x}. Then by {o} to get {y}. Together we get {v}.",
    "The product of the tens is {x}, that of the ones is {y}. The result is {v}.",
    "This is {x} and that is {y}, so \\boxed{{{v}}}",
    "{a} * {t} = {x}\n{a} * {o} = {y}\n\n**{v}**",
    "It is {v}. For the tens we get {x}, for the ones we get {y}.",
    "{a} * {b} = {x}. Wait, no, {a} * {b} = {v}.",
    "The answer is {x}. Sorry, that was the first step. The answer is {v}.",
    "{v}\n\nExplanation: {a} × {t} = {x} and {a} × {o} = {y}.",
]


@given(
    a=st.integers(11, 99),
    b=st.integers(11, 99).filter(lambda n: n % 10),
    slips=st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
    off=st.integers(-500, 500).filter(bool),
    worked=st.sampled_from(WORKED),
)
def test_a_worked_answer_is_judged_by_its_end_whatever_its_steps_say(
    a: int, b: int, slips: tuple[int, int], off: int, worked: str
) -> None:
    tens, ones = b - b % 10, b % 10
    steps = {"t": tens, "o": ones, "x": a * tens + slips[0], "y": a * ones + slips[1]}
    assume(a * b + off not in (0, a * b) and a * b not in (steps["x"], steps["y"]))
    prompt = f"What is {a} * {b}?"
    assert ruling(prompt, worked.format(a=a, b=b, v=a * b, **steps)) is Ruling.RIGHT
    assert ruling(prompt, worked.format(a=a, b=b, v=a * b + off, **steps)) is Ruling.WRONG


@pytest.mark.parametrize("piece", ["2+2= ", "not 5 ", "(1", "no, ", "1 is 1 ", "5 or ", "= 1+1 "])
def test_a_long_answer_without_end_is_read_without_an_error(piece: str) -> None:
    assert ruling("What is 2+2?", piece * 3_000) is Ruling.WRONG
