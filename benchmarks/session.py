"""Processes that a benchmark times: certifications, and whatever they are held against."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def certify(playbook: Path, certifications: Path, *options: str, **variables: object) -> float:
    """Certify a playbook on the CPU and return the seconds of wall time; see `timed`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(playbook)]
    command += ["--no-gpu", "--certifications", str(certifications), *options]
    return timed(command, **variables)


def timed(command: Sequence[str], **variables: object) -> float:
    """Run a command with some environment variables set, and return the seconds of wall time.

    Ends the benchmark when the command could not do its work: 1 says that tests failed.
    """
    begun = time.perf_counter()
    done = subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode not in (0, 1):
        told = f"{done.stdout[-3000:]}{done.stderr[-2000:]}"
        raise SystemExit(f"{command} ended with {done.returncode}:\n{told}")
    return seconds


def environment(**variables: object) -> dict[str, str]:
    """Return the environment of a user, who lets Python keep what it compiled."""
    kept = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {name: str(value) for name, value in variables.items()}
