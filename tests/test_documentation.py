"""The pages of the documentation: every link leads somewhere, what they show works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from pytest_aprqa.cli.app import app
from pytest_aprqa.judge.oracles.oracle import Case
from pytest_aprqa.playbook.check import Scenario

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "reference-model" not in path.parts or path.name == "README.md"
)
LINK = re.compile(
    r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source)[^>]* src(?:set)?=\"([^\"]+)\""
)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


def links(page: Path) -> list[str]:
    """Return where the links of a page lead; code is no link."""
    text = CODE.sub("", page.read_text("utf-8"))
    return [next(filter(None, found)) for found in LINK.findall(text)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, made as GitHub makes them."""
    found: set[str] = set()
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(one == anchor or one.startswith(f"{anchor}-") for one in found)
        found.add(f"{anchor}-{count}" if anchor in found else anchor)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        if path.is_relative_to(ROOT / "certifications"):
            continue  # what runs leave is there once they were made
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_a_page_names_is_there(page):
    named = TEST.findall(page.read_text("utf-8"))
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file()
        or (test and f"def {test}(" not in (ROOT / file).read_text("utf-8"))
    ]
    assert missing == []


BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\bapr-qa ((?:fleet )?[a-z][a-z-]+)((?: [^`\n|>]*)?)")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language."""
    return [code for name, code in BLOCK.findall(page.read_text("utf-8")) if name == language]


def commands() -> dict[str, set[str]]:
    """Return the options of every command of apr-qa."""
    top = typer.main.get_command(app)
    found = {}
    for name, command in top.commands.items():
        for path, leaf in [(name, command), *_leaves(name, command)]:
            found[path] = {o for parameter in leaf.params for o in parameter.opts} | {"--help"}
    return found


def _leaves(name, command):
    return [(f"{name} {sub}", leaf) for sub, leaf in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_exists_with_its_options(page):
    known = commands()
    text = page.read_text("utf-8")
    if page.name == "migration.md":  # its left column is of another tool
        text = re.sub(r"^\| `[^`]*`", "", text, flags=re.MULTILINE)
    for name, rest in COMMAND.findall(text):
        if name not in known and name.split()[0] in PROSE:
            continue
        assert name in known, f"apr-qa {name}"
        given = rest.partition(" -- ")[0]
        for option in re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", given):
            assert option in known[name], f"apr-qa {name} {option}"


PROSE = {"is", "itself", "does", "at", "as", "that", "and"}
"""Words that follow the name of the tool in a sentence."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_piece_of_yaml_and_toml_on_a_page_is_sound(page):
    for code in blocks(page, "yaml"):
        assert yaml.safe_load(code)
    for code in blocks(page, "toml"):
        assert tomllib.loads(code)


def test_the_oracle_on_the_page_judges():
    [code] = blocks(ROOT / "docs" / "extending.md", "python")
    names: dict[str, type] = {}
    exec(code, names)  # noqa: S102 - the code of our own page
    oracle = names["ShortEnough"](words=3)
    rulings = [
        oracle.judge(Case(Scenario("haiku", "Rain?"), answer)).ruling.value
        for answer in ("Rain falls.", "Rain falls on all of us.", " ")
    ]
    assert rulings == ["right", "wrong", "not applicable"]
    [entry] = blocks(ROOT / "docs" / "extending.md", "toml")
    assert "pytest_aprqa.oracles" in tomllib.loads(entry)["project"]["entry-points"]
