"""Teacher-forced log-probabilities out of llama.cpp's completion endpoint."""

from __future__ import annotations

from typing import Any

from pytest_aprqa.engine.llama_cpp_http import LlamaCppHttp
from pytest_aprqa.engine.protocol import EngineError, Fault

_FORCE = 1e6
"""Added to the logit of a token to make it the greedy choice; reported probabilities ignore it."""


class LogprobProbe:
    """Asks for one position after another, each one token past what the slot holds already.

    The server tells log-probabilities before sampling and temperature, of the token it chose and of
    the most probable ones. The expected token is made the choice, so that its own comes back however
    improbable it is.
    """

    def __init__(self, http: LlamaCppHttp, vocab_size: int) -> None:
        self._http = http
        self._vocab_size = vocab_size
        self._plain = int(http.post("/tokenize", {"content": "a"})["tokens"][-1])

    def entries(self, ids: list[int], start: int, top: int) -> list[dict[str, Any]]:
        """Return "id", "logprob" and "top_logprobs" of the tokens from `start` on, given all before.

        There are at least `top` of the latter at each position, in descending order.
        """
        return [
            self._entry(ids[:end], ids[end], top, cached=end > start)
            for end in range(start, len(ids))
        ]

    def _entry(self, prefix: list[int], expected: int, top: int, *, cached: bool) -> dict[str, Any]:
        told = self._next(prefix, expected, top, cached=cached)
        if told is not None:
            return told
        # A token that ends inside a character is not told when it is the choice; as one of the most
        # probable it is.
        for count in (top, self._vocab_size):
            told = self._next(prefix, self._plain, count, cached=True)
            others = told["top_logprobs"] if told is not None else ()
            for other in others:
                if other["id"] == expected:
                    return {**other, "top_logprobs": others}
        raise EngineError(Fault.PROTOCOL, f"llama.cpp tells no log-probability of token {expected}")

    def _next(
        self, prefix: list[int], choice: int, top: int, *, cached: bool
    ) -> dict[str, Any] | None:
        body = {
            "prompt": prefix,
            "n_predict": 1,
            "temperature": 0,
            "logit_bias": [[choice, _FORCE]],
            "n_probs": top,
            "id_slot": 0,
            "cache_prompt": cached,
        }
        entries = self._http.post("/completion", body).get("completion_probabilities")
        if not entries:
            return None
        if entries[0]["id"] != choice:
            raise EngineError(Fault.PROTOCOL, f"llama.cpp chose another token than {choice}")
        return dict(entries[0])
