"""Faults of engines: sound files, run in the wrong way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from random import Random

from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.falsify.fault import Family, Faults, Sample, Wrap, both
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.spoilt_engine import SpoiltEngine
from pytest_aprqa.observation import FinishReason, Generation, TokenScores
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Format, Tier

fault = Faults(Family.ENGINE)

_GGUF = Format.GGUF


Answer = Callable[[Request, Generation], Generation]


class _Answering(SpoiltEngine):
    """Changes what is asked and what is answered, in whatever way it is asked.

    Over HTTP only the answer is changed, since the server is the engine's own.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        ask: Callable[[Request], Request] | None = None,
        answer: Answer | None = None,
    ) -> None:
        super().__init__(engine)
        self._ask = ask or (lambda request: request)
        self._answer = answer or (lambda _, generation: generation)

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        answers = super().generate([self._ask(request) for request in requests], timeout)
        return [self._answer(r, a) for r, a in zip(requests, answers, strict=True)]

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return self._answer(request, super().stream(self._ask(request), timeout, cancel_after))

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        return self._answer(request, super().generate_over_http(self._ask(request), timeout))


@fault("temperature-on", "greedy requests are sampled", both(Gate.STAB))
def temperature_on(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        return replace(request, temperature=1.5, seed=random.randrange(2**31))

    return partial(_Answering, ask=ask)


@fault(
    "seed-ignored",
    "sampled requests take another seed than they are given",
    both(Gate.STAB),
)
def seed_ignored(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        return replace(request, seed=random.randrange(2**31))

    return partial(_Answering, ask=ask)


@fault("cache-stale", "the prompt cache keeps the prompt before", {_GGUF: Gate.STAB})
def cache_stale(sample: Sample, random: Random) -> Wrap:
    return _StaleCache


class _StaleCache(SpoiltEngine):
    """Puts the last cached prompt in front of the next one."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._kept: tuple[Message, ...] = ()

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        return super().generate([self._polluted(request) for request in requests], timeout)

    def _polluted(self, request: Request) -> Request:
        if not request.cache or request.messages is None:
            return request
        kept, self._kept = self._kept, request.messages
        return replace(request, messages=(*kept, *request.messages))


@fault("batch-crossed", "the answers of a batch are given to each other's prompts", both(Gate.STAB))
def batch_crossed(sample: Sample, random: Random) -> Wrap:
    return _CrossedBatch


class _CrossedBatch(SpoiltEngine):
    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        answers = super().generate(requests, timeout)
        return [*answers[1:], *answers[:1]]


@fault("first-answer-kept", "every request is given the answer to the first one", both(Gate.STAB))
def first_answer_kept(sample: Sample, random: Random) -> Wrap:
    return _FirstAnswer


class _FirstAnswer(SpoiltEngine):
    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._first: Generation | None = None

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        answers = super().generate(requests, timeout)
        self._first = self._first or answers[0]
        return [self._first for _ in answers]


@fault("limit-early", "answers are cut at half of the tokens that were asked for", both(Gate.STAB))
def limit_early(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        return replace(request, max_tokens=max(1, request.max_tokens // 2))

    return partial(_Answering, ask=ask)


@fault("limit-ignored", "answers go on past the tokens that were asked for", both(Gate.STAB))
def limit_ignored(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        return replace(request, max_tokens=request.max_tokens + 64)

    return partial(_Answering, ask=ask)


@fault(
    "finish-wrong",
    "answers that were cut off are said to have ended by themselves",
    both(Gate.STAB),
)
def finish_wrong(sample: Sample, random: Random) -> Wrap:
    def answer(_: Request, generation: Generation) -> Generation:
        if generation.finish is FinishReason.LENGTH:
            return replace(generation, finish=FinishReason.STOP)
        return generation

    return partial(_Answering, answer=answer)


@fault("cancellation-ignored", "a cancelled answer is written to its end", both(Gate.STAB))
def cancellation_ignored(sample: Sample, random: Random) -> Wrap:
    return _Uncancelled


class _Uncancelled(SpoiltEngine):
    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return super().stream(request, timeout)


@fault("prompt-echoed", "the answer begins with the prompt", both(Gate.G4))
def prompt_echoed(sample: Sample, random: Random) -> Wrap:
    def answer(request: Request, generation: Generation) -> Generation:
        prompt = generation.rendered_prompt or request.prompt or ""
        return replace(generation, text=prompt + generation.text)

    return partial(_Answering, answer=answer)


@fault("banner", "the engine's own words stand before every answer", both(Gate.COMP))
def banner(sample: Sample, random: Random) -> Wrap:
    def answer(_: Request, generation: Generation) -> Generation:
        return replace(generation, text=f"Loaded model in 0.42s (17.3 tok/s)\n{generation.text}")

    return partial(_Answering, answer=answer)


@fault("marker-leaked", "the token that ends the turn stands in the text", both(Gate.G4))
def marker_leaked(sample: Sample, random: Random) -> Wrap:
    def answer(_: Request, generation: Generation) -> Generation:
        return replace(generation, text=f"{generation.text}<|im_end|>")

    return partial(_Answering, answer=answer)


class _Misspelling(_Answering):
    """Puts tokens together to a text in the wrong way, wherever it does."""

    def __init__(self, engine: Engine, spell: Callable[[str], str]) -> None:
        def answer(_: Request, generation: Generation) -> Generation:
            return replace(generation, text=spell(generation.text))

        super().__init__(engine, answer=answer)
        self._spell = spell

    def detokenize(self, sequences: Sequence[Sequence[int]], timeout: float) -> list[str]:
        return [self._spell(text) for text in super().detokenize(sequences, timeout)]


@fault("spaces-lost", "tokens are put together without the spaces between words", both(Gate.G4))
def spaces_lost(sample: Sample, random: Random) -> Wrap:
    return partial(_Misspelling, spell=lambda text: text.replace(" ", ""))


@fault(
    "bytes-as-latin",
    "characters of several bytes come out as several characters",
    {_GGUF: Gate.I5, Format.SAFETENSORS: Gate.EDGE},
)
def bytes_as_latin(sample: Sample, random: Random) -> Wrap:
    return partial(_Misspelling, spell=lambda text: text.encode().decode("latin-1"))


@fault("empty-answers", "the engine answers nothing, and says it is done", both(Gate.G2))
def empty_answers(sample: Sample, random: Random) -> Wrap:
    def answer(_: Request, generation: Generation) -> Generation:
        return replace(
            generation, text="", token_ids=(), logprobs=(), runner_up=(), finish=FinishReason.STOP
        )

    return partial(_Answering, answer=answer)


@fault("not-finite", "log-probabilities are not numbers", both(Gate.G4))
def not_finite(sample: Sample, random: Random) -> Wrap:
    def answer(_: Request, generation: Generation) -> Generation:
        return replace(generation, logprobs=tuple(float("nan") for _ in generation.logprobs or ()))

    return partial(_Answering, answer=answer)


@fault(
    "special-text-parsed", "what a user writes like a special token becomes one", both(Gate.EDGE)
)
def special_text_parsed(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        return replace(request, parse_special=True)

    return partial(_Answering, ask=ask)


@fault("prompt-cut", "a prompt past the context is silently cut to its last words", both(Gate.EDGE))
def prompt_cut(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        if request.prompt is None or len(request.prompt) < 1000:
            return request
        return replace(request, prompt=request.prompt[-1000:])

    return partial(_Answering, ask=ask)


@fault("chat-as-run", "messages are joined without the chat template", both(Gate.COMP))
def chat_as_run(sample: Sample, random: Random) -> Wrap:
    def ask(request: Request) -> Request:
        if request.messages is None:
            return request
        text = "\n".join(message.content for message in request.messages)
        return replace(request, prompt=text, messages=None)

    return partial(_Answering, ask=ask)


@fault(
    "numbers-drift", "attention is wrong past the 64th token", {_GGUF: Gate.I1, Format.APR: Gate.I1}
)
def numbers_drift(sample: Sample, random: Random) -> Wrap:
    return _Drifting


class _Drifting(SpoiltEngine):
    """Scores late tokens as if the early ones had not been read, as a broken kernel does."""

    _WINDOW = 64

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        return [self._scored(list(ids), top, timeout, dtype) for ids in sequences]

    def _scored(self, ids: list[int], top: int, timeout: float, dtype: str) -> TokenScores:
        parts = [ids[i : i + self._WINDOW + 1] for i in range(0, len(ids) - 1, self._WINDOW)]
        scores = self.engine.score(parts, top, timeout, dtype)
        return TokenScores(
            token_ids=tuple(ids),
            logprobs=tuple(x for part in scores for x in part.logprobs),
            top_ids=tuple(x for part in scores for x in part.top_ids),
            top_logprobs=tuple(x for part in scores for x in part.top_logprobs),
        )


@fault(
    "text-trimmed",
    "the engine trims texts before it encodes them",
    {_GGUF: Gate.I5, Format.APR: Gate.I5},
)
def text_trimmed(sample: Sample, random: Random) -> Wrap:
    return _Trimming


class _Trimming(SpoiltEngine):
    def tokenize(self, texts: Sequence[str], *, special: bool, timeout: float) -> list[list[int]]:
        trimmed = [" ".join(text.split(" ")).strip() for text in texts]
        return self.engine.tokenize(trimmed, special=special, timeout=timeout)


@fault("crash", "the engine dies of every question with a character outside ASCII", both(Gate.EDGE))
def crash(sample: Sample, random: Random) -> Wrap:
    return _Crashing


class _Crashing(SpoiltEngine):
    """Ends the real engine, as its own fault would."""

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        if any(not (request.prompt or "").isascii() for request in requests):
            self.engine.close()
            raise EngineError(Fault.CRASH, "the engine died", signal="SIGSEGV")
        return super().generate(requests, timeout)


@fault("hang", "the engine hangs on long answers", both(Gate.STAB))
def hang(sample: Sample, random: Random) -> Wrap:
    return _Hanging


_LONG = 32
"""Tokens; the answers of ordinary questions are shorter."""


class _Hanging(SpoiltEngine):
    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        if any(request.max_tokens > _LONG for request in requests):
            return super().generate(requests, 1e-3)  # no time in which anything could be done
        return super().generate(requests, timeout)


@fault(
    "seldom-garbled",
    "one answer in forty is noise",
    {_GGUF: Gate.COMP},
    tier=Tier.STANDARD,
    blind="a tier with a few dozen answers may well meet none that is spoilt",
)
def seldom_garbled(sample: Sample, random: Random) -> Wrap:
    numbers = count(1)

    def answer(_: Request, generation: Generation) -> Generation:
        if next(numbers) % 40:
            return generation
        noise = "".join(random.choice("zqxjvkw \u00e9\u00f8#%~") for _ in range(60))
        return replace(generation, text=noise, token_ids=None, logprobs=None)

    return partial(_Answering, answer=answer)
