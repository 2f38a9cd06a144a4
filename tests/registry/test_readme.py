"""The table of a README."""

from __future__ import annotations

import pytest

from pytest_aprqa.registry.models_csv import RegistryError, RegistryRow, read_rows
from pytest_aprqa.registry.readme import (
    END,
    HEADS,
    START,
    has_table,
    parameter_count,
    render_table,
    sync_readme,
)

CERTIFIED = RegistryRow(
    "org/a", "fam", "1.5B", "small", "CERTIFIED", "912", "A", "mvp", "2026-01-02",
    "true", "true", "true", "false", "12.5", provenance_verified="true",
)  # fmt: skip


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_bytes(f"# Title\n\n{START}\nold\n{END}\n\nThe end, ünchanged.\n".encode())
    return path


def test_the_table_is_written_between_the_markers(readme, registry):
    assert has_table(readme)
    assert sync_readme(readme, registry)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{START}\n3 models: ")
    assert text.endswith(f"|\n{END}\n\nThe end, ünchanged.\n")
    assert render_table(read_rows(registry)) in text
    assert "old" not in text


def test_a_second_time_changes_no_byte(readme, registry):
    sync_readme(readme, registry)
    before, modified = readme.read_bytes(), readme.stat().st_mtime_ns
    assert not sync_readme(readme, registry)
    assert readme.read_bytes() == before
    assert readme.stat().st_mtime_ns == modified


def test_line_ends_of_the_readme_are_kept(readme, registry):
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))
    sync_readme(readme, registry)
    content = readme.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 8
    assert not sync_readme(readme, registry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Title\n", f"must hold the line {START} exactly once, it holds it 0 times"),
        (START, f"must hold the line {END} exactly once, it holds it 0 times"),
        (f"{START}{START}{END}", f"{START} exactly once, it holds it 2 times"),
        (f"{END}\n{START}", f"{END} before {START}"),
    ],
)
def test_missing_markers_are_one_sentence_and_the_readme_stays(readme, registry, text, message):
    readme.write_text(text)
    with pytest.raises(RegistryError, match=message):
        sync_readme(readme, registry)
    assert readme.read_text() == text


def test_a_readme_that_is_not_text_is_one_sentence(readme, registry):
    readme.write_bytes(b"\xff\xfe")
    with pytest.raises(RegistryError, match="is not UTF-8 text"):
        sync_readme(readme, registry)


def test_a_certified_model_in_the_table():
    lines = render_table([CERTIFIED]).splitlines()
    assert lines[0] == "1 models: 1 certified; last certified 2026-01-02."
    assert lines[2] == f"| {' | '.join(HEADS)} |"
    assert lines[4] == (
        "| [org/a](https://huggingface.co/org/a) | fam | 1.5B | CERTIFIED | 912 | A | ✓✓✓✗ | yes "
        "| 12.5 | - | - | - | - | - |"
    )


def test_a_pending_model_makes_no_claim():
    [line] = render_table([RegistryRow("org/a", "fam", "1B", "small")]).splitlines()[4:]
    assert line.endswith("| PENDING | - | - | - | - | - | - | - | - | - | - |")


def test_models_stand_by_family_and_size():
    rows = [
        RegistryRow("org/b7", "b", "7B"),
        RegistryRow("org/b135m", "b", "135M"),
        RegistryRow("org/b1", "b", "1.5B"),
        RegistryRow("org/a", "a", "70B"),
    ]
    lines = render_table(rows).splitlines()[4:]
    assert [line.split("]")[0][3:] for line in lines] == ["org/a", "org/b135m", "org/b1", "org/b7"]


@pytest.mark.parametrize("hostile", ["a|b", "<script>alert(1)</script>", "[x](y)", "a\nb"])
def test_text_of_a_registry_stays_in_its_cell(hostile):
    [line] = render_table([RegistryRow(hostile, hostile, hostile, hostile)]).splitlines()[4:]
    assert line.replace("\\|", "").count("|") == len(HEADS) + 1
    assert "<script" not in line.replace("\\<", "")


@pytest.mark.parametrize(
    ("text", "count"),
    [("135M", 135e6), ("1.5B", 1.5e9), ("70 b", 70e9), ("123", 123), ("", 0), ("big", 0)],
)
def test_parameter_counts_are_understood(text, count):
    assert parameter_count(RegistryRow("org/a", parameters=text)) == count
