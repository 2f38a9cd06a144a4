"""A server somebody else runs, and what it is asked: `ollama_parity`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from pytest_aprqa.playbook.fields import Flag, Inert, NonNegative, PromptText, Section
from pytest_aprqa.playbook.profile import GATE_LABELS

ENDPOINT = "endpoint"
"""Subject of the checks that ask such a server."""

DType = Annotated[str, StringConstraints(pattern=r"^(?i:(bf16|f16|f32|i?q[1-8]\w*))$")]


def _greedy(temperature: float) -> float:
    if temperature > 0:
        raise ValueError(
            f"found the number {temperature}; allowed: 0, sampled answers differ anyway"
        )
    return temperature


class OllamaParity(Section):
    """A comparison of greedy answers, token by token, with what the SafeTensors would say."""

    enabled: Flag = Field(default=False, description="Whether the server is asked")
    base_url: str | None = Field(
        default=None,
        description="Of the server, without `/v1`; else that of --base-url, else Ollama's own",
    )
    model_tag: str | None = Field(
        default=None, description="Name of the model there; `hf_repo` when absent"
    )
    quantizations: Annotated[tuple[DType, ...], Field(min_length=1)] = Field(
        default=("q4_k_m",), description="What the server runs, the first one: its noise is allowed"
    )
    prompts: Annotated[tuple[PromptText, ...], Field(min_length=1)] = Field(
        default=("What is 2+2?",), description="What it is asked"
    )
    temperature: Annotated[NonNegative, AfterValidator(_greedy)] = Field(
        default=0.0, description="0: answers are greedy"
    )
    min_perf_ratio: Annotated[
        NonNegative,
        Inert("the speed of another server says nothing of these files; bound it in profile_ci"),
    ] = Field(default=0.8, description="Speed beside the server's")
    gates: Annotated[tuple[str, ...], GATE_LABELS] = Field(default=(), description="Labels")
