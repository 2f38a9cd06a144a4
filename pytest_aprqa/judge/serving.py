"""What a server says besides the answer: the stream, the token counts, why it ended."""

from __future__ import annotations

from pytest_aprqa.judge.divergence import first_difference
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.observation import FinishReason, Generation, Usage
from pytest_aprqa.words import Attribution


def judge_serve(
    generation: Generation,
    *,
    prompt_tokens: int | None = None,
    completion_tokens: int | None = None,
) -> Judgement:
    """Judge whether a server's stream and token counts agree with the answer.

    Args:
        generation: the answer over HTTP, with what was streamed and counted.
        prompt_tokens: tokens of the rendered prompt, when known.
        completion_tokens: tokens of the answer, when known; a server may or may not count the
            end-of-sequence token of an answer that stopped by itself.
    """
    if generation.finish is FinishReason.REFUSED:
        return falsified(
            f"The server declined the request: {generation.refusal}", Attribution.ENGINE
        )
    if generation.finish is FinishReason.CANCELLED:
        return inconclusive("The answer was cancelled.", Attribution.ENVIRONMENT)
    compared = {"streams": 0, "counts": 0}
    faults = []
    if generation.usage is None and generation.streamed_text is not None:
        compared["counts"] += 1
        faults.append("the whole answer has no usage, which the API demands")
    if generation.streamed_text is not None:
        compared["streams"] += 1
        faults += _stream_faults(generation.text, generation.streamed_text)
    slack = 1 if generation.finish is FinishReason.STOP else 0
    for usage, name in ((generation.usage, "usage"), (generation.streamed_usage, "stream usage")):
        if usage is not None:
            counts, wrong = _usage_faults(usage, name, prompt_tokens, completion_tokens, slack)
            compared["counts"] += counts
            faults += wrong
    if generation.usage is not None and generation.streamed_usage is not None:
        compared["counts"] += 1
        if generation.usage != generation.streamed_usage:
            faults.append(
                f"the stream counts {_counts(generation.streamed_usage)}, "
                f"the whole answer {_counts(generation.usage)}"
            )
    if faults:
        return falsified(
            f"The server contradicts itself or the tokenizer: {'; '.join(faults)}.",
            Attribution.ENGINE,
            compared,
            expected="streamed text, counts and answer that agree",
        )
    if not any(compared.values()):
        return inconclusive("The server reported neither a stream nor token counts to compare.")
    return corroborated(
        f"{compared['streams']} streams and {compared['counts']} token counts agree with the "
        "answer.",
        compared,
    )


def _stream_faults(text: str, streamed: str) -> list[str]:
    position = first_difference(text, streamed)
    if position is None:
        return []
    window = slice(position, position + 20)
    fault = f"{streamed[window]!r}, not {text[window]!r}"
    return [f"streamed text differs from character {position}: {fault}"]


def _usage_faults(
    usage: Usage, name: str, prompt_tokens: int | None, completion_tokens: int | None, slack: int
) -> tuple[int, list[str]]:
    """Return how many counts were compared, and which are wrong."""
    faults = []
    if prompt_tokens is not None and usage.prompt_tokens != prompt_tokens:
        faults.append(
            f"{name} says {usage.prompt_tokens} prompt tokens, the tokenizer {prompt_tokens}"
        )
    if completion_tokens is not None:
        difference = completion_tokens - usage.completion_tokens
        if abs(difference) > slack:
            faults.append(
                f"{name} says {usage.completion_tokens} completion tokens, "
                f"the engine {completion_tokens}"
            )
    return (prompt_tokens is not None) + (completion_tokens is not None), faults


def _counts(usage: Usage) -> str:
    return f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"
