"""The registry as a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from pytest_aprqa.registry.page import HEIGHT, render_page
from pytest_aprqa.registry.row import RegistryRow

FAST = RegistryRow(
    "org/fast", "fam", "1.5B", "small", "CERTIFIED", "921", "A", "mvp", "2026-01-02T03:04:05+00:00",
    g1="true", g2="true", g3="true", g4="true", tps_gguf_cpu="99", tps_st_cpu="9",
    provenance_verified="true",
)  # fmt: skip
PENDING = RegistryRow("org/pending", "fam", "70B", "huge")
HOSTILE = RegistryRow("org/x", "<script>alert(1)</script>", '"><img src=x>', status="{{7*7}}")


class Page(HTMLParser):
    """The tags and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words += f" {data.strip()}" if data.strip() else ""


def test_each_model_is_a_row_with_what_the_registry_says():
    page = Page(render_page([FAST, PENDING]))
    assert page.tags.count("tr") == 3
    assert "org/fast fam 1.5B small CERTIFIED 921 A mvp 2026-01-02 ✓✓✓✓" in page.words
    assert "org/pending fam 70B huge PENDING - none" in page.words


def test_rates_are_a_sparkline_with_words():
    html = render_page([FAST, PENDING])
    assert html.count("<svg") == 1
    heights = [float(height) for height in re.findall(r'height="([0-9.]+)"><title>', html)]
    assert heights == [HEIGHT, 0, 0, 0, HEIGHT / 2, 0]
    assert "gguf on cpu: 99 tokens a second, gguf on gpu: not measured" in html


def test_text_of_a_registry_is_no_markup():
    page = Page(render_page([HOSTILE]))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "<script>alert(1)</script>" in page.words
    assert "{{7*7}}" in page.words


def test_the_page_depends_on_the_rows_alone():
    assert render_page([FAST]) == render_page([FAST])
    assert render_page([])
