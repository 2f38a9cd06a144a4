"""How large a batch may be in the memory that is left, and what becomes of one for which it is not enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.engine import transformers_driver
from pytest_aprqa.engine.driver import DriverConfig, DriverName
from pytest_aprqa.engine.memory import machine_memory, memory_left
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.engine.transformers_batch import in_memory, parts, row_bytes, rows_that_fit
from pytest_aprqa.engine.transformers_decode import decode
from pytest_aprqa.engine.transformers_driver import TransformersDriver
from pytest_aprqa.words import Backend, Format

REQUESTS = [
    Request(prompt, max_tokens=8) for prompt in ("the quick", "hens", "brown", "dog", "a lazy fox")
]
BOUND = """
from pytest_aprqa.engine.memory import limit_own_memory, memory_left
limit_own_memory(1 << 30)
before = memory_left()
held = bytearray(1 << 28)
held[:] = bytes(len(held))
print(before, before - memory_left())
"""


@pytest.fixture(scope="module")
def driver(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> TransformersDriver:
    """The tiny model in this process, where its memory can be made to run out."""
    log = tmp_path_factory.mktemp("log") / "log"
    made = TransformersDriver(
        DriverConfig(
            driver=DriverName.TRANSFORMERS,
            format=Format.SAFETENSORS,
            path=str(tiny.directory),
            backend=Backend.CPU,
            threads=1,
            context_length=256,
            log=str(log),
        )
    )
    made.load()
    return made


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of the batches that are decoded; none of more than two prompts succeeds."""
    seen: list[int] = []

    def bounded(model: Any, prompts: Sequence[Sequence[int]], *rest: Any) -> Any:
        seen.append(len(prompts))
        if len(prompts) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return decode(model, prompts, *rest)

    monkeypatch.setattr(transformers_driver, "decode", bounded)
    return seen


def test_a_batch_without_memory_is_halved_until_it_fits(
    driver: TransformersDriver, request: pytest.FixtureRequest
) -> None:
    whole = driver.generate(REQUESTS)
    sizes = request.getfixturevalue("sizes")
    halved = driver.generate(REQUESTS)
    assert sizes == [5, 3, 2, 1, 2]
    assert [g.token_ids for g in halved] == [g.token_ids for g in whole]


def test_a_batch_holds_as_many_prompts_as_fit(
    driver: TransformersDriver, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_driver, "left_for", lambda model: 0)
    assert len(driver.generate(REQUESTS)) == len(REQUESTS)
    assert sizes == [1] * len(REQUESTS)


def test_rows_follow_from_the_width_and_the_memory(driver: TransformersDriver) -> None:
    model = driver._loaded.model
    one = row_bytes(model, 100)
    cache = 2 * sum(t.numel() for t in _keys(model, 100)) * model.dtype.itemsize
    assert one > cache > 0
    assert row_bytes(model, 200) > 1.5 * one - row_bytes(model, 0)
    assert rows_that_fit(model, 100, 20 * one) == 10
    assert rows_that_fit(model, 100, 0) == 1


def _keys(model: Any, width: int) -> list[Any]:
    """Return the keys that the model really keeps of so many tokens."""
    import torch

    with torch.inference_mode():
        kept = model(input_ids=torch.zeros((1, width), dtype=torch.long), use_cache=True)
    return [layer.keys for layer in kept.past_key_values.layers]


def test_other_faults_and_single_prompts_are_raised() -> None:
    def fail(prompts: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes differ" if len(prompts) > 1 else "out of memory")

    with pytest.raises(RuntimeError, match="shapes differ"):
        in_memory(fail, [1, 2, 3])
    with pytest.raises(RuntimeError, match="out of memory"):
        in_memory(fail, [1])


def test_parts_keep_the_order() -> None:
    assert list(parts([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]


def test_memory_left_is_within_the_machines() -> None:
    assert 0 < memory_left() <= machine_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds private memory")
def test_memory_left_knows_the_bound_of_the_process() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(transformers_driver.__file__).parents[2])}
    command = [sys.executable, "-c", BOUND]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    before, taken = map(int, said.stdout.split())
    assert before < 1 << 30
    assert taken >= 1 << 28
