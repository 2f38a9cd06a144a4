"""A pytest plugin that notes what a certification asks of its engines.

    APRQA_RECORDING=calls.jsonl pytest -p recording ...

One line a call: the model's path, what was asked, and the prompts as tokens with their limits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.observation import Generation, LoadReport, TokenScores

_tokens: dict[str, Sequence[int]] = {}


class RecordingEngine(HostedEngine):
    """Does what it is asked and notes it."""

    def load(self, timeout: float) -> LoadReport:
        known = self._report
        report = super().load(timeout)
        if report is not known:
            self._note("load")
        return report

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        answers = super().generate(requests, timeout)
        prompts = []
        for request, answer in zip(requests, answers, strict=True):
            ids = _tokens[_key(request)] = answer.prompt_token_ids or ()
            prompts.append([list(ids), len(answer.token_ids or ())])
        self._note("generate", prompts=[p for p in prompts if p[1]])
        return answers

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        answer = super().stream(request, timeout, cancel_after)
        prompt = [list(answer.prompt_token_ids or ()), len(answer.token_ids or ())]
        self._note("generate", prompts=[prompt])
        return answer

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        self._note("score", prompts=[[list(ids), 1] for ids in sequences])
        return super().score(sequences, top, timeout, dtype)

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        answer = super().generate_over_http(request, timeout)
        usage, streamed = answer.usage, answer.streamed_usage
        for told in (usage, streamed):
            limit = told.completion_tokens if told else request.max_tokens
            self._note("http", request=_key(request), limit=limit)
        return answer

    def _note(self, method: str, **what: Any) -> None:
        line = {"path": self._config.path, "method": method, **what}
        with _file().open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def pytest_configure() -> None:
    """Put the recording engine in the place of the one it derives from."""
    from pytest_aprqa.engine import open as opening

    opening.HostedEngine = RecordingEngine  # type: ignore[misc]


def pytest_unconfigure() -> None:
    """Write which request had which tokens: over HTTP only its text is seen."""
    with _file().open("a", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"method": "tokens", "request": request, "ids": list(ids)}) + "\n"
            for request, ids in _tokens.items()
        )


def _file() -> Path:
    return Path(os.environ["APRQA_RECORDING"])


def _key(request: Request) -> str:
    return json.dumps([request.prompt, [asdict(turn) for turn in request.messages or ()]])
