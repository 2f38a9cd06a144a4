from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.template import TemplateRefusedError, read_template, render
from pytest_aprqa.artifact.template_sandbox import TemplateSandbox

QUESTION = [{"role": "user", "content": "Hi <b>"}]


def test_a_template_is_rendered_with_the_helpers_of_transformers() -> None:
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'skip' %}{% continue %}{% endif %}"
        "[{{ m.role }}]{{ m.content | trim }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}{{ eos_token }}"
    )
    text = render(
        template, [*QUESTION, {"role": "skip", "content": ""}], bos_token="<s>", eos_token="</s>"
    )
    assert text == "<s>[user]Hi <b>[assistant]</s>"


def test_json_keeps_its_characters() -> None:
    assert render("{{ {'a': 'é<'} | tojson }}", QUESTION) == '{"a": "é<"}'


def test_the_date_can_be_asked_for() -> None:
    assert render("{{ strftime_now('%Y') }}", QUESTION).startswith("20")


def test_a_template_may_refuse_in_its_own_words() -> None:
    with pytest.raises(TemplateRefusedError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", QUESTION)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}",
        "{{ messages[9].content }}",
        "{{ nothing.at.all }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ 1 / 0 }}",
        "{% include 'file' %}",
    ],
)
def test_a_template_that_fails_or_reaches_out_is_malformed(template: str) -> None:
    with pytest.raises(ArtifactError, match="chat template cannot be rendered") as caught:
        render(template, QUESTION)
    assert caught.value.fault is ArtifactFault.MALFORMED
    assert caught.value.rule == "G0-TEMPLATE"


def test_the_file_of_its_own_wins(tmp_path: Path) -> None:
    stated = {"chat_template": "from the config"}
    assert read_template(tmp_path, stated) == "from the config"
    (tmp_path / "chat_template.jinja").write_text("from the file")
    assert read_template(tmp_path, stated) == "from the file"


def test_of_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    assert read_template(tmp_path, {"chat_template": named}) == "d"
    assert read_template(tmp_path, json.loads("{}")) is None


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 10 ** (10 ** 10) }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_a_template_without_end_is_ended(template: str) -> None:
    started = time.monotonic()
    with pytest.raises(ArtifactError, match=r"takes too long|recursion") as caught:
        render(template, QUESTION)
    assert caught.value.rule == "G0-TEMPLATE"
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ 'a'.center(10 ** 10) }}",
        "{{ '%10000000000d' % 1 }}",
        "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% for i in range(9999) %}{{ 'a' * 9999 }}{% endfor %}",
    ],
)
def test_a_template_that_wants_all_memory_is_refused_it(template: str) -> None:
    with pytest.raises(ArtifactError, match=r"memory|characters") as caught:
        render(template, QUESTION)
    assert caught.value.rule == "G0-TEMPLATE"


def test_a_sandbox_renders_on_after_a_template_has_ended_its_process() -> None:
    with TemplateSandbox() as sandbox:
        assert "too long" in sandbox.answer("{{ 9 ** (9 ** 9) }}", {})["error"]
        assert sandbox.answer("{{ 1 + 1 }}", {}) == {"text": "2"}
