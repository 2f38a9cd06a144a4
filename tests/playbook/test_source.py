"""YAML from strangers: every fault one sentence with its line, and never more than its share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.playbook.errors import PlaybookError
from pytest_aprqa.playbook.source import MAX_BYTES, read_source


def complaint(path: Path, content: str | bytes) -> str:
    """Read a file that cannot be read; return what is said of it after its name."""
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(raw)
    with pytest.raises(PlaybookError) as caught:
        read_source(path)
    return str(caught.value).replace(str(path), "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sample.playbook.yaml"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ": the file is empty; a playbook has at least a name and a model"),
        ("# only a comment\n", ": the file is empty; a playbook has at least a name and a model"),
        ("- a\n- b\n", ":1: found a list; a playbook is a mapping of `field: value`"),
        ("\njust text\n", ":2: found 'just text'; a playbook is a mapping of `field: value`"),
        ("a: [1\nb: 2\n", ":2: not valid YAML: did not find expected ',' or ']'"),
        ("a: 'open\n", ":2: not valid YAML: found unexpected end of stream"),
        ("a: b: c\n", ":1: not valid YAML: mapping values are not allowed in this context"),
        ("a: *nowhere\n", ":1: not valid YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        ("a: 1\nb: \x07\n", ":2: not valid YAML: control characters are not allowed"),
        ('a: "\\ud800"\n', ":1: not valid YAML: found invalid Unicode character escape code"),
        (b"a: 1\nb: caf\xe9\n", ":2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: 1\n1: b\n", ":2: found '1' as a key; write keys as quoted text"),
        ("yes: b\n", ":1: found 'yes' as a key; write keys as quoted text"),
        ("? [a]\n: b\n", ":1: found a list as a key; write keys as quoted text"),
        ("a: !!binary aGk=\n", ":1: a: the YAML tag tag:yaml.org,2002:binary is not allowed"),
        ("a: !secret b\n", ":1: a: the YAML tag !secret is not allowed"),
        ("a: !!int many\n", ":1: a: found 'many'; not a valid int"),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(file: Path, content: str, said: str) -> None:
    assert complaint(file, content) == said


def test_a_tab_that_indents_is_named(file: Path) -> None:
    said = complaint(file, "model:\n\thf_repo: a/b\n")
    assert said.startswith(":2: not valid YAML:")
    assert said.endswith("; YAML is indented with spaces, not tabs")


def test_no_python_object_is_ever_made(file: Path) -> None:
    said = complaint(file, "a: !!python/object/apply:os.getcwd []\n")
    assert "the YAML tag tag:yaml.org,2002:python/object/apply:os.getcwd is not allowed" in said


def test_every_key_given_twice_is_told_at_once(file: Path) -> None:
    said = complaint(file, "a: 1\nb: {c: 1, c: 2}\na: 3\n").splitlines()
    assert said == [":2: b.c: given twice, first on line 2", ":3: a: given twice, first on line 1"]


def test_a_merge_key_points_to_extends(file: Path) -> None:
    said = complaint(file, "base: &base {x: 1}\nmodel:\n  <<: *base\n")
    assert said == ":3: model: merge keys (<<) are not supported; use `extends: TEMPLATE`"


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="cannot read the playbook: no such file"):
        read_source(tmp_path / "nowhere.yaml")


def test_a_folder_is_no_playbook(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="cannot read the playbook: is a directory"):
        read_source(tmp_path)


def test_a_file_past_the_limit_is_refused(file: Path) -> None:
    said = complaint(file, "a: 1\n#" + "x" * MAX_BYTES)
    assert said == ": the file is larger than 1024 KiB; no playbook is"


@pytest.mark.parametrize(
    "content",
    ["a: " + "[" * 100_000, "\n".join(" " * depth + "a:" for depth in range(200))],
    ids=["flow", "block"],
)
def test_deep_nesting_is_refused_before_it_is_composed(file: Path, content: str) -> None:
    assert "nested more than 64 deep" in complaint(file, content)


def test_an_alias_bomb_is_refused(file: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for name, before in zip("bcdefgh", "abcdefg", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    assert "more than 200000 values once aliases are expanded" in complaint(file, "\n".join(lines))


def test_an_alias_to_what_contains_it_is_refused(file: Path) -> None:
    assert complaint(file, "a: &a [*a]\n") == ":1: an alias refers to what contains it"


def test_aliases_are_expanded(file: Path) -> None:
    file.write_text("a: &p [run, chat]\nb: *p\n")
    assert read_source(file).value == {"a": ["run", "chat"], "b": ["run", "chat"]}


def test_scalars_are_those_of_yaml_but_dates_stay_text(file: Path) -> None:
    file.write_text("a: [1, 1.5, true, no, null, 2026-01-30, '5', 1e-5]\n")
    assert read_source(file).value["a"] == [1, 1.5, True, False, None, "2026-01-30", "5", "1e-5"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_source(file).value == {"name": "x"}


def test_every_field_has_its_line(file: Path) -> None:
    file.write_text("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    assert read_source(file).lines == {
        (): 0,
        ("a",): 0,
        ("a", "b"): 1,
        ("a", "c"): 2,
        ("a", "c", 0): 3,
        ("a", "c", 1): 4,
        ("a", "c", 1, "d"): 4,
    }


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_whatever_the_bytes_it_is_a_mapping_or_a_sentence_about_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    read = read_or_error(path)
    assert isinstance(read, dict) or read.startswith(str(path))


def read_or_error(path: Path) -> dict[str, object] | str:
    try:
        return read_source(path).value
    except PlaybookError as error:
        return str(error)
