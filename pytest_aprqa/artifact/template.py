"""The chat template of a model: where it lies, and rendering it without trusting it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

TEMPLATE_FILE = "chat_template.jinja"


class TemplateRefusedError(Exception):
    """The template itself refused the conversation (`raise_exception`)."""


def read_template(directory: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    """Return the chat template of a SafeTensors directory, or None when it has none.

    The file of its own wins over tokenizer_config.json; of several named ones `default` is taken.
    """
    path = directory / TEMPLATE_FILE
    if path.is_file():
        return path.read_text("utf-8")
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
    """Render a conversation, with the helpers transformers gives templates, in a sandbox.

    Args:
        template: Jinja source.
        messages: turns with `role` and `content`.
        bos_token: text of the token that begins a text, or "".
        eos_token: text of the token that ends one, or "".
        add_generation_prompt: whether to end with the opening of the assistant's turn.

    Raises:
        TemplateRefusedError: the template does not take such a conversation, in its own words.
        ArtifactError: MALFORMED (G0-TEMPLATE) when it cannot be parsed or fails.
    """
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(template).render(
            messages=list(messages),
            tools=None,
            documents=None,
            bos_token=bos_token,
            eos_token=eos_token,
            add_generation_prompt=add_generation_prompt,
        )
    except TemplateRefusedError:
        raise
    except (
        Exception
    ) as error:  # a template is a program of the model's: what it raises is its fault
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"chat template cannot be rendered{place}: {error}",
            rule="G0-TEMPLATE",
            where=TEMPLATE_FILE,
        ) from error


def _to_json(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise TemplateRefusedError(message)
