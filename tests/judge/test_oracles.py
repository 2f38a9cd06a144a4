"""Oracles other than sums, and how a playbook may ask for them."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.oracles import (
    Case,
    Oracle,
    OracleAnswer,
    OracleError,
    Ruling,
    make_oracle,
    oracle_types,
    registry,
    validate_config,
)
from pytest_aprqa.judge.oracles.oracle import right
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
LENGTH = FinishReason.LENGTH


def ask(
    type_: str,
    answer: str,
    prompt: str = "Say it.",
    *,
    finish: FinishReason = FinishReason.STOP,
    **config: Any,
) -> OracleAnswer:
    return make_oracle(type_, config).judge(Case(Scenario("s", prompt), answer, finish))


# --- text


@pytest.mark.parametrize(
    ("answer", "config", "ruling"),
    [
        ("Paris", {"value": "Paris"}, RIGHT),
        (" Paris\n", {"value": "Paris"}, RIGHT),
        ("paris", {"value": "Paris"}, WRONG),
        ("paris", {"value": "Paris", "case_sensitive": False}, RIGHT),
        ("Paris.", {"value": "Paris"}, WRONG),
        ("Paris.", {"value": ["Paris", "Paris."]}, RIGHT),
        ("", {"value": "Paris"}, WRONG),
    ],
)
def test_exact_is_the_whole_answer(answer: str, config: dict[str, Any], ruling: Ruling) -> None:
    assert ask("exact", answer, **config).ruling is ruling


@pytest.mark.parametrize(
    ("answer", "config", "ruling"),
    [
        ("The capital is Paris.", {"any": ["Paris"]}, RIGHT),
        ("The capital is PARIS.", {"any": ["Paris"]}, RIGHT),
        ("The capital is PARIS.", {"any": ["Paris"], "case_sensitive": True}, WRONG),
        ("A comparison", {"any": ["paris"]}, WRONG),
        ("A comparison", {"any": ["paris"], "whole_words": False}, RIGHT),
        ("14", {"any": ["4"]}, WRONG),
        ("It is 4.", {"any": ["4"]}, RIGHT),
        ("Lyon", {"any": ["Paris", "Lyon"]}, RIGHT),
        ("Lyon", {"all": ["Paris", "Lyon"]}, WRONG),
        ("Paris and Lyon", {"all": ["Paris", "Lyon"]}, RIGHT),
        ("Paris, not Lyon", {"any": ["Paris"], "none": ["Lyon"]}, WRONG),
        ("C++ is a language", {"any": ["C++"]}, RIGHT),
        ("巴黎是首都", {"any": ["巴黎"], "whole_words": False}, RIGHT),
        ("", {"any": ["Paris"]}, WRONG),
        ("首都是巴黎。", {"any": ["巴黎"]}, RIGHT),
        ("首都是Paris。", {"any": ["Paris"]}, RIGHT),
        ("수도는 서울입니다.", {"any": ["서울"]}, RIGHT),
        ("首都是里昂。", {"any": ["巴黎"]}, WRONG),
        ("_Paris_ and __Lyon__", {"all": ["Paris", "Lyon"]}, RIGHT),
        ("A Cafe\u0301.", {"any": ["Caf\u00e9"]}, RIGHT),
        ("A Caf\u00e9.", {"any": ["Cafe\u0301"]}, RIGHT),
        ("A Caf\u00e9.", {"any": ["Cafe"]}, WRONG),
        ("New York.", {"any": ["New York"]}, RIGHT),
        ("-10 degrees", {"any": ["-10"]}, RIGHT),
        ("5-10", {"any": ["-10"]}, WRONG),
        ("1,234 and 2,4,6", {"all": ["1,234", "4"], "none": ["234"]}, RIGHT),
    ],
)
def test_contains_looks_for_whole_words(
    answer: str, config: dict[str, Any], ruling: Ruling
) -> None:
    assert ask("contains", answer, **config).ruling is ruling


@pytest.mark.parametrize(
    "answer",
    [
        "10",
        "It is 10.",
        "8, 10, 12",
        "8,10,12",
        "**10**",
        "10.0",
        "$10.00",
        "10%",
        "10 km",
        "a top-10 list",
        "3-10",
        "- 10",
        "2*5=10",
        "(10)",
        "10日",
        "_10_",
        "1/2 of 20 is 10, that is 10",
    ],
)
def test_a_number_is_found_among_others(answer: str) -> None:
    assert ask("contains", answer, any=["10"]).ruling is RIGHT


@pytest.mark.parametrize(
    "answer",
    ["10.5", "-10", "(−10)", "10,000", "1/10", "10/3", "3.10", ".10", "110", "10²", "x10", "10th"],
)
def test_a_number_is_not_found_in_another_value(answer: str) -> None:
    assert ask("contains", answer, any=["10"]).ruling is WRONG
    assert ask("contains", f"It is {answer}.", any=["10"]).ruling is WRONG


@given(st.text(min_size=1).filter(str.strip), st.text(), st.booleans())
def test_any_word_is_found_where_it_stands_alone(word: str, other: str, whole: bool) -> None:
    assert ask("contains", f"{word}", any=[word], whole_words=whole).ruling is RIGHT
    assert ask("contains", f"{other}\n{word}\n", any=[word], whole_words=whole).ruling is RIGHT


def test_a_regular_expression_is_searched_for_or_matched_in_full() -> None:
    assert ask("regex", "born in 1815", pattern=r"\b18\d\d\b").ruling is RIGHT
    assert ask("regex", "born in 1915", pattern=r"\b18\d\d\b").ruling is WRONG
    assert ask("regex", "ADA", pattern="ada", ignore_case=True).ruling is RIGHT
    assert ask("regex", "x 1815", pattern=r"\d+", full=True).ruling is WRONG
    assert ask("regex", " 1815\n", pattern=r"\d+", full=True).ruling is RIGHT


def test_a_regular_expression_that_backtracks_without_end_does_not_stop_the_run() -> None:
    answer = ask("regex", "a" * 60 + "b", pattern=r"(a|a|aa)+$")
    assert answer.ruling is NOT_APPLICABLE
    assert "did not come to an end" in answer.reason


# --- code

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
    prompt: str, answer: str, finish: FinishReason, ruling: Ruling
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
def test_json_is_parsed(answer: str, finish: FinishReason, ruling: Ruling) -> None:
    given = ask("code_syntax", answer, "Give JSON.", finish=finish, languages=["json"])
    assert given.ruling is ruling


def test_other_languages_are_parsed_where_a_grammar_is_installed() -> None:
    pytest.importorskip("tree_sitter")
    pytest.importorskip("tree_sitter_rust")

    def rust(answer: str, finish: FinishReason = FinishReason.STOP) -> Ruling:
        return ask("code_syntax", answer, "fn main() {", finish=finish, languages=["rust"]).ruling

    assert rust('\n    println!("hi");\n}\n') is RIGHT
    assert rust('\n    println!("hi";\n}}}\n') is WRONG
    assert rust("```rust\nfn main() { let x = 1; }\n```") is RIGHT
    assert rust('\n    let x = 1;\n    println!("h', LENGTH) is NOT_APPLICABLE


def test_a_language_without_parser_is_not_applicable_and_names_what_to_install() -> None:
    given = ask("code_syntax", "10 PRINT", "Write a cobol program.", languages=["cobol"])
    assert given.ruling is NOT_APPLICABLE
    assert "tree-sitter-cobol" in given.reason


def test_code_in_a_language_that_was_not_asked_for_is_not_applicable() -> None:
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
def test_words_around_code_do_not_break_it_and_do_not_mend_it(around: str, prompt: str) -> None:
    assert ask("code_syntax", around.format(ADDS), prompt).ruling is RIGHT
    assert ask("code_syntax", around.format(BROKEN), prompt).ruling is WRONG


def test_every_fenced_block_must_parse() -> None:
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
def test_another_language_is_not_parsed_as_python(prompt: str, answer: str) -> None:
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
    prompt: str, answer: str
) -> None:
    assert ask("code_syntax", answer, prompt).ruling is NOT_APPLICABLE
    assert ask("code_syntax", "```python\nprint(1\n```", prompt).ruling is WRONG


# --- response, JSON schema, garbage


SKY = "Why is the sky blue during the day?"


@pytest.mark.parametrize(
    "answer", ["The sky looks blue because air scatters short waves of sunlight most.", "Blue air."]
)
def test_an_answer_that_takes_up_what_was_asked_is_relevant(answer: str) -> None:
    assert ask("response", answer, SKY, min_relevance=0.2).ruling is RIGHT


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("A recipe begins with fresh tomatoes, basil, olive oil and some patience.", SKY),
        ("Rayleigh scattering.", SKY),
        ("Plants turn light, water and carbon dioxide into sugar.", "Explain photosynthesis."),
        ("4", "2+2="),
        ("I can't stand the rain, but the sun makes it worth the wait.", SKY),
        ("I cannot tell you all. " + "Rayleigh scattering favours short waves. " * 8, "Why?"),
    ],
)
def test_few_shared_words_prove_nothing(answer: str, prompt: str) -> None:
    assert ask("response", answer, prompt).ruling is NOT_APPLICABLE


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        SKY,
        "why is the sky blue during the day",
        f"{SKY} {SKY}\n{SKY}",
        "I'm sorry, but I can't help with that.",
        "I am unable to answer this question.",
        "As an AI language model, I cannot provide that.",
        "Unfortunately, I can’t explain why the sky is blue.",
    ],
)
def test_what_answers_nothing_is_wrong(answer: str) -> None:
    assert ask("response", answer, SKY).ruling is WRONG


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "finish", "ruling"),
    [
        ('{"name": "Ada", "age": 36}', FinishReason.STOP, RIGHT),
        ('Here:\n```json\n{"name": "Ada"}\n```', FinishReason.STOP, RIGHT),
        ('{"age": 36}', FinishReason.STOP, WRONG),
        ('{"name": 5}', FinishReason.STOP, WRONG),
        ("Ada", FinishReason.STOP, WRONG),
        ('{"name": "Ad', LENGTH, NOT_APPLICABLE),
        ('{"name": "Ada", "born": 1815}', FinishReason.STOP, WRONG),
    ],
)
def test_json_is_held_to_its_schema(answer: str, finish: FinishReason, ruling: Ruling) -> None:
    pytest.importorskip("jsonschema")
    assert ask("json_schema", answer, finish=finish, schema=SCHEMA).ruling is ruling


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_json(constant: str) -> None:
    assert ask("json_schema", constant, schema={}).ruling is WRONG


ENDLESS = "(a|a|aa)+$"


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": ENDLESS},
        {"patternProperties": {ENDLESS: True}},
        {"additionalProperties": False, "patternProperties": {ENDLESS: True}},
    ],
)
def test_a_pattern_of_a_schema_that_does_not_end_does_not_stop_the_run(schema: Any) -> None:
    text = "a" * 60 + "b"
    answer: Any = {text: 1} if "patternProperties" in schema else text
    given = ask("json_schema", json.dumps(answer), schema=schema)
    assert given.ruling is NOT_APPLICABLE
    assert "did not come to an end" in given.reason


@pytest.mark.parametrize(
    ("answer", "ruling"),
    [
        ({"x_a": 1}, RIGHT),
        ({"x_a": "1"}, WRONG),
        ({"y_a": 1}, WRONG),
        ({"id": "ab"}, RIGHT),
        ({"id": "AB"}, WRONG),
        ([], RIGHT),
    ],
)
def test_patterns_of_a_schema_hold(answer: Any, ruling: Ruling) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"id": {"pattern": "^[a-z]+$"}},
        "patternProperties": {"^x_": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert ask("json_schema", json.dumps(answer), schema=schema).ruling is ruling


def test_a_schema_that_refers_to_itself_without_end_is_not_applicable() -> None:
    given = ask("json_schema", "{}", schema={"$ref": "#"})
    assert given.ruling is NOT_APPLICABLE
    assert "refers to itself" in given.reason


def test_a_schema_elsewhere_is_not_fetched() -> None:
    pytest.importorskip("jsonschema")
    given = ask("json_schema", "{}", schema={"$ref": "https://example.com/schema.json"})
    assert given.ruling is NOT_APPLICABLE


def test_limits_of_the_garbage_oracle_leave_short_answers_alone() -> None:
    limits = {"max_repetition_ratio": 0.3, "min_unique_chars": 10}
    for answer in ("4", "Paris.", "Yes, it is.", "The answer is 4."):
        assert ask("garbage", answer, **limits).ruling is RIGHT
    same = "The red fox, the red hen, the red pig, the red owl and the red ant sleep."
    assert ask("garbage", same, max_repetition_ratio=0.2).ruling is WRONG
    assert ask("garbage", same).ruling is RIGHT
    few = "abba baab abab aabb bbaa cabb acab bcab acba bacb cabc bbca abcc"
    assert ask("garbage", few, min_unique_chars=10).ruling is WRONG
    assert ask("garbage", "ak ak ak ak ak ak").ruling is WRONG


# --- reference


def generation(tokens: tuple[int, ...], margins: tuple[float, ...] | None, text: str) -> Generation:
    return Generation(
        text=text,
        finish=LENGTH,
        token_ids=tokens,
        logprobs=None if margins is None else tuple(-0.1 for _ in tokens),
        runner_up=None if margins is None else tuple(-0.1 - m for m in margins),
    )


def against(mine: Generation, reference: Generation | None, **config: float) -> OracleAnswer:
    case = Case(Scenario("s", "p"), mine.text, LENGTH, mine, reference)
    return make_oracle("reference", config).judge(case)


def test_agreement_with_the_reference_ends_at_a_tie_and_breaks_at_a_clear_choice() -> None:
    reference = generation((1, 2, 3), (2.0, 2.0, 0.1), "a b c")
    assert against(generation((1, 2, 3), (2.0, 2.0, 2.0), "a b c"), reference).ruling is RIGHT
    tie = against(generation((1, 2, 4), (2.0, 2.0, 0.2), "a b d"), reference)
    assert tie.ruling is RIGHT
    assert "tie at token 2" in tie.reason
    clear = against(generation((1, 9, 4), (2.0, 2.0, 0.2), "a x d"), reference)
    assert clear.ruling is WRONG
    assert "token 1" in clear.reason
    assert (
        against(generation((1, 2, 4), (2.0, 2.0, 0.2), "a b d"), reference, tie_nats=0.05).ruling
        is WRONG
    )


def test_without_a_reference_or_its_tokens_agreement_is_not_applicable() -> None:
    mine = generation((1, 2), (1.0, 1.0), "a b")
    assert against(mine, None).ruling is NOT_APPLICABLE
    assert against(mine, Generation("a c", LENGTH)).ruling is NOT_APPLICABLE
    assert against(mine, Generation("a b", LENGTH)).ruling is RIGHT
    assert against(mine, generation((7, 2), (0.0, 0.0), "x b")).ruling is NOT_APPLICABLE
    assert against(generation((), None, ""), mine).ruling is WRONG


# --- composite

PARIS = {"type": "contains", "config": {"any": ["Paris"]}}
LYON = {"type": "contains", "config": {"any": ["Lyon"]}}
SUM = {"type": "arithmetic"}


@pytest.mark.parametrize(
    ("mode", "members", "ruling"),
    [
        ("all", [PARIS], RIGHT),
        ("all", [PARIS, LYON], WRONG),
        ("any", [PARIS, LYON], RIGHT),
        ("any", [LYON, LYON], WRONG),
        ("all", [PARIS, SUM], RIGHT),
        ("any", [LYON, SUM], WRONG),
        ("all", [SUM], NOT_APPLICABLE),
        ("any", [SUM, SUM], NOT_APPLICABLE),
        ("any", [{"type": "composite", "config": {"oracles": [PARIS]}}, LYON], RIGHT),
    ],
)
def test_a_composite_joins_its_members(mode: str, members: list[Any], ruling: Ruling) -> None:
    assert ask("composite", "It is Paris.", mode=mode, oracles=members).ruling is ruling


# --- configuration


@pytest.mark.parametrize(
    ("type_", "config", "message"),
    [
        ("arithmetik", {}, "There is no oracle 'arithmetik'; did you mean 'arithmetic'?."),
        ("vibes", {}, "There is no oracle 'vibes'; there are: arithmetic, "),
        (
            "arithmetic",
            {"tolerence": 1},
            "config.tolerence is not a field; did you mean 'tolerance'?",
        ),
        (
            "arithmetic",
            {"tolerance": -1},
            "config.tolerance: input should be greater than or equal to 0",
        ),
        ("arithmetic", {"tolerance": "much"}, "config.tolerance: input should be a valid number"),
        ("exact", {}, "config.value is missing"),
        ("contains", {}, "give at least one of all, any, none"),
        ("contains", {"any": [""]}, "config.any.0: string should have at least 1 character"),
        ("regex", {"pattern": "("}, "config.pattern: not a regular expression"),
        ("regex", {"pattern": "x" * 2000}, "config.pattern: string should have at most 1000"),
        ("json_schema", {"schema": {"type": "objekt"}}, "not a JSON Schema"),
        ("json_schema", {"schema": {"pattern": "("}}, "not a JSON Schema"),
        ("json_schema", {}, "config.schema is missing"),
        ("code_syntax", {"languages": []}, "config.languages"),
        ("code_syntax", {"languages": ["a b"]}, "'a b' is not the name of a language"),
        ("composite", {"oracles": []}, "config.oracles"),
        ("composite", {"oracles": [{"type": "exact"}]}, "config.value is missing"),
        ("composite", {"mode": "some", "oracles": [PARIS]}, "config.mode"),
        ("garbage", {"max_repetition_ratio": 2}, "config.max_repetition_ratio"),
        ("response", {"min_relevance": 1.5}, "config.min_relevance"),
    ],
)
def test_a_bad_configuration_is_one_sentence_that_names_the_field(
    type_: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(OracleError) as error:
        validate_config(type_, config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(oracle_types()))
def test_no_oracle_takes_a_field_it_does_not_know(name: str) -> None:
    with pytest.raises(OracleError):
        validate_config(name, {"no_such_field": json.dumps(name)})


class Shouts(Oracle):
    """An oracle of another package."""

    def judge(self, case: Case) -> OracleAnswer:
        return right(case.answer.upper())


@pytest.fixture
def entry_point(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install an entry point for an oracle."""

    def install(name: str, value: str) -> None:
        points = EntryPoints([EntryPoint(name, value, registry.ENTRY_POINT_GROUP)])
        monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
        oracle_types.cache_clear()

    yield install
    monkeypatch.undo()
    oracle_types.cache_clear()


def test_a_package_brings_its_own_oracle(entry_point: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("an_oracle_package")
    module.Shouts = Shouts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "an_oracle_package", module)
    entry_point("shouts", "an_oracle_package:Shouts")
    assert ask("shouts", "hi").reason == "HI"


def test_a_package_cannot_take_the_name_of_another_oracle(entry_point: Any) -> None:
    entry_point("exact", "json:loads")
    with pytest.raises(OracleError, match="a name that is taken"):
        validate_config("regex", {"pattern": "x"})


def test_what_a_package_brings_must_be_an_oracle(entry_point: Any) -> None:
    entry_point("odd", "json:loads")
    with pytest.raises(OracleError, match="not a subclass of Oracle"):
        validate_config("regex", {"pattern": "x"})


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
    answer: str, ruling: Ruling
) -> None:
    for prompt in (BUBBLE, "def bubble_sort(items):"):
        assert ask("code_syntax", answer, prompt, finish=LENGTH).ruling is ruling


def test_code_that_ended_by_itself_has_no_excuse() -> None:
    answer = "def bubble_sort(items):\n    for i in range(len(items)"
    assert ask("code_syntax", answer, BUBBLE).ruling is WRONG
