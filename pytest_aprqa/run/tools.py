"""The tools of an `apr` binary, each tried on a model."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.judge.incumbent import model_text
from pytest_aprqa.words import Attribution, Outcome

USAGE_ERROR = 2
NOT_COMPILED = 9
"""Exit codes of the binary that speak of the binary and not of the model."""

MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool and how it is tried.

    Attributes:
        name: of the subcommand.
        gate_id: stable id.
        arguments: `{model}` stands for the model.
        verdict: what its JSON says of the model; None asks only that it ends well with output.
        runs_model: it loads the model, so that a device is named.
    """

    name: str
    gate_id: str
    arguments: tuple[str, ...]
    verdict: Callable[[Mapping[str, Any]], str] | None = None
    runs_model: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of one tool; `seconds` is wall time."""

    tool: str
    gate_id: str
    outcome: Outcome
    reason: str
    attribution: Attribution | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    output: str = ""


def _fault_unless(key: str, wanted: Callable[[Any], bool]) -> Callable[[Mapping[str, Any]], str]:
    def verdict(said: Mapping[str, Any]) -> str:
        if key not in said:
            return f"its JSON has no {key!r}"
        return "" if wanted(said[key]) else f"{key} is {said[key]!r}"

    return verdict


def _has_tensors(said: Mapping[str, Any]) -> str:
    return "" if said.get("tensors") else "it lists no tensors"


def _has_text(said: Mapping[str, Any]) -> str:
    return "" if model_text(json.dumps(dict(said))) else "it generated no text"


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


PROMPT = "What is 2+2?"
TOOLS = (
    Tool("inspect", "F-TOOL-INSPECT", ("inspect", "{model}", "--json"),
         _fault_unless("tensor_count", _positive)),
    Tool("validate", "F-TOOL-VALIDATE", ("validate", "{model}", "--json"),
         _fault_unless("passed", bool)),
    Tool("tensors", "F-TOOL-TENSORS", ("tensors", "{model}", "--json"), _has_tensors),
    Tool("lint", "F-TOOL-LINT", ("lint", "{model}", "--json"),
         _fault_unless("error_count", lambda count: count == 0)),
    Tool("tree", "F-TOOL-TREE", ("tree", "{model}", "--format", "json")),
    Tool("check", "F-TOOL-CHECK", ("check", "{model}", "--json"),
         _fault_unless("all_passed", bool), runs_model=True),
    Tool("run", "F-TOOL-RUN", ("run", "{model}", f"--prompt={PROMPT}", "--max-tokens", "8", "--json"),
         _has_text, runs_model=True),
    Tool("bench", "F-TOOL-BENCH", ("bench", "{model}", "--warmup", "1", "--iterations", "2")),
    Tool("profile", "F-TOOL-PROFILE", ("profile", "{model}", "--format", "json"), runs_model=True),
    Tool("trace", "F-TOOL-TRACE", ("trace", "{model}", "--json")),
)  # fmt: skip
"""The tools that look at one model and end by themselves."""


def try_tools(binary: str, model: Path, *, no_gpu: bool, timeout: float) -> Iterator[ToolResult]:
    """Try every tool on a model, one after the other.

    A tool this build does not have is skipped, whatever else is wrong with it is told: a verdict
    comes from its JSON where it has one, because its exit code may be 0 all the same.

    Args:
        binary: path or name of the binary.
        model: file or directory.
        no_gpu: keep tools that run the model on the CPU.
        timeout: seconds each tool may take.

    Raises:
        OSError: the binary cannot be run.
    """
    known = _subcommands(binary, timeout)
    for tool in TOOLS:
        if known and tool.name not in known:
            reason = "this build of apr has no such tool"
            yield ToolResult(
                tool.name, tool.gate_id, Outcome.SKIPPED, reason, Attribution.ENVIRONMENT
            )
        else:
            yield _try(tool, binary, model, no_gpu=no_gpu, timeout=timeout)


def _subcommands(binary: str, timeout: float) -> frozenset[str]:
    """Return the tools that `--help` lists; empty when it lists none that can be read."""
    done = subprocess.run(
        [binary, "--help"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    return frozenset(re.findall(r"^ {2,}([a-z][a-z0-9-]+)(?= |$)", done.stdout, re.MULTILINE))


def _try(tool: Tool, binary: str, model: Path, *, no_gpu: bool, timeout: float) -> ToolResult:
    arguments = [part.replace("{model}", str(model)) for part in tool.arguments]
    flags = ["--no-gpu"] if no_gpu and tool.runs_model else []
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            [binary, *arguments, *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"did not end within {timeout:g} s"
        return ToolResult(
            tool.name, tool.gate_id, Outcome.TIMEOUT, reason, Attribution.ENGINE, seconds=timeout
        )
    outcome, reason, whose = _judge(tool, done)
    return ToolResult(
        tool=tool.name,
        gate_id=tool.gate_id,
        outcome=outcome,
        reason=reason,
        attribution=whose,
        exit_code=done.returncode,
        seconds=round(time.perf_counter() - begun, 3),
        output=(done.stdout or done.stderr)[:MOST_CHARACTERS],
    )


def _judge(
    tool: Tool, done: subprocess.CompletedProcess[str]
) -> tuple[Outcome, str, Attribution | None]:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode < 0:
        reason = f"died of signal {-done.returncode}: {last}"
        return Outcome.CRASHED, reason, Attribution.ENGINE
    if done.returncode in (USAGE_ERROR, NOT_COMPILED):
        return Outcome.SKIPPED, f"this build cannot do it: {last}", Attribution.ENVIRONMENT
    said = _json(done.stdout)
    if tool.verdict is not None and said is not None:
        if fault := tool.verdict(said):
            return Outcome.FALSIFIED, fault, Attribution.MODEL
        if done.returncode == 0:
            return Outcome.CORROBORATED, "its JSON says the model is sound", None
    if done.returncode:
        return Outcome.FALSIFIED, f"exit status {done.returncode}: {last}", Attribution.MODEL
    if tool.verdict is not None:
        return Outcome.INCONCLUSIVE, "it printed no JSON to read a verdict from", Attribution.ENGINE
    if not done.stdout.strip():
        return Outcome.INCONCLUSIVE, "it printed nothing", Attribution.ENGINE
    return Outcome.CORROBORATED, "it ended well, with output", None


def _json(printed: str) -> Mapping[str, Any] | None:
    """Return the JSON object at the end of what was printed, or None."""
    start = printed.find("{")
    while start >= 0:
        try:
            value = json.loads(printed[start:])
        except (ValueError, RecursionError):
            start = printed.find("{", start + 1)
            continue
        return value if isinstance(value, dict) else None
    return None
