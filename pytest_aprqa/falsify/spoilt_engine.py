"""Engines around a real one: everything is passed on, and a fault overrides what it spoils."""

from __future__ import annotations

from pytest_aprqa.engine.http import serve_generate
from pytest_aprqa.engine.protocol import Endpoint, Engine, Request
from pytest_aprqa.falsify.forwarding_engine import ForwardingEngine
from pytest_aprqa.falsify.http_proxy import Meddling, Proxy
from pytest_aprqa.observation import Generation


class SpoiltEngine(ForwardingEngine):
    """A real engine, of which a fault overrides what it spoils."""


class ProxiedEngine(SpoiltEngine):
    """An engine whose server is reached through a proxy that meddles."""

    def __init__(self, engine: Engine, meddling: Meddling) -> None:
        super().__init__(engine)
        self._meddling = meddling
        self._proxy: Proxy | None = None

    def serve(self, timeout: float) -> Endpoint:
        if self._proxy is None:
            self._proxy = Proxy(self.engine.serve(timeout), self._meddling)
        return self._proxy.endpoint

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        return serve_generate(self.serve(timeout), request, timeout)

    def close(self) -> None:
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None
        super().close()
