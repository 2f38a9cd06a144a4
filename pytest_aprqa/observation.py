"""What an engine or a file reader saw: plain values, without any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class FinishReason(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as a server reports them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of an engine.

    Attributes:
        text: the model's text only; no prompt, banner or metric. Special tokens are kept out
            of it exactly when the engine keeps them out.
        token_ids: the generated tokens in order, the end-of-sequence token included when it was
            generated; None when the engine does not tell (HTTP).
        logprobs: natural logarithm of the probability of each generated token at temperature 1,
            same length as token_ids.
        runner_up: for each generated token the log-probability of the best other token; the
            difference is the margin of a greedy choice, in nats.
        prompt_token_ids: the tokens the engine really fed, template included.
        rendered_prompt: the text that was tokenised, template applied.
        finish: why it ended; REFUSED when the engine declined the request (see `refusal`).
        refusal: the engine's own words when it declined, for instance a prompt past its context.
        seconds: from request to the last token.
        seconds_to_first_token: from request to the first token; None when not streamed.
        usage: token counts the server reported, where there is a server.
        streamed_text: the text put together from the streamed answer, where one was asked for.
        streamed_usage: token counts of the streamed answer.
        raw: what the engine printed or sent, verbatim, at most 16 KiB.
    """

    text: str
    finish: FinishReason
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    runner_up: tuple[float, ...] | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    rendered_prompt: str | None = None
    refusal: str = ""
    seconds: float = 0.0
    seconds_to_first_token: float | None = None
    usage: Usage | None = None
    streamed_text: str | None = None
    streamed_usage: Usage | None = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Teacher-forced log-probabilities of one token sequence.

    Attributes:
        token_ids: the sequence, length n.
        logprobs: natural log-probability of token i given tokens 0..i-1, for i = 1..n-1.
        top_ids: for each of those n-1 positions the ids of the most probable tokens, descending.
        top_logprobs: their natural log-probabilities, same shape as top_ids.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    top_ids: tuple[tuple[int, ...], ...]
    top_logprobs: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class LayerState:
    """The hidden states behind one layer in one forward pass.

    Attributes:
        layer: its number, from 0.
        mean, std, rms, min, max: over the finite values at all positions; 0 when there are none.
        not_finite: share of values that are NaN or infinite.
        sample: some values of the last position, evenly spaced; 0 for one that is not finite.
    """

    layer: int
    mean: float
    std: float
    rms: float
    min: float
    max: float
    not_finite: float
    sample: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What an engine says of a model it has loaded.

    Attributes:
        engine: name and version, for instance "transformers 5.23.0, torch 2.13.0+cpu".
        device: where the weights lie, as the engine reports it ("cpu", "cuda:0").
        dtype: the dtype the engine computes in or stores ("float32", "Q4_1").
        vocab_size: rows of the embedding.
        context_length: most tokens the engine accepts, prompt and answer together.
        has_chat_template: whether the chat modality applies.
        seconds: load time without process start.
        threads: compute threads.
    """

    engine: str
    device: str
    dtype: str
    vocab_size: int
    context_length: int
    has_chat_template: bool
    seconds: float
    threads: int


class Severity(StrEnum):
    """How bad a finding in a file is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a file reader saw in an artifact.

    Attributes:
        rule: stable id of the rule, for instance "G0-HEADER" or "F-LAYOUT-CONTRACT-001".
        message: one sentence: what is wrong, where, what was expected.
        severity: an error falsifies G0.
        where: file name, and tensor name or byte offset when known.
    """

    rule: str
    message: str
    severity: Severity = Severity.ERROR
    where: str = ""


@dataclass(frozen=True, slots=True)
class FileReport:
    """The result of checking an artifact's files.

    Attributes:
        findings: everything found, errors first.
        checked: how many of what was looked at, for instance {"tensors": 272, "bytes": 98362432}.
    """

    findings: tuple[Finding, ...] = ()
    checked: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)
