"""Load GGUF files with llama.cpp and print what they say after each prefix, and their tokens.

Usage: ask_llama_cpp.py REQUEST, where the JSON file REQUEST holds "files", a token "sequence" and
"texts" to encode.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import xllamacpp

VOCABULARY = 400


def ask(path: str, sequence: list[int], texts: list[str]) -> dict[str, object]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 256
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.fit_params = False
    parameters.warmup = False
    parameters.verbosity = 1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        return {"refused": str(error)}
    with httpx.Client(base_url=server.listening_address, timeout=60) as http:
        return {
            "logprobs": [logprobs(http, sequence[: end + 1]) for end in range(len(sequence))],
            "tokens": [tokens(http, text) for text in texts],
        }


def logprobs(http: httpx.Client, prefix: list[int]) -> dict[int, float]:
    body = {"prompt": prefix, "n_predict": 1, "temperature": 0, "n_probs": VOCABULARY}
    answer: dict[str, Any] = http.post("/completion", json=body).raise_for_status().json()
    told = answer.get("completion_probabilities") or [{"top_logprobs": []}]
    return {entry["id"]: entry["logprob"] for entry in told[0]["top_logprobs"]}


def tokens(http: httpx.Client, text: str) -> list[int]:
    body = {"content": text, "add_special": True, "parse_special": True}
    return list(http.post("/tokenize", json=body).raise_for_status().json()["tokens"])


if __name__ == "__main__":
    request = json.loads(Path(sys.argv[1]).read_text())
    answers = {path: ask(path, request["sequence"], request["texts"]) for path in request["files"]}
    print(json.dumps(answers))  # noqa: T201
