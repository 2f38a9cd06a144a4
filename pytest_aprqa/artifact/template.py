"""The chat template of a model: where it lies, and rendering it without trusting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import MOST_TEMPLATE_BYTES, read_text
from pytest_aprqa.artifact.template_sandbox import TemplateSandbox

TEMPLATE_FILE = "chat_template.jinja"


class TemplateRefusedError(Exception):
    """The template itself refused the conversation (`raise_exception`)."""


def read_template(directory: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    """Return the chat template of a SafeTensors directory, or None when it has none.

    The file of its own wins over tokenizer_config.json; of several named ones `default` is taken.
    """
    path = directory / TEMPLATE_FILE
    if path.exists():
        return read_text(path)
    stated = tokenizer_config.get("chat_template")
    if isinstance(stated, list):
        named = {entry["name"]: entry["template"] for entry in stated}
        stated = named.get("default")
    return stated if isinstance(stated, str) else None


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    bos_token: str = "",
    eos_token: str = "",
    add_generation_prompt: bool = True,
) -> str:
    """Render a conversation, with the helpers transformers gives templates.

    Jinja's sandbox keeps the template from Python; a process of its own with bounds on time and
    memory keeps it from this one.

    Args:
        template: Jinja source.
        messages: turns with `role` and `content`.
        bos_token: text of the token that begins a text, or "".
        eos_token: text of the token that ends one, or "".
        add_generation_prompt: whether to end with the opening of the assistant's turn.

    Raises:
        TemplateRefusedError: the template does not take such a conversation, in its own words.
        ArtifactError: MALFORMED (G0-TEMPLATE) when it cannot be parsed, fails, or goes past the
            bounds.
    """
    if len(template) > MOST_TEMPLATE_BYTES:
        raise _refused(f"chat template is longer than {MOST_TEMPLATE_BYTES} characters")
    values = {
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "bos_token": bos_token,
        "eos_token": eos_token,
        "add_generation_prompt": add_generation_prompt,
    }
    with TemplateSandbox() as sandbox:
        answer = sandbox.answer(template, values)
    if "text" in answer:
        return str(answer["text"])
    if "refused" in answer:
        raise TemplateRefusedError(answer["refused"])
    place = f" (line {answer['line']})" if answer.get("line") else ""
    raise _refused(f"chat template cannot be rendered{place}: {answer['error']}")


def _refused(message: str) -> ArtifactError:
    return ArtifactError(ArtifactFault.MALFORMED, message, rule="G0-TEMPLATE", where=TEMPLATE_FILE)
