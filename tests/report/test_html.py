"""The HTML page."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from pytest_aprqa.report.content import MOST_CHARACTERS, items
from pytest_aprqa.report.html import render_html
from pytest_aprqa.words import Outcome

HOSTILE = "<script>alert(1)</script>]]>\x1b[31m\x00\u202e\"'><img src=x onerror=alert(1)>{{7*7}}"
VOID = {"meta", "input"}


class Page(HTMLParser):
    """The elements, the text and the ids of a page; raises when a tag is closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def page(run_with) -> Page:
    return Page(render_html(run_with()))


def test_every_element_is_closed_in_turn(page):
    assert page.open == []


def test_the_verdict_comes_first_with_its_reason(page):
    assert page.words.index("BLOCKED") < page.words.index("Matrix")
    assert "MQS 561 is below 700: 3 checks failed, the first sum[gguf-cpu-run]" in page.words
    assert "Proven: 2/4 over 1 distinct prompt" in page.words


def test_the_matrix_shows_every_cell(page):
    assert "gguf-cpu ✗ 0/1 falsified ✗ 0/1 falsified ✓ 1/1 passed" in page.words
    assert "safetensors-gpu ? 0/1 no verdict" in page.words


def test_categories_say_what_was_not_measured(page):
    assert "QUAL 100/200 2 4 of 8 4 skipped, 0 inconclusive, 0 not run" in page.words
    assert "4 × no GPU: CUDA is not available" in page.words


def test_rates_are_in_a_table(page):
    assert "safetensors-cpu 41.5 0.25" in page.words


def test_every_check_is_an_item_with_prompt_answer_reference_and_reason(page, run_with):
    assert len(page.all("details")) == len(run_with().plan.checks)
    assert (
        "Prompt What is 2+2? Answer olumbia+lsi nunca Reference (SafeTensors) Four. "
        "Expected the number 4 Reason seen in sum[gguf-cpu-run]"
    ) in page.words


def test_failed_checks_stand_open(page):
    opened = [item["data-outcome"] for item in page.all("details") if "open" in item]
    assert opened == ["falsified", "falsified", "timeout"]


def test_every_control_of_the_filter_has_a_label(page):
    labelled = [name for name, _ in page.elements if name == "label"]
    controls = [name for name, _ in page.elements if name in ("input", "select")]
    assert len(labelled) == len(controls) == 4


def test_filters_offer_what_the_run_holds(page):
    text = page.words
    assert "Outcome all corroborated skipped not run falsified timeout" in text
    assert "Cell all cpu safetensors-cpu-run" in text


def test_the_page_asks_for_nothing_from_elsewhere(page):
    for _, attributes in page.elements:
        assert not {"src", "srcset", "action", "data"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    text = "".join(page.text)
    assert not re.search(r"url\(|@import|fetch\(|https?:", text)


def test_only_our_own_script_may_run(run_with):
    html = render_html(run_with(text=HOSTILE))
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [m for m in Page(html).all("meta") if m.get("http-equiv")]
    assert f"script-src 'sha256-{digest}'" in policy["content"]
    assert "default-src 'none'" in policy["content"]


def test_hostile_text_is_text(run_with):
    html = render_html(run_with(text=HOSTILE))
    page = Page(html)
    assert page.open == []
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any(character in html for character in "\x1b\x00\u202e")
    assert "What is 2+2?<script>alert(1)</script>]]>\\x1b[31m\\x00\\u202e" in page.words
    assert "{{7*7}}" in page.words


def test_a_long_text_is_cut_and_says_so(run_with):
    run = run_with(text="x" * (MOST_CHARACTERS * 2))
    for item in items(run):
        assert all(len(text) < MOST_CHARACTERS + 100 for text in (item.answer, item.reason))
    [answer] = {item.answer[-50:] for item in items(run) if item.answer.startswith("Four")}
    assert answer.endswith(f"x\n[{MOST_CHARACTERS + 5} more characters in the evidence]")


def test_light_dark_and_print_are_provided(page):
    style = "".join(page.text)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_the_page_depends_on_the_run_alone(run_with):
    assert render_html(run_with()) == render_html(run_with())


@pytest.mark.parametrize("ending", [{"failure": "no model"}, {"gguf": Outcome.CORROBORATED}])
def test_runs_of_every_ending_have_a_page(run_with, ending):
    assert Page(render_html(run_with(**ending))).open == []


def test_environment_digests_and_commands_are_on_the_page(page):
    for fact in ("2" * 64, "3" * 64, "torch 2.13", "24.0 GiB", "llama.cpp"):
        assert fact in page.words
    assert "pytest tiny-mvp.playbook.yaml --tier mvp" in page.words
    assert "pytest 'tiny-mvp.playbook.yaml::sum[gguf-cpu-run]' --tier mvp" in page.words
