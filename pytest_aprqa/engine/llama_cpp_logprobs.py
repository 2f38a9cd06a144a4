"""Teacher-forced log-probabilities out of llama.cpp's completion endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_aprqa.engine.llama_cpp_http import LlamaCppHttp
from pytest_aprqa.engine.protocol import EngineError, Fault

_FORCE = 1e6
"""Added to the logit of a token to make it the greedy choice; reported probabilities ignore it."""

_OWN = 0
"""The slot that texts are scored in."""


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

    def filled(
        self, ids: list[int], start: int, told: list[dict[str, Any]], top: int, slot: int
    ) -> list[dict[str, Any]]:
        """Return the entries from `start` on, of which the server has told some, in their order.

        `slot` is the one that has given the answer and has done nothing since: what it has
        computed is not computed again.
        """
        places = _only_places([entry["id"] for entry in told], ids[start:])
        if places is None:
            return self.entries(ids, start, top)
        entries = dict(zip(places, told, strict=True))
        untold = [place for place in range(len(ids) - start) if place not in entries]
        for place in untold:
            prefix, token = ids[: start + place], ids[start + place]
            entries[place] = self._inside(prefix, token, top, slot)
        return [entries[place] for place in sorted(entries)]

    def _entry(self, prefix: list[int], expected: int, top: int, *, cached: bool) -> dict[str, Any]:
        told = self._next(prefix, expected, top, _OWN, cached=cached)
        return self._inside(prefix, expected, top, _OWN) if told is None else told

    def _inside(self, prefix: list[int], expected: int, top: int, slot: int) -> dict[str, Any]:
        """Return the entry of a token that ends inside a character.

        It is not told when it is the choice; as one of the most probable it is.
        """
        for count in (top, self._vocab_size):
            told = self._next(prefix, self._plain, count, slot, cached=True)
            others = told["top_logprobs"] if told is not None else ()
            for other in others:
                if other["id"] == expected:
                    return {**other, "top_logprobs": others}
        raise EngineError(Fault.PROTOCOL, f"llama.cpp tells no log-probability of token {expected}")

    def _next(
        self, prefix: list[int], choice: int, top: int, slot: int, *, cached: bool
    ) -> dict[str, Any] | None:
        body = {
            "prompt": prefix,
            "n_predict": 1,
            "temperature": 0,
            "logit_bias": [[choice, _FORCE]],
            "n_probs": top,
            "id_slot": slot,
            "cache_prompt": cached,
        }
        entries = self._http.post("/completion", body).get("completion_probabilities")
        if not entries:
            return None
        if entries[0]["id"] != choice:
            raise EngineError(Fault.PROTOCOL, f"llama.cpp chose another token than {choice}")
        return dict(entries[0])


def _only_places(part: Sequence[int], whole: Sequence[int]) -> list[int] | None:
    """Return where the items of a part stand in the whole, in order; None unless that is certain."""
    first, mirrored = _places(part, whole), _places(part[::-1], whole[::-1])
    if first is None or mirrored is None:
        return None
    last = [len(whole) - 1 - place for place in reversed(mirrored)]
    return first if first == last else None


def _places(part: Sequence[int], whole: Sequence[int]) -> list[int] | None:
    """Return the first places at which the items of a part stand, in order; None where one does not."""
    places: list[int] = []
    try:
        for item in part:
            places.append(whole.index(item, places[-1] + 1 if places else 0))
    except ValueError:
        return None
    return places
