"""Replay recorded calls on the bare libraries: transformers, or llama.cpp's server.

    python benchmarks/bare.py calls.jsonl PATH MODEL

Runs what the recording notes for PATH on the model at MODEL, in plain code of the library's own
documentation, and prints the seconds since the process began. Over HTTP the same generation is
done without a server.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

Prompts = list[tuple[list[int], int]]


def main() -> None:
    """Replay one engine's calls."""
    recording, path, model = sys.argv[1:]
    lines = [json.loads(line) for line in Path(recording).read_text(encoding="utf-8").splitlines()]
    tokens = {line["request"]: line["ids"] for line in lines if line["method"] == "tokens"}
    generate, score = (_llama_cpp if model.endswith(".gguf") else _transformers)(model)
    count = 0
    for line in lines:
        if line.get("path") != path or line["method"] == "load":
            continue
        if line["method"] == "http":
            if line["request"] not in tokens:
                raise SystemExit(
                    "a request over HTTP was never asked directly: its tokens are unknown"
                )
            prompts = [(tokens[line["request"]], line["limit"])]
        else:
            prompts = [(ids, limit) for ids, limit in line["prompts"]]
        if prompts:
            (score if line["method"] == "score" else generate)(prompts)
            count += sum(limit for _, limit in prompts)
    print(json.dumps({"seconds": time.perf_counter() - STARTED, "tokens": count}))


Engine = tuple[Callable[[Prompts], None], Callable[[Prompts], None]]


def _transformers(model: str) -> Engine:
    import torch
    from transformers import AutoModelForCausalLM

    net: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()

    def generate(prompts: Prompts) -> None:
        width = max(len(ids) for ids, _ in prompts)
        ids = torch.tensor([[0] * (width - len(ids)) + ids for ids, _ in prompts])
        mask = torch.tensor([[0] * (width - len(i)) + [1] * len(i) for i, _ in prompts])
        limit = max(limit for _, limit in prompts)
        net.generate(
            input_ids=ids,
            attention_mask=mask,
            min_new_tokens=limit,
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=0,
        )

    def score(prompts: Prompts) -> None:
        with torch.inference_mode():
            for ids, _ in prompts:
                net(input_ids=torch.tensor([ids]), use_cache=False).logits.log_softmax(-1)

    return generate, score


def _llama_cpp(model: str) -> Engine:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 4096 * 4
    parameters.n_parallel = 4
    parameters.port = 0
    parameters.hostnames = ["127.0.0.1"]
    server = xllamacpp.Server(parameters)

    def ask(ids: Any, limit: int) -> None:
        body = {"prompt": ids, "n_predict": limit, "temperature": 0, "ignore_eos": True}
        request = urllib.request.Request(
            server.listening_address + "/completion",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def generate(prompts: Prompts) -> None:
        if len(prompts) == 1:
            ask(*prompts[0])
        else:
            ask([ids for ids, _ in prompts], max(limit for _, limit in prompts))

    def score(prompts: Prompts) -> None:
        for ids, _ in prompts:
            ask(ids, 1)

    return generate, score


if __name__ == "__main__":
    main()
