"""Several quantisations multiply the formats that have them, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.playbook.quantizations import states, states_any
from pytest_aprqa.words import Backend, Cell, Format, Tier

Load = Callable[..., LoadedPlaybook]
Problems = Callable[..., list[str]]


@pytest.fixture
def plan(load: Load) -> Callable[..., Plan]:
    def plan(more: str) -> Plan:
        return make_plan(load(f"  {more}\n", "sample-mvp.playbook.yaml"))

    return plan


def test_an_mvp_has_18_cells_and_each_further_quantisation_adds_those_of_its_formats(
    plan: Callable[..., Plan],
) -> None:
    assert len(plan("quantizations: [q8_0]").scenarios) == 18
    cells = Counter(
        str(check.cell.artifact) for check in plan("quantizations: [q4_0, Q8_0]").scenarios
    )
    assert cells == dict.fromkeys(
        ["safetensors", "apr-q4_0", "apr-q8_0", "gguf-q4_0", "gguf-q8_0"], 6
    )


def test_one_quantisation_is_planned_as_none_is(plan: Callable[..., Plan]) -> None:
    assert plan("quantizations: [q8_0]").checks == plan("").checks


def test_each_artifact_has_its_gateways_and_invariants(plan: Callable[..., Plan]) -> None:
    made = plan("quantizations: [q4_0, q8_0]")
    found = {check.name for check in made.checks}
    for artifact in ("gguf-q4_0", "gguf-q8_0", "apr-q4_0", "apr-q8_0"):
        assert {f"G0[{artifact}]", f"G1[{artifact}-cpu]", f"G4[{artifact}-gpu]"} <= found
        assert {f"I-{n}[{artifact}]" for n in range(1, 6)} <= found
        assert {f"backend-parity[{artifact}]", f"format-parity[{artifact}-cpu]"} <= found
    assert made.formats == (Format.SAFETENSORS, Format.APR, Format.GGUF)


def test_every_check_of_an_artifact_is_in_the_tiers_of_its_format(
    plan: Callable[..., Plan],
) -> None:
    tiers = {check.name: check.tiers for check in plan("quantizations: [q4_0, q8_0]").checks}
    only = {check.name: check.tiers for check in plan("").checks}
    assert tiers["G1[gguf-q8_0-cpu]"] == only["G1[gguf-cpu]"]
    assert Tier.DEEP in tiers["G1[gguf-q8_0-cpu]"]


def test_apr_leaves_out_what_it_cannot_hold_and_says_so_with_the_line(
    plan: Callable[..., Plan],
) -> None:
    made = plan("quantizations: [q4_k_m, q5_k_m, q8_0]")
    of_apr = [cell.quantization for cell in made.artifacts if cell.format is Format.APR]
    assert of_apr == ["q4_k_m", "q8_0"]
    [notice] = [n for n in made.notices if n.field.startswith("model.quantizations")]
    assert (notice.field, notice.line) == ("model.quantizations[1]", 3)
    assert "an APR file cannot hold q5_k_m" in notice.reason


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("quantizations: [q8_0, Q8_0]", "model.quantizations[1]: q8_0 is stated twice"),
        ("quantizations: [cpu]", "model.quantizations[0]: "),
        (
            "quantizations: [q4_0, q8_0]\n  files: {gguf: tiny.gguf}",
            "model.files.gguf: say which of q4_0, q8_0 the file is",
        ),
        ("files: {gguf: {q8_0: tiny.gguf}}", "q8_0 is not among model.quantizations"),
        ("files: {safetensors: {q8_0: a}}", "SafeTensors are the one reference"),
    ],
)
def test_what_leaves_open_which_artifact_is_which_is_refused(
    problems: Problems, more: str, said: str
) -> None:
    [problem] = problems(f"  {more}\n")
    assert said in problem


@pytest.mark.parametrize(
    ("file", "quantization", "it_is"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "q4_1", True),
        ("dir.q8_0/model-Q4_K_M.gguf", "q4_k_m", True),
        ("dir.q8_0/model-Q4_K_M.gguf", "q8_0", False),
        ("model-Q4_K_M.gguf", "q4_k", False),
        ("model_q8_0-00001-of-00003.gguf", "q8_0", True),
        ("model.IQ4_XS.gguf", "q4_xs", False),
        ("model.bf16.gguf", "f16", False),
    ],
)
def test_a_file_states_its_quantisation_in_its_name(
    file: str, quantization: str, it_is: bool
) -> None:
    assert states(file, quantization) is it_is
    assert states_any(file)


@pytest.mark.parametrize("file", ["model.gguf", "q.gguf", "qwen2-7b.gguf", "iqa8.gguf"])
def test_other_names_state_none(file: str) -> None:
    assert not states_any(file)


@pytest.mark.parametrize(
    "cell",
    [
        Cell(Format.GGUF),
        Cell(Format.APR, quantization="q8_0"),
        Cell(Format.GGUF, Backend.GPU, quantization="q4_k_m"),
    ],
)
def test_an_artifact_is_found_again_by_its_name(cell: Cell) -> None:
    assert Cell.named(str(cell.artifact)) == cell.artifact
