"""The oracle that parses code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling
from pytest_aprqa.observation import FinishReason

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
LENGTH = FinishReason.LENGTH
Ask = Callable[..., OracleAnswer]

FIBONACCI = "def fibonacci(n):\n"
BODY = "    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n"


@pytest.mark.parametrize(
    ("prompt", "answer", "finish", "ruling"),
    [
        (FIBONACCI, BODY, FinishReason.STOP, RIGHT),
        (FIBONACCI, "    if n < 2:\n        return n\n    return fibonacci(n -", LENGTH, RIGHT),
        (
            FIBONACCI,
            "    if n < 2:\n        return n\n    return fibonacci(n -",
            FinishReason.STOP,
            WRONG,
        ),
        (FIBONACCI, "    if n < 2:\n        return n\n    x = 'abc", LENGTH, RIGHT),
        (FIBONACCI, "    if n < 2 return n\n    return 1\n    x =", LENGTH, WRONG),
        (FIBONACCI, "    return (n\n    return 1\n)\nprint(1)\n", LENGTH, WRONG),
        (FIBONACCI, '    """Return the n-th', LENGTH, NOT_APPLICABLE),
        (FIBONACCI, "", FinishReason.STOP, WRONG),
        (FIBONACCI, "olumbia+lsi nunca/localENTS", FinishReason.STOP, WRONG),
        (FIBONACCI, "the quick brown fox", FinishReason.STOP, WRONG),
        (
            FIBONACCI,
            "```python\ndef fibonacci(n):\n    return n\n```\nDone.",
            FinishReason.STOP,
            RIGHT,
        ),
        (FIBONACCI, "```python\ndef fibonacci(n):\n    return n)\n```", FinishReason.STOP, WRONG),
        (FIBONACCI, "```python\ndef fibonacci(n):\n    a = 1\n    return (n", LENGTH, RIGHT),
        (
            "Write a Python function that adds.",
            "def add(a, b):\n    return a + b",
            FinishReason.STOP,
            RIGHT,
        ),
        ("Write a Python function that adds.", "Hello", FinishReason.STOP, WRONG),
        ("Write a Python function that adds.", "Paris is great", FinishReason.STOP, WRONG),
        ("Write a Python function that adds.", "who is there", FinishReason.STOP, WRONG),
        ("Write a Python function that adds.", "yes or no", FinishReason.STOP, WRONG),
        ("Write a Python function that adds.", "end.of.story", FinishReason.STOP, WRONG),
        ("Write a Python function that adds.", "a-b", FinishReason.STOP, NOT_APPLICABLE),
        ("Write a Python function that adds.", "", FinishReason.STOP, WRONG),
        (
            "Write a Python loop over 1 to 3.",
            "for i in 1, 2, 3: print(i)",
            FinishReason.STOP,
            RIGHT,
        ),
        ("Write a Python function that adds.", "Sure, here it is.", FinishReason.STOP, WRONG),
        ("What is the capital of France?", "Paris", FinishReason.STOP, NOT_APPLICABLE),
        ("What is 2+2?", "4", FinishReason.STOP, NOT_APPLICABLE),
    ],
)
def test_python_is_parsed_with_its_stem_and_up_to_where_it_was_cut_off(
    ask: Ask, prompt: str, answer: str, finish: FinishReason, ruling: Ruling
) -> None:
    assert ask("code_syntax", answer, prompt, finish=finish).ruling is ruling


@pytest.mark.parametrize(
    ("answer", "finish", "ruling"),
    [
        ('{"a": [1, 2]}', FinishReason.STOP, RIGHT),
        ('```json\n{"a": 1}\n```', FinishReason.STOP, RIGHT),
        ("{'a': 1}", FinishReason.STOP, WRONG),
        ('{"a": 1,', FinishReason.STOP, WRONG),
        ('{"a": 1,', LENGTH, NOT_APPLICABLE),
        ('{"a": "tex', LENGTH, NOT_APPLICABLE),
        ('{"a": tru', LENGTH, NOT_APPLICABLE),
        ('{"a" 1, "b":', LENGTH, WRONG),
        ("[" * 100_000, FinishReason.STOP, NOT_APPLICABLE),
        ('{"a": NaN}', FinishReason.STOP, WRONG),
        ('{"a": -Infinity}', FinishReason.STOP, WRONG),
        ("", FinishReason.STOP, WRONG),
    ],
)
def test_json_is_parsed(ask: Ask, answer: str, finish: FinishReason, ruling: Ruling) -> None:
    given = ask("code_syntax", answer, "Give JSON.", finish=finish, languages=["json"])
    assert given.ruling is ruling


def test_other_languages_are_parsed_where_a_grammar_is_installed(ask: Ask) -> None:
    pytest.importorskip("tree_sitter")
    pytest.importorskip("tree_sitter_rust")

    def rust(answer: str, finish: FinishReason = FinishReason.STOP) -> Ruling:
        return ask("code_syntax", answer, "fn main() {", finish=finish, languages=["rust"]).ruling

    assert rust('\n    println!("hi");\n}\n') is RIGHT
    assert rust('\n    println!("hi";\n}}}\n') is WRONG
    assert rust("```rust\nfn main() { let x = 1; }\n```") is RIGHT
    assert rust('\n    let x = 1;\n    println!("h', LENGTH) is NOT_APPLICABLE


def test_a_language_without_parser_is_not_applicable_and_names_what_to_install(ask: Ask) -> None:
    given = ask("code_syntax", "10 PRINT", "Write a cobol program.", languages=["cobol"])
    assert given.ruling is NOT_APPLICABLE
    assert "tree-sitter-cobol" in given.reason


