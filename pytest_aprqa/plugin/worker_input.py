"""What the controller of pytest-xdist tells its workers, by name."""

from __future__ import annotations

import pytest

RUN_ID = "aprqa_run_id"
DEVICE = "aprqa_cuda_device"


def told(config: pytest.Config, name: str) -> str | None:
    """Return what this worker was told, or None; there is nothing to tell the controller."""
    value: str | None = getattr(config, "workerinput", {}).get(name)
    return value
