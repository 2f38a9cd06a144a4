"""Faults of an engine's HTTP server, seeded into its traffic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from pytest_aprqa.falsify.fault import Family, Faults, Sample, Wrap, both
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.http_proxy import Json, Meddling
from pytest_aprqa.falsify.spoilt_engine import ProxiedEngine

fault = Faults(Family.ENGINE)


def _proxied(meddling: Meddling) -> Wrap:
    return partial(ProxiedEngine, meddling=meddling)


def _texts(content: Json) -> list[tuple[Json, str]]:
    """Return where the text of a whole answer or of an event stands: holder and key."""
    found: list[tuple[Json, str]] = []
    for choice in content.get("choices", ()):
        for holder, key in (
            (choice.get("message"), "content"),
            (choice.get("delta"), "content"),
            (choice, "text"),
        ):
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                found.append((holder, key))
    return found


def _with_text(content: Json, change: Callable[[str], str]) -> Json:
    for holder, key in _texts(content):
        holder[key] = change(holder[key])
    return content


@fault("server-repeats", "the server sends every answer twice over", both(Gate.COMP))
def server_repeats(sample: Sample, random: Random) -> Wrap:
    return _proxied(
        Meddling(
            answer=lambda content: _with_text(content, lambda text: text * 2),
            event=lambda content: _with_text(content, lambda text: text * 2),
        )
    )


@fault("server-drops-usage", "the server counts no tokens", both(Gate.QUAL))
def server_drops_usage(sample: Sample, random: Random) -> Wrap:
    def drop(content: Json) -> Json:
        content.pop("usage", None)
        return content

    return _proxied(Meddling(answer=drop, event=drop))


@fault("server-miscounts", "the server counts three prompt tokens too many", both(Gate.QUAL))
def server_miscounts(sample: Sample, random: Random) -> Wrap:
    def add(content: Json) -> Json:
        if content.get("usage"):
            content["usage"]["prompt_tokens"] += 3
        return content

    return _proxied(Meddling(answer=add, event=add))


@fault("server-streams-another-text", "what is streamed is not what is sent whole", both(Gate.QUAL))
def server_streams_another_text(sample: Sample, random: Random) -> Wrap:
    return _proxied(
        Meddling(event=lambda content: _with_text(content, lambda text: text and f"{text}~"))
    )


@fault("server-without-template", "the server joins messages without the template", both(Gate.COMP))
def server_without_template(sample: Sample, random: Random) -> Wrap:
    """Send chats to the completion endpoint, and give its answers the form of a chat's."""
    return _proxied(
        Meddling(request=_as_completion, answer=_as_chat, event=_as_chat, path=_to_completions)
    )


def _to_completions(path: str) -> str:
    return path.replace("/chat/completions", "/completions")


def _as_completion(body: Json) -> Json:
    texts = [message["content"] for message in body.get("messages", ())]
    rest = {key: value for key, value in body.items() if key != "messages"}
    return {**rest, "prompt": "\n".join(texts)} if texts else body


def _as_chat(content: Json) -> Json:
    for choice in content.get("choices", ()):
        said = {"role": "assistant", "content": choice.pop("text", "")}
        choice |= {"message": said, "delta": said}
    return content


@fault("server-cuts", "the server cuts answers after four tokens", both(Gate.COMP))
def server_cuts(sample: Sample, random: Random) -> Wrap:
    def cut(body: Json) -> Json:
        return {**body, "max_tokens": 4}

    return _proxied(Meddling(request=cut))


@fault(
    "server-finish-missing",
    "the server does not say why an answer ended",
    both(Gate.QUAL),
    withholds=True,
)
def server_finish_missing(sample: Sample, random: Random) -> Wrap:
    def forget(content: Json) -> Json:
        for choice in content.get("choices", ()):
            choice["finish_reason"] = None
        return content

    return _proxied(Meddling(answer=forget, event=forget))


@fault(
    "server-out-of-order",
    "the server answers with HTTP 500",
    both(Gate.QUAL),
    withholds=True,
)
def server_out_of_order(sample: Sample, random: Random) -> Wrap:
    return _proxied(Meddling(grants=lambda number: False))
