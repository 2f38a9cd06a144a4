"""The process that renders chat templates: one line of JSON in, one out, within bounds.

Started as `python -m pytest_aprqa.artifact.template_process`. A template is a program: it can loop
without end or ask for all memory. What Jinja's sandbox does not bound, the kernel does here.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import datetime
from typing import Any, NoReturn

SECONDS = 1.0
"""Of computing that one rendering may take; a template of a real model takes a millisecond."""

MEMORY = 192 << 20
"""Bytes that this process may allocate."""

MOST_CHARACTERS = 1 << 20
"""Of a rendered conversation."""


class RefusalError(Exception):
    """The template itself refused the conversation (`raise_exception`)."""


def main() -> None:
    _bound()
    environment = make_environment()
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # SIGPROF ends the process
        answer = _answer(environment, json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def make_environment() -> Any:
    """Return Jinja's sandbox with the helpers transformers gives templates."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], cache_size=0
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _answer(environment: Any, call: dict[str, Any]) -> dict[str, Any]:
    try:
        text: str = environment.from_string(call["template"]).render(**call["values"])
    except RefusalError as error:
        return {"refused": str(error)[:MOST_CHARACTERS]}
    except MemoryError:
        return {"error": f"it needs more than {MEMORY >> 20} MiB of memory"}
    except Exception as error:  # noqa: BLE001  # whatever a template raises is its own fault
        line = getattr(error, "lineno", None)
        return {"error": str(error)[:1000] or type(error).__name__, "line": line}
    if len(text) > MOST_CHARACTERS:
        return {"error": f"it renders to {len(text)} characters"}
    return {"text": text}


def _to_json(value: object, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise RefusalError(message)


if __name__ == "__main__":
    main()
