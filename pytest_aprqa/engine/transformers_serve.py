"""The real `transformers serve` server on a model that is loaded already."""

from __future__ import annotations

import secrets
import time
from typing import Any

from pytest_aprqa.engine.bearer import behind_key
from pytest_aprqa.engine.compute_thread import ComputeThread
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault

_NAME = "model"
_START = 30.0


def start_server(model: Any, tokenizer: Any, thread: ComputeThread) -> Endpoint:
    """Start the server in a thread of this process on a free loopback port.

    The loaded model is put where the server keeps models it has loaded itself, so that no weight
    is held twice, and the server computes on the thread it is given. The server itself knows no
    key, so that a guard with a random one stands before it.

    Raises:
        EngineError: ENVIRONMENT when the server's packages are missing, UNSUPPORTED when this
            version keeps its models elsewhere.
    """
    import transformers

    secret = secrets.token_hex(16)
    try:
        from transformers.cli.serve import Serve
        from transformers.cli.serving.model_manager import ModelManager, TimedModel

        class Guarded(Serve):  # type: ignore[misc]  # the package has no types
            def start_server(self) -> None:
                self.server.config.app = behind_key(self.server.config.app, secret)
                super().start_server()

        server = Guarded(
            host="127.0.0.1", port=0, device=str(model.device), model_timeout=-1, non_blocking=True
        )
        key = ModelManager.process_model_name(_NAME)
        held = server._model_manager.loaded_models
        held[key] = TimedModel(model, timeout_seconds=-1, processor=tokenizer)
        server._generation_state.get_manager(key)._thread = thread
    except ImportError as error:
        raise EngineError(Fault.ENVIRONMENT, f"transformers cannot serve: {error}") from error
    except (AttributeError, TypeError) as error:
        raise EngineError(
            Fault.UNSUPPORTED,
            f"transformers {transformers.__version__} serves differently: {error}",
        ) from error
    return Endpoint(f"http://127.0.0.1:{_port(server.server)}", _NAME, secret)


def _port(server: Any) -> int:
    """Return the port uvicorn listens on, once it does."""
    give_up = time.monotonic() + _START
    while not server.started:
        if server.should_exit or time.monotonic() > give_up:
            raise EngineError(Fault.ENVIRONMENT, "transformers serve did not start to listen")
        time.sleep(0.01)
    return int(server.servers[0].sockets[0].getsockname()[1])
