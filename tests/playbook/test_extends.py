"""Templates: what a playbook takes over, and what it must say itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_aprqa.playbook.load import PlaybookError, load_playbook
from pytest_aprqa.words import Backend, Format

Write = Callable[..., Path]

BASE = """\
name: base
description: the template's own
model:
  hf_repo: org/template
  formats: [safetensors, gguf]
test_matrix:
  backends: [cpu]
  scenario_count: 7
  prompts: [one, two, three]
metadata: {tier: mvp, author: template}
"""

CHILD = """\
extends: base
name: child
model:
  hf_repo: org/child
"""


@pytest.fixture
def child(write: Write) -> Callable[[str], Path]:
    """Write a template and a playbook that extends it."""

    def child(extra: str = "") -> Path:
        write(BASE, "templates/base.yaml")
        return write(CHILD + extra, "models/child.playbook.yaml")

    return child


def error(path: Path) -> str:
    with pytest.raises(PlaybookError) as caught:
        load_playbook(path)
    return str(caught.value)


def test_fields_that_are_not_given_come_from_the_template(child: Callable[[str], Path]) -> None:
    playbook = load_playbook(child("")).playbook
    assert playbook.model.hf_repo == "org/child"
    assert playbook.model.formats == (Format.SAFETENSORS, Format.GGUF)
    assert playbook.test_matrix.scenario_count == 7
    assert playbook.metadata.tier == "mvp"


def test_mappings_are_merged_and_lists_replaced(child: Callable[[str], Path]) -> None:
    matrix = load_playbook(child("test_matrix: {prompts: [four]}\n")).playbook.test_matrix
    assert [entry.prompt for entry in matrix.prompts] == ["four"]
    assert matrix.backends == (Backend.CPU,)


def test_the_identity_of_a_template_is_not_inherited(write: Write) -> None:
    write(BASE, "templates/base.yaml")
    said = error(write("extends: base\nmodel: {family: x}\n", "models/x.playbook.yaml"))
    assert "name: is missing" in said
    assert "model.hf_repo: is missing" in said
    described = write(CHILD, "models/y.playbook.yaml")
    assert load_playbook(described).playbook.description == ""


def test_a_mistake_in_a_template_is_told_with_the_templates_line(
    child: Callable[[str], Path], write: Write
) -> None:
    path = child("")
    write(BASE.replace("scenario_count: 7", "scenario_count: -7"), "templates/base.yaml")
    assert "templates/base.yaml:8: test_matrix.scenario_count: found the number -7" in error(path)


def test_a_mistake_in_the_playbook_is_told_with_its_own_line(child: Callable[[str], Path]) -> None:
    said = error(child("test_matrix:\n  prompts: [four, 5]\n"))
    assert "models/child.playbook.yaml:6: test_matrix.prompts[1]: found 5" in said


def test_inherited_fields_are_at_the_line_that_names_the_template(
    child: Callable[[str], Path],
) -> None:
    loaded = load_playbook(child("metadata: {author: me}\n"))
    assert loaded.line_of("model.hf_repo") == 3
    assert loaded.line_of("test_matrix.prompts[2]") == 0
    assert "test_matrix" not in loaded.lines


def test_a_template_of_the_wrong_shape_is_told_as_such(
    child: Callable[[str], Path], write: Write
) -> None:
    path = child("")
    write("model: [a]\n", "templates/base.yaml")
    assert load_playbook(path).playbook.model.hf_repo == "org/child"
    path.write_text("extends: base\nname: child\n")
    assert "templates/base.yaml:1: model: found a list; allowed: a mapping" in error(path)


def test_a_template_may_extend_another(write: Write) -> None:
    write(BASE, "templates/base.yaml")
    write("extends: base\ntest_matrix: {scenario_count: 9}\n", "templates/middle.yaml")
    path = write(CHILD.replace("extends: base", "extends: middle"), "models/c.playbook.yaml")
    matrix = load_playbook(path).playbook.test_matrix
    assert (matrix.scenario_count, len(matrix.prompts)) == (9, 3)


def test_a_circle_of_templates_is_named(write: Write) -> None:
    write("extends: two\n", "templates/one.yaml")
    write("extends: one\n", "templates/two.yaml")
    said = error(write("extends: one\n" + CHILD.partition("\n")[2], "models/c.playbook.yaml"))
    assert "extends: templates extend each other in a circle" in said
    assert said.count("one.yaml") >= 2


def test_a_playbook_cannot_extend_itself(write: Write) -> None:
    said = error(write("extends: ./me.yaml\nname: me\n", "me.yaml"))
    assert "templates extend each other in a circle" in said


def test_an_unknown_template_is_told_with_those_there_are(child: Callable[[str], Path]) -> None:
    path = child("")
    path.write_text(path.read_text().replace("extends: base", "extends: bass"))
    said = error(path)
    assert ":1: extends: found 'bass'; templates: base, basic-verify, ci-pipeline," in said


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("../nowhere.yaml", "there is no file"),
        ("../../etc/passwd", "a path to a template ends in .yaml"),
        ("[a, b]", "allowed: the name of a template, or a path to one"),
        ("''", "allowed: the name of a template, or a path to one"),
    ],
)
def test_what_cannot_name_a_template_is_refused(
    child: Callable[[str], Path], wanted: str, said: str
) -> None:
    path = child("")
    path.write_text(path.read_text().replace("extends: base", f"extends: {wanted}"))
    assert said in error(path)


def test_the_templates_of_the_package_are_found_from_anywhere(write: Write) -> None:
    playbook = load_playbook(write(CHILD.replace("extends: base", "extends: mvp"))).playbook
    assert playbook.test_matrix.scenario_count == 1


def test_a_template_nearer_to_the_playbook_comes_first(write: Write) -> None:
    write(BASE.replace("name: base", "name: mvp"), "templates/mvp.yaml")
    path = write(CHILD.replace("extends: base", "extends: mvp"), "models/c.playbook.yaml")
    assert load_playbook(path).playbook.test_matrix.scenario_count == 7


def test_inheriting_and_writing_out_are_one_playbook(
    child: Callable[[str], Path], write: Write
) -> None:
    written = BASE.replace("base", "child").replace("org/template", "org/child")
    written = written.replace("description: the template's own\n", "")
    assert load_playbook(child("")).digest == load_playbook(write(written)).digest
