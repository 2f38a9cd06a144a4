"""llama.cpp inside an engine's process: its own HTTP server, from the xllamacpp wheels."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.engine.driver import DriverConfig, require_context
from pytest_aprqa.engine.llama_cpp_http import LlamaCppHttp, RefusalError
from pytest_aprqa.engine.llama_cpp_load import (
    gguf_facts,
    load_error,
    require_device,
    server_parameters,
    whole_log,
)
from pytest_aprqa.engine.llama_cpp_logprobs import LogprobProbe
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import (
    FinishReason,
    Generation,
    LayerState,
    LoadReport,
    TokenScores,
    Usage,
)
from pytest_aprqa.playbook.check import Message

_ANY_SLOT = -1

_FINISH = {"eos": FinishReason.STOP, "word": FinishReason.STOP, "limit": FinishReason.LENGTH}


class LlamaCppDriver:
    """One GGUF, served by llama.cpp in this process."""

    def __init__(self, config: DriverConfig) -> None:
        import xllamacpp

        self._xllamacpp = xllamacpp
        self._config = config
        self._log = EngineLog(Path(config.log))
        self._api_key = secrets.token_hex(16)

    def load(self) -> LoadReport:
        device = require_device(self._config.backend)
        self._facts = gguf_facts(Path(self._config.path), self._config.context_length)
        parameters = server_parameters(self._config, self._facts, self._api_key)
        log_start = self._log.size()
        started = time.monotonic()
        try:
            self._server = self._xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise load_error(whole_log(self._log, log_start), error) from error
        seconds = time.monotonic() - started
        self._http = LlamaCppHttp(self._server.listening_address, self._api_key)
        properties = self._http.get("/props")
        meta = self._http.get("/v1/models")["data"][0]["meta"]
        slot_context = properties["default_generation_settings"]["n_ctx"]
        self._context: int = min(meta["n_ctx_train"], slot_context, self._facts.context)
        self._probe = LogprobProbe(self._http, meta["n_vocab"])
        return LoadReport(
            engine=f"llama.cpp (xllamacpp {self._xllamacpp.__version__})",
            device=device,
            dtype=properties["model_ftype"],
            vocab_size=meta["n_vocab"],
            context_length=self._context,
            has_chat_template=self._facts.has_chat_template,
            seconds=seconds,
            threads=self._config.threads,
        )

    def generate(self, requests: list[Request]) -> list[Generation]:
        prompts = [self._prompt(request) for request in requests]
        answers: dict[int, Generation] = {}
        for group in self._groups(prompts):
            generations = self._complete([prompts[index] for index in group])
            answers |= dict(zip(group, generations, strict=True))
        return [answers[index] for index in range(len(requests))]

    def stream(self, request: Request, cancel_after: int | None) -> Generation:
        prompt = self._prompt(request)
        if prompt.refusal:
            return prompt.refused()
        answer = _StreamedAnswer()
        events = self._http.events("/completion", prompt.body(self._room(prompt)))
        try:
            for event in events:
                answer.take(event)
                if cancel_after is not None and answer.predicted >= cancel_after:
                    break
        except RefusalError as error:
            return prompt.refused(str(error))
        finally:
            events.close()
        return answer.generation(prompt)

    def score(self, sequences: list[list[int]], top: int, dtype: str) -> list[TokenScores]:
        if dtype:
            raise EngineError(Fault.UNSUPPORTED, f"llama.cpp cannot be told to compute in {dtype}")
        require_context(sequences, self._context)
        return [self._score(sequence, max(top, 1)) for sequence in sequences]

    def trace(self, ids: list[int]) -> list[LayerState]:
        raise EngineError(Fault.UNSUPPORTED, "llama.cpp shows no hidden states, so no layers")

    def tokenize(self, texts: list[str], special: bool) -> list[list[int]]:
        return [self._tokens_of(text, add=False, parse=special) for text in texts]

    def detokenize(self, sequences: list[list[int]]) -> list[str]:
        post = self._http.post
        return [post("/detokenize", {"tokens": ids})["content"] for ids in sequences]

    def render(self, messages: list[Message]) -> str:
        try:
            return self._render(messages)
        except RefusalError as error:
            raise EngineError(Fault.UNSUPPORTED, f"the chat template says: {error}") from error

    def serve(self) -> Endpoint:
        return Endpoint(self._server.listening_address, Path(self._config.path).name, self._api_key)

    def _render(self, messages: list[Message] | tuple[Message, ...]) -> str:
        if not self._facts.has_chat_template:
            # llama.cpp would put a template of its own in the place of the missing one.
            raise EngineError(Fault.UNSUPPORTED, "the model has no chat template")
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        return str(self._http.post("/apply-template", {"messages": turns})["prompt"])

    def _tokens_of(self, text: str, *, add: bool, parse: bool) -> list[int]:
        body = {"content": text, "add_special": add, "parse_special": parse}
        return list(self._http.post("/tokenize", body)["tokens"])

    def _prompt(self, request: Request) -> _Prompt:
        if request.messages is None:
            text, parse = request.prompt or "", request.parse_special
        else:
            try:
                text, parse = self._render(request.messages), True
            except RefusalError as error:
                return _Prompt(request, "", [], f"the chat template says: {error}")
        ids = self._tokens_of(text, add=True, parse=parse)
        return _Prompt(request, text, ids, "" if ids else "the prompt has no token")

    def _room(self, prompt: _Prompt) -> int:
        return self._context - len(prompt.ids)

    def _groups(self, prompts: list[_Prompt]) -> list[list[int]]:
        """Return the prompts that go into one HTTP request each, by index.

        Such a request gives one answer per prompt, and its prompts start in the same step, so that
        the batches llama.cpp forms do not depend on when requests arrive.
        """
        groups: dict[object, list[int]] = {}
        for index, prompt in enumerate(prompts):
            alone = prompt.refusal or self._room(prompt) < prompt.request.max_tokens
            groups.setdefault(index if alone else prompt.settings(), []).append(index)
        return [
            group[start : start + self._facts.slots]
            for group in groups.values()
            for start in range(0, len(group), self._facts.slots)
        ]

    def _complete(self, prompts: list[_Prompt]) -> list[Generation]:
        first = prompts[0]
        if first.refusal:
            return [first.refused()]
        body = first.body(self._room(first))
        started = time.monotonic()
        try:
            if len(prompts) == 1:
                answers = [self._http.post("/completion", body)]
            else:
                body |= {"prompt": [prompt.ids for prompt in prompts], "id_slot": _ANY_SLOT}
                answers = self._http.post("/completion", body)
        except RefusalError as error:
            return [first.refused(str(error))]
        seconds = time.monotonic() - started
        answers = sorted(answers, key=lambda answer: int(answer["index"]))
        return [
            self._generation(prompt, answer, seconds)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    def _score(self, ids: list[int], top: int) -> TokenScores:
        entries = self._probe.entries(ids, start=1, top=top)
        tops = [entry["top_logprobs"][:top] for entry in entries]
        return TokenScores(
            token_ids=tuple(ids),
            logprobs=tuple(entry["logprob"] for entry in entries),
            top_ids=tuple(tuple(other["id"] for other in others) for others in tops),
            top_logprobs=tuple(tuple(other["logprob"] for other in others) for others in tops),
        )

    def _generation(self, prompt: _Prompt, answer: dict[str, Any], seconds: float) -> Generation:
        entries = answer.get("completion_probabilities", [])
        if len(entries) < len(answer["tokens"]):
            ids = prompt.ids + answer["tokens"]
            entries = self._probe.filled(
                ids, len(prompt.ids), entries, top=2, slot=answer["id_slot"]
            )
        return Generation(
            text=answer["content"],
            finish=_FINISH[answer["stop_type"]],
            **_token_fields(entries),
            prompt_token_ids=tuple(prompt.ids),
            rendered_prompt=prompt.text,
            seconds=seconds,
            usage=Usage(answer["tokens_evaluated"], answer["tokens_predicted"]),
        )


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request with its prompt as tokens, or the reason there are none."""

    request: Request
    text: str
    ids: list[int]
    refusal: str

    def settings(self) -> tuple[int, float, int, bool]:
        request = self.request
        return request.max_tokens, request.temperature, request.seed, request.cache

    def body(self, room: int) -> dict[str, Any]:
        """Return the body of /completion; `room` is what the context leaves for the answer."""
        request = self.request
        return {
            "prompt": self.ids,
            "n_predict": min(request.max_tokens, room) if room > 0 else request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "samplers": ["temperature"],
            "cache_prompt": request.cache,
            "id_slot": 0,
            "n_probs": 2,
            "return_tokens": True,
        }

    def refused(self, words: str = "") -> Generation:
        return Generation(
            text="",
            finish=FinishReason.REFUSED,
            refusal=words or self.refusal,
            rendered_prompt=self.text,
            prompt_token_ids=tuple(self.ids),
        )


