"""The Markdown twin."""

from __future__ import annotations

import re

import pytest

from pytest_aprqa.report.markdown import escaped, fenced, render_markdown
from pytest_aprqa.words import Outcome

HOSTILE = "<script>alert(1)</script> | `` ```` [x](y) \x1b[31m\x00 # *a*"


def test_it_says_what_the_page_says(run_with):
    text = render_markdown(run_with())
    assert text.startswith("# org/tiny: BLOCKED\n")
    assert "| gguf-cpu | ✗ 0/1 falsified | ✗ 0/1 falsified | ✓ 1/1 passed |" in text
    assert "| QUAL | 100/200 | 2 | 4 of 8 | 4 | 0 | 0 |" in text
    assert "| safetensors-cpu | 41.5 | 0.25 |" in text
    assert "* 4 x no GPU: CUDA is not available" in text
    assert "Answer:\n\n```text\nolumbia+lsi nunca\n```" in text
    assert "Reference (SafeTensors):\n\n```text\nFour.\n```" in text


def test_hostile_text_stays_in_its_cell(run_with):
    plain, hostile = render_markdown(run_with()), render_markdown(run_with(text=HOSTILE))
    rows = [line for line in hostile.splitlines() if line.startswith("| ")]
    expected = [line for line in plain.splitlines() if line.startswith("| ")]
    pipes = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert pipes == [len(re.findall(r"(?<!\\)\|", row)) for row in expected]
    assert "\x1b" not in hostile
    assert "\x00" not in hostile


def test_markup_in_a_line_is_escaped():
    assert escaped("<b>*x*</b> [a](b) `c` | #") == (r"\<b\>\*x\*\</b\> \[a\](b) \`c\` \| \#")


@pytest.mark.parametrize("text", ["plain", "```", "a\n````\nb", "`" * 9])
def test_nothing_ends_its_own_code_block(text):
    start, body, end = fenced(text)
    assert body == text
    assert start == f"{end}text"
    assert set(end) == {"`"}
    assert end not in text


@pytest.mark.parametrize("ending", [{"failure": "no model"}, {"gguf": Outcome.CRASHED}])
def test_runs_of_every_ending_have_a_report(run_with, ending):
    assert render_markdown(run_with(**ending)).endswith("```\n")
