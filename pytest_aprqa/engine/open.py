"""From an artifact and a backend to the engine that runs it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.driver import DriverConfig, DriverName
from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.words import Backend, Format


def open_engine(
    artifact: Artifact,
    backend: Backend,
    *,
    log_dir: Path,
    threads: int | None = None,
    apr_binary: str | None = None,
    context_length: int = 4096,
) -> Engine:
    """Return the engine for an artifact. Nothing starts before its first use.

    Args:
        artifact: what to run.
        backend: where to compute.
        log_dir: where the output of the engine's process is kept.
        threads: compute threads; by default every core this process may use.
        apr_binary: runs APR files instead of our own reader.
        context_length: bound on the context in tokens, prompt and answer together.
    """
    threads = threads or len(os.sched_getaffinity(0))
    name = f"{artifact.format}-{backend}-{artifact.digest[:8]}-{os.getpid()}.log"
    llama_cpp = artifact.format is Format.GGUF
    return HostedEngine(
        DriverConfig(
            driver=DriverName.LLAMA_CPP if llama_cpp else DriverName.TRANSFORMERS,
            format=artifact.format,
            path=str(artifact.path),
            backend=backend,
            threads=threads,
            context_length=context_length,
            log=str(log_dir / name),
        )
    )
