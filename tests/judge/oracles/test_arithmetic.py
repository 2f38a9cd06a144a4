"""The oracle for sums, and what an earlier tool's oracle let through."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_aprqa.judge.oracles import Case, OracleAnswer, Ruling, make_oracle
from pytest_aprqa.judge.oracles.arithmetic.number_words import read_number
from pytest_aprqa.playbook.check import Scenario

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE


def ask(prompt: str, answer: str, **config: float) -> OracleAnswer:
    return make_oracle("arithmetic", config).judge(Case(Scenario("sum", prompt), answer))


@pytest.mark.parametrize(
    "prompt",
    [
        "What is 2+2?",
        "2+2=",
        "2 + 2 =",
        "2 + 2 =>",
        "2+2",
        "What's 2 plus 2?",
        "what is two plus two",
        "Calculate 2+2.",
        "Compute: 2 + 2",
        "How much is 2+2?",
        "Please evaluate 2+2",
        "Q: What is 2+2?\nA:",
        "What is the sum of 2 and 2?",
        "Add 2 and 2.",
        "1+1=2\n3+3=6\n2+2=",
        "What is 2+2? Answer with the number only.",
        "What is 6 - 2?",
        "What is 2 × 2?",
        "What is 2*2?",
        "What is 2 x 2?",
        "What is 2 times 2?",
        "What is 100/25?",
        "What is 100 ÷ 25?",
        "100 divided by 25",
        "What is -4 + 8?",
        "What is 1.5 + 2.5?",
        "What is (1 + 1) * 2?",
        "What is 2 + 4 / 2?",
        "What is 2^2?",
        "What is 2**2?",
        "What is 10% of 40?",
        "Subtract 6 from 10.",
        "What is 4,000 / 1,000?",
        "What is 19 mod 5?",
        "What is $2 + 2$?",
        r"What is \frac{8}{2}?",
    ],
)
def test_four_is_recognised_as_the_answer_however_it_is_asked_for(prompt: str) -> None:
    assert ask(prompt, "4").ruling is RIGHT
    assert ask(prompt, "5").ruling is WRONG


@pytest.mark.parametrize(
    "answer",
    [
        "4",
        " 4",
        "4.",
        "4.0",
        "= 4",
        "4!",
        "four",
        "Four.",
        "**4**",
        "$4$",
        r"\boxed{4}",
        r"\[ 2 + 2 = 4 \]",
        "2 + 2 = 4",
        "2+2=4.",
        "2 + 2 equals 4.",
        "2 + 2 is equal to 4.",
        "2+2 is 4, not 5",
        "2+2 is 4. That's correct.\n\nWhat is 3+3? 3+3 is 6. That's correct.\n\nWhat",
        " 4\n3 + 3 = 6",
        "4\n5\n6",
        "The answer is 4",
        "The answer is: 4",
        "Answer: 4",
        "The answer to 2+2 is 4.",
        "The sum of 2 and 2 is 4.",
        "The sum of two and two is four.",
        "It is 4.",
        "It's 4!",
        "That would be 4.",
        "2 + 2 = 1 + 3 = 4",
        "If you have 2 apples and get 2 more, you have 4 apples.",
        "Two plus two makes four.",
        "The answer is not 5 but 4.",
        "It isn't 5, it's 4.",
        "5 is wrong; the answer is 4.",
        "First take 2. Then count on: 3, 4. So the answer is 4.",
        "1. Take 2.\n2. Add 2.\n3. The answer is 4.",
        "- 2 + 2 = 4",
        "2 + 2 → 4",
        "The result of adding 2 and 2 together is exactly 4.",
        "Sure! 2 + 2 = 4. Would you like to try 5 + 5?",
        "One can see that 2+2=4.",
        "So we get 4.",
    ],
)
def test_an_answer_that_states_the_value_is_right(answer: str) -> None:
    assert ask("What is 2+2?", answer).ruling is RIGHT


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   ",
        "22",
        "14",
        "40",
        "4.5",
        "-4",
        "fourteen",
        "forty-four",
        "2+2=5, 4 is wrong",
        "2+2 is not 4, it is 5.",
        "4 is wrong, the answer is 5.",
        "2 + 2 = 22",
        "The answer is 5. 1 + 3 = 4.",
        "4 or 5",
        "It's either 4 or 5.",
        "What is 3+3? 6",
        "What is 2+2?",
        "2+2",
        "2+2=",
        "I don't know.",
        "latency: 23724.61ms",
        "tokens: 4x32 v4 GPT4",
        "tok/s: 2.44",
        "2024-04-04",
        "It is 4:44.",
        "Wiki User\n2010-02-12 1",
        "The fourth of May",
        "olumbia+lsi nunca/localENTS",
    ],
)
def test_an_answer_that_does_not_state_the_value_is_wrong(answer: str) -> None:
    assert ask("What is 2+2?", answer).ruling is WRONG


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the capital of France?",
        "What is GPT-4?",
        "Name the top-10 films of 2020.",
        "What happened on 2024-05-01?",
        "What is 2024-05-01?",
        "Write a haiku about C++.",
        "Read pages 10-12.",
        "Tom has 3 apples and buys 4 more. How many?",
        "def add(a, b):\n    return a+b",
        "What is 2+2? And what is 3+3?",
        "What is 1/0?",
        "What is 9^9^9?",
        "",
    ],
)
def test_a_prompt_that_asks_for_no_sum_is_not_applicable_whatever_the_answer(prompt: str) -> None:
    assert ask(prompt, "4").ruling is NOT_APPLICABLE
    assert ask(prompt, "").ruling is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("prompt", "answer", "ruling"),
    [
        ("What is 10/3?", "3.33", RIGHT),
        ("What is 10/3?", "3.3333333", RIGHT),
        ("What is 10/3?", "10/3 ≈ 3.33", RIGHT),
        ("What is 2/3?", "0.67", RIGHT),
        ("What is 2/3?", "0.66", RIGHT),
        ("What is 10/3?", "3", WRONG),
        ("What is 10/3?", "3.3", WRONG),
        ("What is 10/3?", "3.34", WRONG),
        ("What is 10/3?", "3.35", WRONG),
        ("What is 10/3?", "10/3", WRONG),
        ("What is 1/3?", "1/3", RIGHT),
        ("What is 1/3?", "The answer is 1/3.", RIGHT),
        ("What is 1/3?", "one third", RIGHT),
        ("What is 1/3?", "0.33", RIGHT),
        ("What is 1/3?", "0.34", WRONG),
        ("What is 1/3?", "What is 1/3?", WRONG),
        ("What is 1/3?", "1/3 = 0.4", WRONG),
        ("What is 2/6?", "2/6", WRONG),
        ("What is 1/300?", "0.00", WRONG),
        ("What is 22/7?", "3.14", RIGHT),
        ("What is 22/7?", "3.143", RIGHT),
        ("What is 22/7?", "3.142", RIGHT),
        ("What is 22/7?", "3.15", WRONG),
        ("What is -2/3?", "-0.67", RIGHT),
        ("What is -2/3?", "-0.66", RIGHT),
        ("What is -2/3?", "-0.68", WRONG),
        ("What is 5/2?", "two and a half", RIGHT),
        ("What is 5/2?", "2 1/2", RIGHT),
        ("What is 5/2?", "The answer is 2½.", RIGHT),
        ("What is 7/2?", "3½", RIGHT),
        ("What is 7/2?", "2 1/2", WRONG),
        ("What is 50+50?", "a hundred", RIGHT),
        ("What is 2000000 + 500000?", "2.5 million", RIGHT),
        ("What is 2 million + 500 thousand?", "2,500,000", RIGHT),
        ("What is 10^6 * 10^6?", "10^12", RIGHT),
        ("What is 10^6 * 10^6?", "1e12", RIGHT),
        ("What is 10^6 * 10^6?", r"The answer is $1 \times 10^{12}$.", RIGHT),
        ("What is 10^6 * 10^6?", "10^11", WRONG),
        ("What is 10^6 * 10^6?", "1e11", WRONG),
        ("What is 6/4?", "3/2", RIGHT),
        ("What is 6/4?", "1.5", RIGHT),
        ("What is 6/4?", "1.51", WRONG),
        ("What is 7 + 3 * 4 - 5?", "14", RIGHT),
        ("What is 7 + 3 * 4 - 5?", "35", WRONG),
        ("What is (7 + 3) * (4 - 5)?", "-10", RIGHT),
        ("What is (7 + 3) * (4 - 5)?", "minus ten", RIGHT),
        ("What is 2^3^2?", "512", RIGHT),
        ("What is 8 - 3 - 2?", "3", RIGHT),
        ("123 * 456", "56,088", RIGHT),
        ("123 * 456", "56088", RIGHT),
        ("123 * 456", "56 088", RIGHT),
        ("123 * 456", "fifty-six thousand and eighty-eight", RIGHT),
        ("What is 9999999999 * 9999999999?", "99999999980000000001", RIGHT),
        ("What is 9999999999 * 9999999999?", "9.999e19", WRONG),
        ("1+1=", "12", WRONG),
        ("1+1=", "2", RIGHT),
        ("What is 2+0?", "2 + 0 = 2", RIGHT),
        ("What is 5 - 9?", "The answer is -4.", RIGHT),
        ("What is 5 - 9?", "The answer is 4.", WRONG),
        ("What is 15 - 7?", "You have 15, take away 7, left with 8.", RIGHT),
        ("What is 15 - 7?", "15 take away 7 is 8.", RIGHT),
        ("What is 15 - 7?", "15 take away 7 is 9.", WRONG),
        ("What is 15 - 7?", "15 apples", WRONG),
        ("What is 5 - 9?", "9 - 5 = 4", WRONG),
        ("What is 12*12?", "12*12 = 12*10 + 12*2 = 120 + 24 = 144", RIGHT),
        ("What is 2+3*4?", "3*4 = 12, and 2+12 = 14.", RIGHT),
        ("What is 2+3*4?", "3*4 = 12, and 2+12 = 15.", WRONG),
        ("What is 0.1 + 0.2?", "0.3", RIGHT),
        ("What is 0.1 + 0.2?", "0.30000000000000004", WRONG),
    ],
)
def test_the_stated_value_is_compared_exactly(prompt: str, answer: str, ruling: Ruling) -> None:
    assert ask(prompt, answer).ruling is ruling


def test_a_tolerance_accepts_what_lies_within_it() -> None:
    assert ask("What is 0.1 + 0.2?", "0.30000000000000004", tolerance=1e-9).ruling is RIGHT
    assert ask("What is 2+2?", "4.01", tolerance=0.01).ruling is RIGHT
    assert ask("What is 2+2?", "4.02", tolerance=0.01).ruling is WRONG


def test_an_oracle_answer_names_what_was_stated_and_what_is_right() -> None:
    answer = ask("What is 2+2?", "It is 5.")
    assert answer.reason == "the stated value is 5; 4 is right"
    assert answer.expected == "4"


def test_deep_nesting_and_long_texts_come_to_an_end() -> None:
    assert ask("(" * 5000 + "1", "4").ruling is NOT_APPLICABLE
    assert ask("What is 2+2?", "((((" * 2000).ruling is WRONG
    assert ask("What is 2+2?", "-" * 5000 + "4").ruling is WRONG
    assert ask("What is 2+2?", "1+" * 5000).ruling is WRONG


NUMBERS = st.integers(0, 99_999)
PROMPTS = [
    "What is {a} {op} {b}?",
    "{a}{op}{b}=",
    "Calculate {a} {op} {b}",
    "{a} {op} {b}",
    "{a} {op} {b} =",
]
STATEMENTS = [
    "{v}",
    " {v}",
    "{v}.",
    "= {v}",
    "**{v}**",
    "The answer is {v}.",
    "{a} {op} {b} = {v}",
    "{a} {op} {b} is {v}.",
    "{a} {op} {b} equals {v}.",
    "{a}{op}{b}={v}\n7 + 7 = 14",
    "The result is {v}, of course.",
    "It is {v}.",
]


@given(
    a=NUMBERS,
    b=st.integers(1, 99_999),
    op=st.sampled_from("+-*"),
    off=st.integers(-100, 100),
    prompt=st.sampled_from(PROMPTS),
    statement=st.sampled_from(STATEMENTS),
)
def test_right_and_wrong_values_are_never_confused(
    a: int, b: int, op: str, off: int, prompt: str, statement: str
) -> None:
    exact = {"+": a + b, "-": a - b, "*": a * b}[op]
    answer = statement.format(a=a, b=b, op=op, v=exact + off)
    ruling = ask(prompt.format(a=a, b=b, op=op), answer).ruling
    assert ruling is (RIGHT if off == 0 else WRONG)


@given(a=NUMBERS, b=NUMBERS, c=st.integers(1, 99), wrong=st.integers())
def test_precedence_and_brackets_are_those_of_written_arithmetic(
    a: int, b: int, c: int, wrong: int
) -> None:
    assume(wrong not in (a + b * c, (a + b) * c))
    assert ask(f"What is {a} + {b} * {c}?", str(a + b * c)).ruling is RIGHT
    assert ask(f"What is ({a} + {b}) * {c}?", str((a + b) * c)).ruling is RIGHT
    assert ask(f"What is ({a} + {b}) * {c}?", str(wrong)).ruling is WRONG


def prime_factors(number: int) -> list[int]:
    return [n for n in range(2, number + 1) if number % n == 0 and all(n % m for m in range(2, n))]


@given(a=NUMBERS, b=st.integers(1, 999))
def test_division_is_exact_or_rounded_to_two_decimals_or_more(a: int, b: int) -> None:
    value = Fraction(a, b)
    shown = f"{a / b:.3f}"
    near = Fraction(shown) != 0 and not set(prime_factors(value.denominator)) <= {2, 5}
    expected = RIGHT if value == Fraction(shown) or near else WRONG
    assert ask(f"What is {a} / {b}?", shown).ruling is expected
    assert ask(f"What is {a} / {b}?", f"{a / b + 1:.3f}").ruling is WRONG


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gets_a_ruling(prompt: str, answer: str) -> None:
    assert ask(prompt, answer).ruling in Ruling
    assert ask("What is 2+2?", answer).reason


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("zero", 0),
        ("seven", 7),
        ("nineteen", 19),
        ("forty - two", 42),
        ("one hundred and five", 105),
        ("nine hundred ninety - nine", 999),
        ("two thousand and twelve", 2012),
        ("fifty - six thousand and eighty - eight", 56_088),
        ("one million two hundred thousand", 1_200_000),
        ("three point one four", Fraction(314, 100)),
        ("two and two", 2),
        ("four apples", 4),
        ("a hundred", 100),
        ("a thousand and five", 1005),
        ("two and a half", Fraction(5, 2)),
        ("one and three quarters", Fraction(7, 4)),
        ("two - thirds", Fraction(2, 3)),
        ("twenty fifth", 20),
    ],
)
def test_numbers_in_words_are_read(words: str, value: Fraction) -> None:
    found = read_number(words.split())
    assert found is not None
    assert found[0] == value


@pytest.mark.parametrize(
    "words", ["", "apples", "a", "a half", "half", "hundred", "and four", "- two"]
)
def test_words_that_are_no_number_are_not_read_as_one(words: str) -> None:
    assert read_number(words.split()) is None
