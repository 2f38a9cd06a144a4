"""How long an engine's threads spin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.engine import spinning


@pytest.mark.parametrize(("avg10", "expected"), [("3.50", spinning.SPINS), ("61.74", 0)])
def test_threads_do_not_spin_where_tasks_wait_for_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, avg10: str, expected: int
) -> None:
    told = tmp_path / "cpu"
    told.write_text(f"some avg10={avg10} avg60=9.00 avg300=9.00 total=1\nfull avg10=0.00\n")
    monkeypatch.setattr(spinning, "_PRESSURE", told)
    assert spinning.spins() == expected


def test_a_kernel_that_tells_no_pressure_counts_as_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spinning, "_PRESSURE", tmp_path / "missing")
    assert spinning.cpu_pressure() == 0.0
