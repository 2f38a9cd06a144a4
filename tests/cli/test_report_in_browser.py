"""The HTML report opened in a real, headless browser.

Needs Chromium (`apt-get install chromium`) and playwright (the extra `browser`); without them the
tests are skipped, unless APRQA_BROWSER names the browser that must be there. With APRQA_SCREENSHOTS
naming a directory, the pictures of the documentation are written there, of the run that
APRQA_EVIDENCE names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")

BROWSER = os.environ.get("APRQA_BROWSER") or shutil.which("chromium") or shutil.which("chrome")
SHOWN, PICTURES = (
    Path(named).resolve() if (named := os.environ.get(variable)) else None
    for variable in ("APRQA_EVIDENCE", "APRQA_SCREENSHOTS")
)
SWITCHES = (
    "--no-sandbox",  # CI runs as root, where Chromium refuses its sandbox
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = (
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>]]>"
    "\x1b[31mred\x1b[0m\x00\u202egnihtemos{{7*7}}</pre></details>"
)
LONG = "0123456789abcdef" * 65536  # 1 MiB

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")


class Opened:
    """A report in the browser.

    Attributes:
        page: what playwright drives.
        complaints: console errors, uncaught errors and refused loads.
        requests: everything the page asked for, itself left out.
    """

    def __init__(self, context, report: Path) -> None:
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.requests.remove(report.as_uri())

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def shown(self) -> list[str]:
        """Return the names of the checks that are to be seen."""
        return self.page.locator("details.item:visible > summary code").all_text_contents()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    with playwright.sync_playwright() as play:
        running = play.chromium.launch(executable_path=BROWSER, args=list(SWITCHES))
        yield running
        running.close()


@pytest.fixture
def open_report(browser, cli, tmp_path):
    """Write the report of a run with `apr-qa report`, and open it as a file."""
    contexts = []

    def opened(evidence: Path, **settings: object) -> Opened:
        folder = tmp_path / "report"
        done = cli("report", evidence, "-o", folder, "-f", "html", "--against", evidence)
        assert done.code == 0, done
        contexts.append(browser.new_context(offline=True, **settings))
        return Opened(contexts[-1], tmp_path / "report" / "report.html")

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def report(open_report, certified):
    return open_report(certified.evidence)


def test_the_page_runs_without_an_error_and_asks_for_nothing(report):
    assert report.complaints == []
    assert report.requests == []
    assert report.page.locator("h1").text_content() == "aprqa/aprqa-reference"


def test_filters_show_the_checks_that_fit_and_all_again(report, certified):
    records = json.loads(certified.evidence.read_text())["records"]
    names = [record["check"] for record in records]
    failed = [record["check"] for record in records if record["outcome"] == "falsified"]
    assert report.shown() == names
    report.page.get_by_label("Outcome").select_option("falsified")
    assert report.shown() == failed != names
    assert report.page.locator("#count").text_content() == f"{len(failed)} of {len(names)} checks"
    report.page.get_by_label("Category").select_option("STAB")
    assert report.shown() == [
        record["check"]
        for record in records
        if record["outcome"] == "falsified" and record["category"] == "STAB"
    ]
    report.page.get_by_role("button", name="Show all").click()
    assert report.shown() == names


def test_search_finds_words_of_answers_in_any_order(report):
    report.page.get_by_label("Search").fill("TOUCH words impossible")
    assert report.shown() == ["impossible[gguf-cpu-run]"]
    report.page.get_by_label("Search").fill("no check says this")
    assert report.shown() == []


def test_all_shown_checks_open_and_close_at_once(report):
    button = report.page.get_by_role("button", name="Open or close")
    closed = report.page.locator("details.item:not([open])")
    button.click()
    assert closed.count() == 0
    button.click()
    assert closed.count() == len(report.shown())


def test_the_page_can_be_used_from_the_keyboard(report):
    report.page.keyboard.press("Tab")
    report.page.keyboard.press("Enter")
    assert report.page.url.endswith("#checks")
    first = report.page.locator("details.item").first
    before = first.get_attribute("open")
    first.locator("summary").focus()
    report.page.keyboard.press("Enter")
    assert first.get_attribute("open") != before


def test_checks_open_for_printing_and_close_afterwards(report):
    opened = report.page.locator("details.item[open]")
    before = opened.count()
    report.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.count() == len(report.shown()) > before
    report.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.count() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_told_from_its_background(open_report, certified, scheme):
    page = open_report(certified.evidence, color_scheme=scheme).page
    unreadable = page.evaluate(CONTRAST)
    assert unreadable == []


def test_nothing_runs_over_the_edge_of_a_narrow_screen(open_report, certified):
    page = open_report(certified.evidence, viewport={"width": 360, "height": 740}).page
    page.get_by_role("button", name="Open or close").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_hostile_answer_is_text(open_report, certified, tmp_path):
    run = json.loads(certified.evidence.read_text())
    for record in run["records"]:
        for field in ("prompt", "answer", "reason", "expected", "engine"):
            record[field] = f"{record[field] or ''}{HOSTILE}"
    run["environment"] |= {"cpu": HOSTILE, "gpu": HOSTILE, "engines": [HOSTILE]}
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    report = open_report(tmp_path / "evidence.json")
    assert report.complaints == []
    assert report.requests == []
    assert report.page.evaluate("window.pwned") is None
    assert report.page.locator("img").count() == 0
    answers = report.page.locator("dt:text-is('Answer') + dd").all_text_contents()
    assert answers
    for answer in answers:
        assert "<script>window.pwned = 1</script><img src=x" in answer
        assert "]]>\\x1b[31mred\\x1b[0m\\x00\\u202egnihtemos{{7*7}}</pre></details>" in answer
    assert len(report.shown()) == len(run["records"])


def test_an_answer_of_a_megabyte_neither_blocks_nor_breaks_the_page(
    open_report, certified, tmp_path
):
    run = json.loads(certified.evidence.read_text())
    for record in run["records"]:
        record["answer"] = LONG
    (tmp_path / "evidence.json").write_text(json.dumps(run))
    report = open_report(tmp_path / "evidence.json")
    assert (tmp_path / "report" / "report.html").stat().st_size < 2_000_000
    report.page.get_by_label("Search").fill("more characters in the evidence")
    assert len(report.shown()) == len(run["records"])
    assert report.complaints == []


def test_the_registry_is_a_page_to_sort_and_search(browser, cli, checkout_root, tmp_path):
    registry = checkout_root / "certifications" / "models.csv"
    assert cli("list", "--registry", registry, "--html", "models.html").code == 0
    context = browser.new_context(offline=True)
    opened = Opened(context, tmp_path / "models.html")
    names = opened.page.locator("tbody tr:visible th")
    everything = names.all_text_contents()
    opened.page.get_by_role("button", name="Parameters").click()
    assert sorted(names.all_text_contents()) == sorted(everything)
    sizes = [
        float(cell.get_attribute("data-key"))
        for cell in opened.page.locator("tbody td[data-key]:nth-child(3)").all()
    ]
    assert sizes == sorted(sizes)
    opened.page.get_by_role("button", name="Parameters").click()
    assert names.first.text_content() != everything[0]
    opened.page.get_by_label("Search").fill("smollm2 135m")
    assert set(names.all_text_contents()) == {
        "HuggingFaceTB/SmolLM2-135M",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    }
    assert opened.complaints == []
    assert opened.requests == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_a_picture(open_report, certified, tmp_path, scheme):
    evidence, folder = SHOWN or certified.evidence, PICTURES or tmp_path
    view = {"width": 1100, "height": 1000}
    page = open_report(evidence, color_scheme=scheme, viewport=view).page
    picture = folder / f"report-{scheme}.png"
    page.screenshot(path=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    charts = page.locator(".charts")
    charts.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.querySelector('.charts').offsetTop - 60)")
    page.screenshot(path=folder / f"charts-{scheme}.png")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark is (scheme == "dark")


CONTRAST = """
() => {
  const channel = (value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) =>
    0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const pair = [parse(getComputedStyle(element).color), background(element)].map(luminance);
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(`${element.tagName} ${element.className}: ${contrast}`);
  }
  return found;
}
"""
"""WCAG 2.2, 1.4.3: the contrast of text and background is at least 4.5."""
