"""Conditions are read into a tree of the few allowed forms, or refused with what is allowed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.playbook.condition import (
    MOST_CHARACTERS,
    Arithmetic,
    Comparison,
    Junction,
    Negation,
    Number,
    Operator,
    Relation,
    Truth,
    figures_in,
    parse_condition,
)
from pytest_aprqa.playbook.figures import METRICS, Part, Source, figure
from pytest_aprqa.words import Backend, Category, Cell, Format, Gateway, Modality

MQS = figure("mqs", ())


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("mqs >= 700", Comparison(MQS, Relation.AT_LEAST, Number(700))),
        ("G3", figure("G3", ())),
        (" not (mqs<1e2) ", Negation(Comparison(MQS, Relation.LESS, Number(100)))),
        (
            "0 < mqs <= 10",
            Junction(
                all_must=True,
                operands=(
                    Comparison(Number(0), Relation.LESS, MQS),
                    Comparison(MQS, Relation.AT_MOST, Number(10)),
                ),
            ),
        ),
        (
            "G3 or mqs != 1 + 2 * -3",
            Junction(
                all_must=False,
                operands=(
                    figure("G3", ()),
                    Comparison(
                        MQS,
                        Relation.UNEQUAL,
                        Arithmetic(
                            Operator.ADD,
                            Number(1),
                            Arithmetic(
                                Operator.MULTIPLY,
                                Number(2),
                                Arithmetic(Operator.SUBTRACT, Number(0), Number(3)),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ],
)
def test_a_condition_is_read_as_it_is_written(text: str, tree: object) -> None:
    assert parse_condition(text) == tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("All answers are right", "is no condition; write comparisons"),
        ("mqs >=", "is no condition"),
        ("1 < 2", "'1 < 2' names no figure of a run; known are mqs"),
        ("", "is no condition"),
        ("mqs", "`mqs` neither holds nor fails; compare it with a number"),
        ("mqs + 1", "neither holds nor fails"),
        ("True", "`True` neither holds nor fails"),
        ("mqs == True", "`True` is no number"),
        ("mqs > 'x'", "`'x'` is no number"),
        ("mqs > 1j", "`1j` is no number"),
        ("mqs ** 2 > 1", "is no number; allowed are numbers, figures, + - * / and parentheses"),
        ("mqs // 2 > 1", "is no number"),
        ("mqs in checks", "compared by <, <=, >, >=, ==, != only"),
        ("mqs is 1", "compared by <, <="),
        ("G0 > 1", "G0 holds or fails, it is no number"),
        ("__import__('os').system('true') == 0", "is no number"),
        ("(lambda: 1)() > 0", "is no number"),
        ("[1][0] > 0", "is no number"),
        ("mqs.__class__ > 0", "'__class__' cannot restrict 'mqs'; nothing can"),
        ("(mqs > 1).real", "is no name of a figure"),
        ("(y := mqs) > 0", "is no number"),
        ("mqs > 1e999", "is larger than any figure"),
        ("mqs > 1" + "0" * 400, "is larger than any figure"),
        ("not " * 110 + "G0", "the condition is too long"),
        ("(" * 240 + "mqs" + ")" * 240 + " > 1", "is no condition"),
        ("mqs > 1 " + " " * MOST_CHARACTERS, f"at most {MOST_CHARACTERS} characters"),
        ("mqs > 1\0", "is no condition"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_condition(text)


@pytest.mark.parametrize(
    ("name", "cell", "category"),
    [
        ("pass_rate", Cell(), None),
        ("pass_rate.QUAL.gguf.cpu.chat", Cell(Format.GGUF, Backend.CPU, Modality.CHAT), "QUAL"),
        ("pass_rate.chat.cpu.QUAL", Cell(None, Backend.CPU, Modality.CHAT), "QUAL"),
        ("kl_mean_nats.q8_0", Cell(quantization="q8_0"), None),
        ("memory_mb.gguf.q4_0.gpu", Cell(Format.GGUF, Backend.GPU, quantization="q4_0"), None),
    ],
)
def test_a_figure_is_restricted_by_words_in_any_order(
    name: str, cell: Cell, category: str | None
) -> None:
    found = figure(name, ("q4_0", "q8_0"))
    assert (found.metric.name, found.cell, found.category) == (name.split(".")[0], cell, category)
    assert figure(str(found), ("q4_0", "q8_0")) == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("passrate", "'passrate' is no figure of a run (did you mean 'pass_rate'?); known are mqs"),
        (
            "kl_mean_nats.cpu",
            "'cpu' cannot restrict 'kl_mean_nats'; known are safetensors, apr, gguf",
        ),
        ("pass_rate.gguf.apr", "'apr' cannot restrict"),
        ("memory_mb.q4_0", "'q4_0' cannot restrict"),
        ("G3.gguf", "'gguf' cannot restrict 'G3'; nothing can"),
    ],
)
def test_an_unknown_name_is_told_with_those_that_are_known(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_condition(f"{name} > 1")


def read(text: str) -> Truth | str:
    """Return a condition, or the sentence by which it is refused."""
    try:
        return parse_condition(text)
    except ValueError as error:
        return str(error)


@given(st.text(max_size=80))
def test_any_text_is_a_condition_or_a_sentence(text: str) -> None:
    assert read(text)


WORDS = ["mqs", "G0", "pass_rate", ".", "QUAL", "cpu", "1", "0.5", "+", "-", "*", "/", "(", ")"]
WORDS += ["<", ">=", "==", "and", "or", "not", "if", "else", "lambda", ":", "[", "]", "**", ","]


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_any_row_of_its_words_is_a_condition_or_a_sentence(text: str) -> None:
    found = read(text)
    assert found
    if not isinstance(found, str):
        assert all(figure.metric.name in METRICS for figure in figures_in(found))


def test_gateways_are_truths_and_everything_restrictable_is_found_in_the_plan_by_its_cells() -> (
    None
):
    truths = {name for name, metric in METRICS.items() if metric.source is Source.GATEWAY}
    assert truths == {*Gateway}
    parts = {part for metric in METRICS.values() for part in metric.parts}
    assert parts == {*Part}
    assert {*Part.CATEGORY.value} == {*Category}
