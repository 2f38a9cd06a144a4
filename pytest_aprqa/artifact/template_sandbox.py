"""Rendering chat templates in a process of their own, which hostile ones may wear out."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest_aprqa

_PATIENCE = 60.0
"""Seconds to wait for the process, which bounds its own computing, on a machine that is busy."""

_KEPT = ("PATH", "LANG", "TZ", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


class TemplateSandbox:
    """A process that renders templates, started at its first use and again when one has ended it.

    A context manager.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def answer(self, template: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return {"text": ...}, {"refused": the template's words} or {"error": ..., "line": ...}.

        Args:
            template: Jinja source.
            values: what the template knows by name, as JSON values.
        """
        if self._process is None:
            self._process = _start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        call = json.dumps({"template": template, "values": dict(values)}) + "\n"
        try:
            self._process.stdin.write(call.encode("ascii"))
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
            line = self._process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        return {"error": self._how_it_ended()}

    def close(self) -> None:
        """End the process. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _how_it_ended(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = -signal.SIGPROF
        self.close()
        if code == -signal.SIGPROF:
            return "it takes too long"
        return f"it ends the process that renders it (status {code})"


def _start() -> subprocess.Popen[bytes]:
    root = str(Path(pytest_aprqa.__file__).parents[1])
    own = {name: os.environ[name] for name in _KEPT if name in os.environ}
    search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pytest_aprqa.artifact.template_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**own, "PYTHONPATH": search},
    )
