"""What is asked, and where: `test_matrix` and `scenarios`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pytest_aprqa.playbook.fields import TEXT_TOO, Distinct, Name, NoBoolean, PromptText, Section
from pytest_aprqa.playbook.oracles import Oracle
from pytest_aprqa.words import Backend, Modality

MaxTokens = Annotated[int, Field(ge=1, le=8192), NoBoolean]
Temperature = Annotated[float, Field(ge=0, le=5), NoBoolean]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Turn(Section):
    """One earlier turn of a conversation."""

    role: Literal["user", "assistant"] = Field(description="Who spoke")
    content: PromptText = Field(description="What was said")


class Prompt(Section):
    """One question, with what is to come out."""

    name: Name | None = Field(default=None, description="Name of the scenario; numbered otherwise")
    prompt: PromptText = Field(description="The user's text")
    completion: PromptText | None = Field(
        default=None, description="Text for run, when the question is no natural beginning"
    )
    system: PromptText | None = Field(default=None, description="System message, chat and serve")
    history: tuple[Turn, ...] = Field(default=(), description="Earlier turns, chat and serve")
    oracles: tuple[Oracle, ...] | None = Field(
        default=None, description="Judges; chosen by the form of the prompt when absent"
    )
    expected: Annotated[tuple[PromptText, ...], BeforeValidator(_as_tuple), TEXT_TOO] = Field(
        default=(), description="A text the answer holds, or a list of which it holds one"
    )
    max_tokens: MaxTokens | None = Field(default=None, description="Instead of the matrix's")
    temperature: Temperature = Field(default=0.0, description="0 is greedy")


class Scenario(Prompt):
    """A question with a name of its own, asked in every cell."""

    name: Name = Field(description="Name in node ids, reports and the evidence")


def _as_prompt(value: Any) -> Any:
    if isinstance(value, str):
        return {"prompt": value}
    if isinstance(value, dict | Prompt):
        return value
    raise ValueError(f"found {value!r}; allowed: text in quotes, or a mapping with `prompt`")


PromptEntry = Annotated[Prompt, BeforeValidator(_as_prompt), TEXT_TOO]
"""A prompt as a mapping, or only its text."""


class TestMatrix(Section):
    """The cells, how often each is asked, and how."""

    __test__ = False

    modalities: Annotated[tuple[Modality, ...], Distinct] = Field(
        default=tuple(Modality), min_length=1, description="Ways to ask; the tier's when absent"
    )
    backends: Annotated[tuple[Backend, ...], Distinct] = Field(
        default=tuple(Backend), min_length=1, description="Where to compute; the tier's when absent"
    )
    scenario_count: Annotated[int, Field(ge=1, le=10_000), NoBoolean] | None = Field(
        default=None, description="Scenarios in each cell; the tier's when absent"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63), NoBoolean] = Field(
        default=42, description="Seed of the sampler; greedy decoding does not depend on it"
    )
    timeout_ms: Annotated[int, Field(ge=1, le=86_400_000), NoBoolean] = Field(
        default=60_000, description="Milliseconds each check may take"
    )
    prompts: tuple[PromptEntry, ...] = Field(
        default=(), description="Questions to ask; the catalogue's when absent"
    )
    max_tokens: MaxTokens = Field(default=32, description="Most tokens of each answer")
