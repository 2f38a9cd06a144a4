"""The machine and the software a run was made with."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import Environment

PACKAGES = (
    "pytest-aprqa",
    "pytest",
    "pytest-xdist",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "gguf",
    "xllamacpp",
    "numpy",
)


def environment_of(records: Iterable[Evidence], command: str) -> Environment:
    """Return the environment of a run, with the engines its records name."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu_model(),
        cores=os.cpu_count() or 0,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        engines=tuple(sorted({record.engine for record in records if record.engine})),
        command=command,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
