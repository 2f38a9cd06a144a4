"""Whether this machine has a GPU to compute on, asked without loading an engine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

_HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_PATIENCE = 20.0  # seconds; nvidia-smi initialises the driver when it runs first


@cache
def gpu_reason() -> str | None:
    """Return None when a GPU is there to compute on, else one sentence that says why not.

    Looks for NVIDIA (driver and devices), AMD (ROCm) and Apple silicon. Whether an engine's build
    can use it is for the engine to say when it loads.
    """
    if sys.platform == "darwin":
        if platform.machine() == "arm64":
            return None
        return "this Mac has no Apple silicon GPU"
    hidden = next((name for name in _HIDING if os.environ.get(name, "0").strip() in ("", "-1")), "")
    if hidden:
        return f"{hidden}={os.environ[hidden]!r} hides every GPU"
    nvidia = _nvidia_reason()
    if nvidia is None or _has_amd():
        return None
    return nvidia


def cuda_devices() -> list[str]:
    """Return the NVIDIA GPUs this process may use, as CUDA_VISIBLE_DEVICES names them.

    By their device files: the answer costs nothing, also in sessions that have no use for it.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    files = sorted(Path("/dev").glob("nvidia[0-9]*"))
    return [file.name.removeprefix("nvidia") for file in files]


def gpu_names() -> list[str]:
    """Return the GPUs with their drivers, as the drivers tell; empty where there is none to ask."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/properties")
        return sorted(node.read_text(encoding="ascii") for node in nodes if _compute_units(node))
    query = [smi, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.splitlines()


def _nvidia_reason() -> str | None:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        devices = list(Path("/dev").glob("nvidia[0-9]*"))
        if devices:
            return None
        return "neither an NVIDIA driver nor ROCm was found"
    try:
        listed = subprocess.run(
            [smi, "-L"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not answer: {error}"
    if listed.returncode == 0 and "GPU " in listed.stdout:
        return None
    words = (listed.stdout + listed.stderr).strip().splitlines()
    return f"nvidia-smi lists no GPU: {words[0] if words else f'status {listed.returncode}'}"


def _has_amd() -> bool:
    """Whether the ROCm kernel driver knows a node with compute units (a CPU node has none)."""
    if not Path("/dev/kfd").exists():
        return False
    nodes = Path("/sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    return any(_compute_units(node) > 0 for node in nodes)


def _compute_units(properties: Path) -> int:
    try:
        lines = properties.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("simd_count ")), 0)