class _StreamedAnswer:
    """What the events of a streamed completion have told so far."""

    def __init__(self) -> None:
        self.predicted = 0
        self._started = time.monotonic()
        self._first_at: float | None = None
        self._pieces: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._finish = FinishReason.CANCELLED

    def take(self, event: dict[str, Any]) -> None:
        self._first_at = self._first_at or time.monotonic()
        self._pieces.append(event["content"])
        self._entries += event.get("completion_probabilities", ())
        self.predicted = event["tokens_predicted"]
        if event["stop"]:
            self._finish = _FINISH[event["stop_type"]]

    def generation(self, prompt: _Prompt) -> Generation:
        text = "".join(self._pieces)
        # A token that ends inside a character comes without an event: then the ids are not known.
        told = len(self._entries) == self.predicted
        first = self._first_at
        return Generation(
            text=text,
            finish=self._finish,
            **(_token_fields(self._entries) if told else {}),
            prompt_token_ids=tuple(prompt.ids),
            rendered_prompt=prompt.text,
            seconds=time.monotonic() - self._started,
            seconds_to_first_token=None if first is None else first - self._started,
            streamed_text=text,
            streamed_usage=Usage(len(prompt.ids), self.predicted),
        )


def _token_fields(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the token fields of a Generation from llama.cpp's probabilities."""
    return {
        "token_ids": tuple(entry["id"] for entry in entries),
        "logprobs": tuple(entry["logprob"] for entry in entries),
        "runner_up": tuple(
            max(other["logprob"] for other in entry["top_logprobs"] if other["id"] != entry["id"])
            for entry in entries
        ),
    }
