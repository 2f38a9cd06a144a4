"""What this machine can run: engines, GPU, versions, memory, caches, the apr binary."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_aprqa.artifact.prepare import CACHE_VARIABLE, default_cache_dir
from pytest_aprqa.engine.devices import gpu_reason
from pytest_aprqa.engine.open import usable_cores
from pytest_aprqa.run.environment import environment_of

PATIENCE = 120.0
"""Seconds an engine may take to import; a cold disk is slow."""
GIB = 1024**3


class Health(StrEnum):
    """How something on this machine is."""

    OK = "ok"
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about this machine.

    Attributes:
        needed: without it models cannot be certified here.
    """

    name: str
    health: Health
    text: str
    needed: bool = False


_ENGINES = {
    "transformers (SafeTensors, APR)": (
        "import torch, transformers; "
        "print(f'transformers {transformers.__version__}, torch {torch.__version__}')"
    ),
    "llama.cpp (GGUF)": (
        "import xllamacpp, importlib.metadata as m; print('xllamacpp', m.version('xllamacpp'))"
    ),
}


def examine(apr_binary: str | None) -> list[Finding]:
    """Return what this machine can run; each engine is really imported, in a process of its own."""
    with ThreadPoolExecutor() as pool:
        engines = list(pool.map(_engine, _ENGINES.items()))
    machine = environment_of((), "")
    memory = Finding(
        "memory", Health.OK, f"{machine.memory / GIB:.1f} GiB, {_free_memory() / GIB:.1f} GiB free"
    )
    processor = f"{machine.cpu}, {usable_cores()} of {machine.cores} cores usable"
    return [
        Finding("python", Health.OK, f"{machine.python}, {machine.platform}"),
        Finding("processor", Health.OK, processor),
        memory,
        _gpu(),
        *engines,
        examine_apr(apr_binary),
        *_caches(),
        *(Finding(f"package {name}", Health.OK, v) for name, v in machine.packages.items()),
    ]


def _engine(engine: tuple[str, str]) -> Finding:
    name, code = engine
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"did not import within {PATIENCE:g} s"
        return Finding(name, Health.BROKEN, text, needed=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return Finding(name, Health.BROKEN, last, needed=True)
    return Finding(name, Health.OK, done.stdout.strip().splitlines()[-1], needed=True)


def _gpu() -> Finding:
    reason = gpu_reason()
    if reason is None:
        return Finding("GPU", Health.OK, "there is one")
    return Finding("GPU", Health.ABSENT, f"{reason}; GPU cells are skipped")


def examine_apr(binary: str | None) -> Finding:
    """Return what there is of the apr binary; one that is named must be there and work."""
    name = "apr binary"
    path = shutil.which(binary or "apr")
    if path is None:
        text = "not on the path; APR files are run by our own reader"
        return Finding(name, Health.BROKEN if binary else Health.ABSENT, text, needed=bool(binary))
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, Health.BROKEN, f"{path}: {error}", needed=bool(binary))
    said = (done.stdout or done.stderr).strip().splitlines() or [f"status {done.returncode}"]
    health = Health.OK if done.returncode == 0 else Health.BROKEN
    return Finding(name, health, f"{path}: {said[0]}", needed=bool(binary))


def _caches() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    ours = default_cache_dir()
    yield _cache(f"conversions ({CACHE_VARIABLE})", ours)
    yield _cache("models (HF_HUB_CACHE)", Path(HF_HUB_CACHE))


def _cache(name: str, path: Path) -> Finding:
    place = next(up for up in (path, *path.parents) if up.exists())
    free = f"{shutil.disk_usage(place).free / GIB:.1f} GiB free"
    if not os.access(place, os.W_OK):
        return Finding(name, Health.BROKEN, f"{path}: not writable", needed=True)
    return Finding(name, Health.OK, f"{path}: {free}{'' if path.exists() else ', not made yet'}")


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
