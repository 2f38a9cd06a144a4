"""Whether this machine has a GPU an engine could use, found out without importing torch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def gpu_reason() -> str | None:
    """Return None when there is a usable GPU, else one sentence that says why there is none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every device"
    if Path("/dev/nvidia0").exists() and shutil.which("nvidia-smi"):
        return None
    if Path("/dev/kfd").exists():
        return None
    return "no NVIDIA or AMD device on this machine"
