"""A guard before a server that asks nobody for a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_LIFESPAN = "lifespan"
_UNAUTHORIZED = 401


def behind_key(application: Application, key: str) -> Application:
    """Return an ASGI application that answers 401 to all who do not bear the key (RFC 6750)."""
    expected = f"Bearer {key}".encode("ascii")

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == _LIFESPAN or compare_digest(_authorization(scope), expected):
            await application(scope, receive, send)
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": _UNAUTHORIZED, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return guard


def _authorization(scope: Scope) -> bytes:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for name, value in headers if name == b"authorization"), b"")
