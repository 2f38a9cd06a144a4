"""From an artifact and a backend to the engine that runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.driver import DriverConfig, DriverName
from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.lent import LentEngine
from pytest_aprqa.engine.memory import machine_memory
from pytest_aprqa.engine.process import warm_up
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.words import Backend, Format

_DRIVERS = {
    Format.SAFETENSORS: DriverName.TRANSFORMERS,
    Format.APR: DriverName.TRANSFORMERS,
    Format.GGUF: DriverName.LLAMA_CPP,
}


def open_engine(
    artifact: Artifact,
    backend: Backend,
    *,
    log_dir: Path,
    threads: int | None = None,
    apr_binary: str | None = None,
    context_length: int = 4096,
    memory: int | None = None,
    lend_at: str | None = None,
) -> Engine:
    """Return the engine for an artifact. Nothing starts before its first use.

    Args:
        artifact: what to run.
        backend: where to compute.
        log_dir: where the output of the engine's process is kept.
        threads: compute threads; by default every core this process may use.
        apr_binary: runs APR files instead of our own reader.
        context_length: bound on the context in tokens, prompt and answer together.
        memory: most bytes it may allocate; by default all that this machine has. On a GPU there is
            no default, for its driver maps device memory too.
        lend_at: address at which other processes may ask the engine too, if nobody lends there.
    """
    if memory is None:
        memory = machine_memory() if backend is Backend.CPU else 0
    name = f"{artifact.format}-{backend}-{artifact.digest[:8]}-{os.getpid()}.log"
    config = DriverConfig(
        driver=_driver(artifact.format, apr_binary),
        format=artifact.format,
        path=str(artifact.path),
        backend=backend,
        threads=threads or usable_cores(),
        context_length=context_length,
        log=str(log_dir / name),
        binary=apr_binary or "",
        memory=memory,
    )
    return LentEngine(config, lend_at) if lend_at else HostedEngine(config)


def expect_engine(
    form: Format,
    backend: Backend,
    *,
    threads: int | None = None,
    apr_binary: str | None = None,
) -> None:
    """Begin in the background what takes time before an engine can be opened.

    Args:
        form: of the artifact it will run.
        backend: where it will compute.
        threads: as for `open_engine`.
        apr_binary: as for `open_engine`.
    """
    warm_up(_driver(form, apr_binary), backend, threads or usable_cores())


def _driver(form: Format, apr_binary: str | None) -> DriverName:
    return DriverName.APR_BINARY if form is Format.APR and apr_binary else _DRIVERS[form]


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
