from __future__ import annotations

from typing import Any

import pytest

from pytest_aprqa.artifact.locate import BUILTIN
from pytest_aprqa.fleet.needs import GIB, Needs, needs_of, stated_parameters, weights_of
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Backend, Cell, Format


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen2.5-Coder-1.5B-Instruct", 1.5e9),
        ("SmolLM2-135M-Instruct", 135e6),
        ("Mixtral-8x7B-v0.1", 56e9),
        ("Qwen3-30B-A3B", 30e9),
        ("phi-4", 0.0),
        ("gpt2-4bit", 0.0),
    ],
)
def test_the_name_of_a_model_states_its_parameters(name: str, parameters: float) -> None:
    assert stated_parameters(ModelSpec(hf_repo=f"org/{name}")) == parameters


def test_the_variant_goes_before_the_name() -> None:
    spec = ModelSpec(hf_repo="org/model-7B", size_variant="1.1b")
    assert stated_parameters(spec) == 1.1e9


def test_a_model_that_is_here_is_as_large_as_its_files(ships: Any) -> None:
    planned = ships.plan(ships.playbook("one"))
    [weights] = (BUILTIN / "aprqa-reference").glob("*.safetensors")
    assert weights_of(planned, ships.settings()) == weights.stat().st_size


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("hf_repo: nobody/absent-7B", 14e9),
        ("hf_repo: nobody/absent\n  size_category: tiny", 2e9),
        ("hf_repo: nobody/absent", 10e9),
    ],
)
def test_a_model_that_is_elsewhere_is_as_large_as_the_playbook_says(
    ships: Any, model: str, weights: float
) -> None:
    path = ships.playbook("one")
    text = path.read_text("utf-8")
    text = text.replace("hf_repo: aprqa/one\n  builtin: aprqa-reference", model)
    path.write_text(text, encoding="utf-8")
    assert weights_of(ships.plan(path), ships.settings()) == weights


def test_where_formats_are_compared_every_shard_has_memory_for_two_engines(ships: Any) -> None:
    path = ships.playbook("one")
    lone = ships.plan(path)
    path.write_text(
        path.read_text("utf-8").replace("[gguf]", "[safetensors, gguf]"), encoding="utf-8"
    )
    both = ships.plan(path)
    settings = ships.settings()
    alone, reference, compared = (
        needs_of(planned, Cell(form, Backend.CPU), settings, weights=GIB, most_cpus=8)
        for planned, form in (
            (lone, Format.GGUF),
            (both, Format.SAFETENSORS),
            (both, Format.GGUF),
        )
    )
    assert alone.memory == 2.25 * GIB
    assert reference == compared
    assert compared.memory == 2 * alone.memory


def test_a_shard_takes_a_gpu_for_gpu_cells_and_the_threads_the_user_gave(ships: Any) -> None:
    planned = ships.plan(ships.playbook("one"))
    cell = Cell(Format.GGUF, Backend.GPU)
    needs = needs_of(planned, cell, ships.settings(threads=3), weights=0, most_cpus=2)
    assert (needs.cpus, needs.gpus) == (3, 1)
    assert str(needs) == "3 CPU, 1 GPU, 1.0 GiB"


def test_without_a_word_no_shard_wants_more_cpus_than_any_machine_has(ships: Any) -> None:
    planned = ships.plan(ships.playbook("one"))
    cell = Cell(Format.GGUF, Backend.CPU)
    needs = needs_of(planned, cell, ships.settings(threads=None), weights=0, most_cpus=2)
    assert (needs.cpus, needs.gpus) == (2, 0)


def test_needs_fit_a_machine_that_has_all_of_them() -> None:
    needs = Needs(cpus=2, gpus=1, memory=GIB)
    assert needs.fit({"CPU": 2.0, "GPU": 1.0, "memory": GIB})
    assert not needs.fit({"CPU": 2.0, "memory": GIB})
    assert not needs.fit({"CPU": 1.0, "GPU": 1.0, "memory": GIB})
    assert not needs.fit({"CPU": 2.0, "GPU": 1.0, "memory": GIB - 1})
