"""transformers and torch inside an engine's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from jinja2 import TemplateError

from pytest_aprqa.engine.compute_thread import ComputeThread
from pytest_aprqa.engine.driver import DriverConfig, refused_context, require_context
from pytest_aprqa.engine.protocol import BATCH, Endpoint, EngineError, Fault, Request
from pytest_aprqa.engine.transformers_apr import load_apr
from pytest_aprqa.engine.transformers_batch import in_memory, left_for, parts, rows_that_fit
from pytest_aprqa.engine.transformers_decode import Decoded, Decoding, decode
from pytest_aprqa.engine.transformers_load import eos_ids, load_safetensors, require_device
from pytest_aprqa.engine.transformers_score import score
from pytest_aprqa.engine.transformers_serve import start_server
from pytest_aprqa.engine.transformers_trace import trace
from pytest_aprqa.observation import (
    FinishReason,
    Generation,
    LayerState,
    LoadReport,
    TokenScores,
    Usage,
)
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Format


class TransformersDriver:
    """One model in transformers: a directory of SafeTensors, or an APR file."""

    def __init__(self, config: DriverConfig) -> None:
        self._config = config
        self._endpoint: Endpoint | None = None
        self._thread = ComputeThread()
        self._thread.run(torch.set_num_threads, config.threads)

    def load(self) -> LoadReport:
        device = require_device(self._config.backend)
        path = Path(self._config.path)
        is_apr = self._config.format is Format.APR
        self._loaded = self._thread.run(load_apr if is_apr else load_safetensors, path, device)
        model, tokenizer = self._loaded.model, self._loaded.tokenizer
        self._eos = eos_ids(model)
        # Greedy means greedy: a model's own penalties and samplers stay out, also when it serves.
        model.generation_config = transformers.GenerationConfig(
            eos_token_id=sorted(self._eos) or None, pad_token_id=_pad(tokenizer, self._eos)
        )
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._context = min(limit or self._config.context_length, self._config.context_length)
        return LoadReport(
            engine=f"transformers {transformers.__version__}, torch {torch.__version__}",
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            vocab_size=model.get_input_embeddings().weight.shape[0],
            context_length=self._context,
            has_chat_template=tokenizer.chat_template is not None,
            seconds=self._loaded.seconds,
            threads=self._thread.run(torch.get_num_threads),
        )

    def generate(self, requests: list[Request]) -> list[Generation]:
        prompts = [self._prompt(request) for request in requests]
        answers = {
            index: _refused(prompt) for index, prompt in enumerate(prompts) if prompt.refusal
        }
        for group in _groups(prompts):
            decoded = self._decode_in_memory([prompts[index] for index in group])
            for index, one in zip(group, decoded, strict=True):
                answers[index] = self._generation(prompts[index], one)
        return [answers[index] for index in range(len(requests))]

    def stream(self, request: Request, cancel_after: int | None) -> Generation:
        prompt = self._prompt(request)
        if prompt.refusal:
            return _refused(prompt)
        (decoded,) = self._decode([prompt], cancel_after)
        return self._generation(prompt, decoded, streamed=True)

    def score(self, sequences: list[list[int]], top: int, dtype: str) -> list[TokenScores]:
        require_context(sequences, self._context)
        model = self._loaded.model
        return [self._thread.run(score, model, ids, top, dtype) for ids in sequences]

    def trace(self, ids: list[int]) -> list[LayerState]:
        require_context([ids], self._context)
        return self._thread.run(trace, self._loaded.model, ids)

    def tokenize(self, texts: list[str], special: bool) -> list[list[int]]:
        return [self._encode(text, add=False, parse=special) for text in texts]

    def detokenize(self, sequences: list[list[int]]) -> list[str]:
        return [self._text(sequence, skip_special=False) for sequence in sequences]

    def render(self, messages: list[Message]) -> str:
        try:
            return self._render(messages)
        except TemplateError as error:
            raise EngineError(Fault.UNSUPPORTED, f"the chat template says: {error}") from error

    def serve(self) -> Endpoint:
        if self._endpoint is None:
            loaded = self._loaded
            self._endpoint = start_server(loaded.model, loaded.tokenizer, self._thread)
        return self._endpoint

    def _render(self, messages: list[Message] | tuple[Message, ...]) -> str:
        tokenizer = self._loaded.tokenizer
        if tokenizer.chat_template is None:
            raise EngineError(Fault.UNSUPPORTED, "the model has no chat template")
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        return str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))

    def _encode(self, text: str, *, add: bool, parse: bool) -> list[int]:
        encoded = self._loaded.tokenizer(
            text, add_special_tokens=add, split_special_tokens=not parse
        )
        return list(encoded["input_ids"])

    def _text(self, ids: list[int], *, skip_special: bool) -> str:
        return str(
            self._loaded.tokenizer.decode(
                ids, skip_special_tokens=skip_special, clean_up_tokenization_spaces=False
            )
        )

    def _prompt(self, request: Request) -> _Prompt:
        if request.messages is None:
            text = request.prompt or ""
            ids = self._encode(text, add=True, parse=request.parse_special)
        else:
            try:
                text = self._render(request.messages)
            except TemplateError as error:
                return _Prompt(request, "", [], 0, f"the chat template says: {error}")
            ids = self._encode(text, add=False, parse=True)
        room = self._context - len(ids)
        refusal = "" if ids else "the prompt has no token"
        if room <= 0:
            refusal = refused_context(len(ids), self._context)
        return _Prompt(request, text, ids, min(room, request.max_tokens), refusal)

    def _decode_in_memory(self, prompts: list[_Prompt]) -> list[Decoded]:
        """Continue prompts in batches as large as the memory that is left allows."""
        model = self._loaded.model
        width = max(len(prompt.ids) for prompt in prompts) + max(p.limit for p in prompts)
        rows = rows_that_fit(model, width, left_for(model))
        return [one for part in parts(prompts, rows) for one in in_memory(self._decode, part)]

    def _decode(self, prompts: Sequence[_Prompt], cancel_after: int | None = None) -> list[Decoded]:
        request = prompts[0].request
        pad = _pad(self._loaded.tokenizer, self._eos)
        how = Decoding(request.temperature, request.seed, self._eos, pad, cancel_after)
        limits = [prompt.limit for prompt in prompts]
        ids = [prompt.ids for prompt in prompts]
        return self._thread.run(decode, self._loaded.model, ids, limits, how)

    def _generation(self, prompt: _Prompt, one: Decoded, *, streamed: bool = False) -> Generation:
        text = self._text(list(one.token_ids), skip_special=True)
        usage = Usage(len(prompt.ids), len(one.token_ids))
        return Generation(
            text=text,
            finish=one.finish,
            token_ids=one.token_ids,
            logprobs=one.logprobs,
            runner_up=one.runner_up,
            prompt_token_ids=tuple(prompt.ids),
            rendered_prompt=prompt.text,
            seconds=one.seconds,
            seconds_to_first_token=one.seconds_to_first_token if streamed else None,
            usage=usage,
            streamed_text=text if streamed else None,
            streamed_usage=usage if streamed else None,
        )


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A request with its prompt as tokens and its limit, or the reason it is declined."""

    request: Request
    text: str
    ids: list[int]
    limit: int
    refusal: str


def _refused(prompt: _Prompt) -> Generation:
    return Generation(
        text="",
        finish=FinishReason.REFUSED,
        refusal=prompt.refusal,
        rendered_prompt=prompt.text,
        prompt_token_ids=tuple(prompt.ids),
    )


def _groups(prompts: list[_Prompt]) -> list[Sequence[int]]:
    """Return the prompts that are decoded together, by index; a sampled one has a seed of its own."""
    greedy = [
        index
        for index, prompt in enumerate(prompts)
        if not prompt.refusal and prompt.request.temperature == 0
    ]
    sampled = [
        [index]
        for index, prompt in enumerate(prompts)
        if not prompt.refusal and prompt.request.temperature > 0
    ]
    return [*parts(greedy, BATCH), *sampled]


def _pad(tokenizer: transformers.PreTrainedTokenizerBase, eos: frozenset[int]) -> int:
    """Return a token to pad with; which one does not matter, it is masked."""
    pad = tokenizer.pad_token_id
    return int(pad) if pad is not None else min(eos, default=0)