def test_code_in_a_language_that_was_not_asked_for_is_not_applicable(ask: Ask) -> None:
    given = ask("code_syntax", "```ruby\nputs 1\n```", "Write a Python function.")
    assert given.ruling is NOT_APPLICABLE


ADD = "Write a Python function that adds."
ADDS = "def add(a, b):\n    return a + b"
BROKEN = "def add(a, b:\n    return a + b"


@pytest.mark.parametrize(
    ("around", "prompt"),
    [
        ("{}", ADD),
        ("Here is the function:\n\n{}", ADD),
        ("Sure! Here it is:\n{}", ADD),
        ("Here is the function:\n\n{}\n\nThis function takes two numbers.", ADD),
        ("{}\n\nYou can use it like this:\n\nprint(add(1, 2))", ADD),
        ("{}\n\n1. It takes two numbers, a and b.\n2. It returns their sum.", ADD),
        ("Here is the function:\n\n{}", "Write a function that adds."),
        ("```\n{}\n```\nIt prints:\n```\n5 as it should\n```", ADD),
        ("```bash\npip install it now\n```\nThen:\n```python\n{}\n```", ADD),
        ("```python\n{}\n```\nThat gives:\n```python\n5\n```", ADD),
        ("```python\n{}\n```\nAs in:\n```python\n>>> add(2, 3)\n5\n```", ADD),
        ("{}", "Write a Python function that returns JSON."),
        ("{}", "Complete this Python code:\n\ndef add(a, b):"),
        ("{}", 'def add(a, b):\n    """As in JSON or SQL."""'),
    ],
)
def test_words_around_code_do_not_break_it_and_do_not_mend_it(
    ask: Ask, around: str, prompt: str
) -> None:
    assert ask("code_syntax", around.format(ADDS), prompt).ruling is RIGHT
    assert ask("code_syntax", around.format(BROKEN), prompt).ruling is WRONG


def test_every_fenced_block_must_parse(ask: Ask) -> None:
    two = "First:\n```python\n{}\n```\nThen:\n```python\n{}\n```"
    assert ask("code_syntax", two.format(ADDS, "print(add(1, 2))"), ADD).ruling is RIGHT
    assert ask("code_syntax", two.format(ADDS, BROKEN), ADD).ruling is WRONG
    assert ask("code_syntax", two.format(BROKEN, ADDS), ADD).ruling is WRONG
    assert ask("code_syntax", two.format("5", "add"), ADD).ruling is WRONG


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a Rust function that adds.",
        "Write a Kotlin function that adds.",
        "Write a C# method that adds.",
        "fn add(a: i32, b: i32) -> i32 {",
        "function add(a, b) {",
        "Translate this Python function to Rust:\n\ndef add(a, b):\n    return a + b",
        "Put this into Rust:\n\ndef add(a, b):\n    return a + b",
    ],
)
@pytest.mark.parametrize(
    "answer",
    [ADDS, f"```python\n{ADDS}\n```", "fn add(a: i32) -> i32 { a }", "```\nfun add() = 1\n```"],
)
def test_another_language_is_not_parsed_as_python(ask: Ask, prompt: str, answer: str) -> None:
    assert ask("code_syntax", answer, prompt).ruling is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Write a story about a school class.", "Once upon a time, a class went to the sea."),
        ("Write a function that adds.", "function add(a, b) { return a + b; }"),
        ("Write a function that adds.", "```\nfn add(a: i32, b: i32) -> i32 { a + b }\n```"),
    ],
)
def test_what_may_be_no_code_or_in_another_language_is_not_accused(
    ask: Ask, prompt: str, answer: str
) -> None:
    assert ask("code_syntax", answer, prompt).ruling is NOT_APPLICABLE
    assert ask("code_syntax", "```python\nprint(1\n```", prompt).ruling is WRONG


BUBBLE = "Complete this Python code:\n\ndef bubble_sort(items):"


@pytest.mark.parametrize(
    ("answer", "ruling"),
    [
        pytest.param("def bubble_sort(items):\n    for i in range(len(items)", NOT_APPLICABLE, id="a header"),
        pytest.param('def bubble_sort(items):\n    """\n    Sorts a list', NOT_APPLICABLE, id="a text"),
        pytest.param("def bubble_sort(items):\n    n = len(items)\n    for i in ra", RIGHT, id="a statement more"),
        pytest.param("Here it is:\n\ndef bubble_sort(items):\n    n = len(items)\n    for", RIGHT, id="after words"),
        pytest.param("def bubble_sort(items): return sorted(", NOT_APPLICABLE, id="one line"),
        pytest.param("def bubble_sort(items):\n    n = = len(items)\n    for i in ra", WRONG, id="broken before"),
        pytest.param("Sure! I can help you with that. Bubble sort is", WRONG, id="talk"),
        pytest.param("the the the the the", WRONG, id="words"),
    ],
)  # fmt: skip
def test_code_that_was_cut_off_is_wrong_only_when_it_breaks_before_its_end(
    ask: Ask, answer: str, ruling: Ruling
) -> None:
    for prompt in (BUBBLE, "def bubble_sort(items):"):
        assert ask("code_syntax", answer, prompt, finish=LENGTH).ruling is ruling


def test_code_that_ended_by_itself_has_no_excuse(ask: Ask) -> None:
    answer = "def bubble_sort(items):\n    for i in range(len(items)"
    assert ask("code_syntax", answer, BUBBLE).ruling is WRONG
