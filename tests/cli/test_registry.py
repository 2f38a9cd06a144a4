from __future__ import annotations

import pytest

from pytest_aprqa.registry.models_csv import COLUMNS
from pytest_aprqa.registry.readme import END, START


@pytest.fixture
def registry(tmp_path):
    path = tmp_path / "certifications" / "models.csv"
    path.parent.mkdir()
    rows = [
        ("org/small", "one", "1B", "small", "PENDING"),
        ("org/tiny", "one", "0.1B", "tiny", "CERTIFIED"),
        ("org/huge", "two", "99B", "huge", "PENDING"),
    ]
    rest = ("0", "-", "none", "", *(["false"] * 4), *([""] * 6), "false")
    lines = [",".join(COLUMNS), *(",".join((*row, *rest)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["org/small", "org/tiny", "org/huge"]),
        (["--size", "tiny"], ["org/tiny"]),
        (["--family", "ONE", "--status", "pending"], ["org/small"]),
    ],
)
def test_list_shows_the_rows_that_fit_every_option(cli, registry, options, found):
    assert [row["model_id"] for row in cli("list", *options, "--json").json] == found
    shown = cli("list", *options)
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()[1:-1]] == found


def test_list_of_nothing_is_no_success(cli, registry):
    result = cli("list", "--family", "three")
    assert (result.code, result.out) == (3, "")
    assert "no family 'three'; it has one, two" in result.sentence
    assert "no such model among its 3" in cli("list", "--size", "large").sentence
    assert cli("list", "--size", "giant").code == 2


@pytest.mark.parametrize("content", [None, "", ",".join(COLUMNS) + "\n"])
def test_list_says_how_a_registry_comes_to_be(cli, tmp_path, content):
    if content is not None:
        (tmp_path / "some.csv").write_text(content)
    result = cli("list", "--registry", "some.csv")
    state = "there is no registry some.csv" if content is None else "some.csv lists no model yet"
    assert (result.code, state in result.sentence) == (3, True)
    assert "`apr-qa export-csv`" in result.sentence


def test_sync_readme_writes_the_table_once_and_check_tells(cli, registry, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n{START}\n{END}\nend\n")
    assert cli("sync-readme", "--check").code == 1
    assert cli("sync-readme").code == 0
    assert "org/tiny" in readme.read_text()
    assert cli("sync-readme", "--check").code == 0
    before = readme.read_bytes()
    assert cli("sync-readme").code == 0
    assert readme.read_bytes() == before


def test_sync_readme_needs_its_markers(cli, registry, tmp_path):
    assert cli("sync-readme").code == 3
    (tmp_path / "README.md").write_text("no markers")
    result = cli("sync-readme")
    assert (result.code, START in result.sentence) == (2, True)
