"""The plan: every check, in order, complete and unambiguous."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.words import INVARIANTS, Backend, Category, Cell, Format, Gateway, Modality, Tier

Load = Callable[..., LoadedPlaybook]

NODE_ID = re.compile(r"[A-Za-z0-9_.-]+(\[[a-z]+(-[a-z]+){0,2}\])?")


@pytest.fixture
def mvp(load: Load) -> Plan:
    return make_plan(load("", "sample-mvp.playbook.yaml"))


def names(plan: Plan, kind: CheckKind, *, cell: str = "") -> list[str]:
    checks = [c for c in plan.checks if c.kind is kind and str(c.cell).startswith(cell)]
    return [check.name for check in checks]


def named(plan: Plan, name: str) -> Check:
    [check] = [check for check in plan.checks if check.name == name]
    return check


def test_an_mvp_asks_one_scenario_in_each_of_eighteen_cells(mvp: Plan) -> None:
    cells = [check.cell for check in mvp.scenarios]
    assert len(set(cells)) == len(cells) == 18
    assert set(cells) == {Cell(f, b, m) for f in Format for b in Backend for m in Modality}
    assert mvp.distinct_prompts == 6


def test_all_formats_of_a_backend_and_modality_are_asked_the_same(mvp: Plan) -> None:
    asked: dict[tuple[object, object], set[str]] = {}
    for check in mvp.scenarios:
        assert check.scenario
        key = (check.cell.backend, check.cell.modality)
        asked.setdefault(key, set()).add(check.scenario.prompt)
    assert all(len(prompts) == 1 for prompts in asked.values())


def test_gateways_are_planned_for_every_artifact_and_engine(mvp: Plan) -> None:
    engines = [f"{f}-{b}" for f in Format for b in Backend]
    wanted = {f"G0[{f}]" for f in Format} | {"G3"}
    wanted |= {f"{g}[{engine}]" for g in ("G1", "G2", "G4") for engine in engines}
    assert set(names(mvp, CheckKind.GATEWAY)) == wanted


def test_stability_is_the_last_gateway_and_the_last_check(mvp: Plan) -> None:
    assert mvp.checks[-1].name == "G3"
    assert mvp.checks[-1].category is None


def test_an_engine_is_measured_and_strained(mvp: Plan) -> None:
    assert names(mvp, CheckKind.PERFORMANCE, cell="apr-gpu") == [
        "load-time[apr-gpu]",
        "time-to-first-token[apr-gpu]",
        "decode-rate[apr-gpu]",
        "peak-memory[apr-gpu]",
    ]
    assert names(mvp, CheckKind.STABILITY, cell="gguf-cpu") == [
        "repeat[gguf-cpu]",
        "batch[gguf-cpu]",
        "cache[gguf-cpu]",
        "long-generation[gguf-cpu]",
        "cancellation[gguf-cpu]",
    ]


def test_only_the_engine_that_keeps_prompts_is_tested_for_keeping_them(mvp: Plan) -> None:
    caches = [name for name in names(mvp, CheckKind.STABILITY) if name.startswith("cache")]
    assert caches == ["cache[gguf-cpu]", "cache[gguf-gpu]"]


def test_edge_cases_are_scenarios_of_their_own_category(mvp: Plan) -> None:
    edges = [check for check in mvp.checks if check.category is Category.EDGE]
    assert len(edges) == 9 * 6
    assert edges[0].name == "edge-empty[safetensors-cpu-run]"
    assert {check.kind for check in edges} == {CheckKind.SCENARIO}
    too_long = named(mvp, "edge-too-long[gguf-cpu-run]")
    assert too_long.params == {"past_context": True}
    assert named(mvp, "edge-code[gguf-cpu-run]").params == {}


def test_conversions_are_held_against_the_reference(mvp: Plan) -> None:
    assert names(mvp, CheckKind.INVARIANT) == [
        f"{label}[{f}]" for f in (Format.APR, Format.GGUF) for label in INVARIANTS
    ]
    parity = names(mvp, CheckKind.PARITY)
    assert [name for name in parity if name.startswith("format")] == [
        "format-parity[apr-cpu]",
        "format-parity[apr-gpu]",
        "format-parity[gguf-cpu]",
        "format-parity[gguf-gpu]",
    ]
    assert "backend-parity[safetensors]" in parity
    assert "modality-parity[safetensors-cpu]" in parity


def test_an_invariant_that_asks_an_engine_needs_it_loaded(mvp: Plan) -> None:
    needs = {label: named(mvp, f"{label}[apr]").needs for label in INVARIANTS}
    assert needs["I-1"] == (Gateway.G0, Gateway.G1, Gateway.G2)
    assert needs["I-5"] == (Gateway.G0, Gateway.G1)
    assert needs["I-2"] == needs["I-3"] == needs["I-4"] == (Gateway.G0,)
    assert named(mvp, "I-1[apr]").cell == Cell(Format.APR, Backend.CPU)
    assert named(mvp, "I-4[apr]").cell == Cell(Format.APR)


@pytest.mark.parametrize(
    ("tier", "tokens"),
    [(Tier.MVP, None), (Tier.QUICK, None), (Tier.STANDARD, 1024), (Tier.DEEP, 4096)],
)
def test_higher_tiers_score_more_text(load: Load, tier: Tier, tokens: int | None) -> None:
    checks = [c for c in make_plan(load(), tier=tier).checks if c.kind is CheckKind.INVARIANT]
    assert {c.params.get("tokens") for c in checks if c.subject == "I-1"} == {tokens}
    assert not any(c.params for c in checks if c.subject != "I-1")


def test_a_playbook_chooses_its_invariants(load: Load) -> None:
    plan = make_plan(load("contract_tests: {invariants: [I-2, I-3]}"))
    assert names(plan, CheckKind.INVARIANT) == ["I-2[apr]", "I-3[apr]", "I-2[gguf]", "I-3[gguf]"]


def test_without_a_reference_nothing_is_compared_with_it(load: Load) -> None:
    plan = make_plan(load("  formats: [apr, gguf]\n"))
    assert names(plan, CheckKind.INVARIANT) == []
    assert not any(name.startswith("format-parity") for name in names(plan, CheckKind.PARITY))


def test_ways_are_compared_only_when_there_are_two(load: Load) -> None:
    plan = make_plan(load("test_matrix: {backends: [cpu], modalities: [run]}"))
    assert names(plan, CheckKind.PARITY) == ["format-parity[apr-cpu]", "format-parity[gguf-cpu]"]


def test_regressions_are_planned_where_the_tier_scores_them(mvp: Plan, load: Load) -> None:
    assert names(mvp, CheckKind.REGRESSION) == [
        "score-regression",
        "throughput-regression",
        "answer-flips",
    ]
    assert names(make_plan(load(), tier=Tier.SMOKE), CheckKind.REGRESSION) == []


def test_scenarios_need_every_gateway_of_their_cell(mvp: Plan) -> None:
    assert mvp.scenarios[0].needs == (Gateway.G0, Gateway.G1, Gateway.G2, Gateway.G4)
    assert named(mvp, "repeat[apr-cpu]").needs == (Gateway.G0, Gateway.G1, Gateway.G2)
    assert named(mvp, "G2[apr-cpu]").needs == (Gateway.G0, Gateway.G1)
    assert named(mvp, "G0[apr]").needs == ()


def test_measurements_carry_the_playbooks_bounds(load: Load) -> None:
    extra = (
        "profile_ci:\n  warmup: 2\n  measure: 5\n"
        "  assertions: {min_throughput_cpu: 20, min_throughput_gpu: 100, max_ttft_ms: 500}\n"
    )
    plan = make_plan(load(extra))
    often = {"warmup": 2, "measure": 5}
    assert named(plan, "decode-rate[gguf-cpu]").params == {**often, "minimum": 20}
    assert named(plan, "decode-rate[gguf-gpu]").params == {**often, "minimum": 100}
    assert named(plan, "time-to-first-token[apr-cpu]").params == {**often, "maximum": 0.5}
    assert named(plan, "load-time[apr-cpu]").params == often


def test_only_what_the_profile_names_is_measured(load: Load) -> None:
    plan = make_plan(load("profile_ci: {formats: [gguf], backends: [cpu]}"))
    assert {str(c.cell) for c in plan.checks if c.kind is CheckKind.PERFORMANCE} == {"gguf-cpu"}
    off = make_plan(load("profile_ci: {enabled: 'no'}"))
    assert Category.PERF not in off.categories


def test_the_reference_comes_first_and_each_engine_is_loaded_once(mvp: Plan) -> None:
    engines = [(c.cell.format, c.cell.backend) for c in mvp.checks if c.cell.backend]
    visits = [engine for engine, _ in groupby(engines)]
    backward = [name for name in names(mvp, CheckKind.PARITY) if name.startswith("backend")]
    assert visits == [(f, b) for f in Format for b in Backend]
    assert len(backward) == 3


def test_a_check_stands_on_the_line_that_asked_for_it(load: Load) -> None:
    plan = make_plan(
        load(
            "test_matrix:\n  timeout_ms: 1500\n  prompts:\n    - hi\n"
            "profile_ci: {measure: 2}\ncontract_tests:\n  invariants: [I-2]\n"
        )
    )
    assert named(plan, "prompt-001[apr-cpu-run]").line == 6
    assert named(plan, "load-time[apr-cpu]").line == 7
    assert named(plan, "I-2[apr]").line == 9
    assert named(plan, "repeat[apr-cpu]").line == 3
    assert named(plan, "G0[apr]").line == 0
    assert {check.timeout for check in plan.checks} == {1.5}


def test_without_a_gpu_its_cells_leave_the_plan(load: Load) -> None:
    plan = make_plan(load(), no_gpu=True)
    assert plan.cpu_only
    assert plan.backends == (Backend.CPU,)
    assert {check.cell.backend for check in plan.checks} == {Backend.CPU, None}


def test_a_playbook_without_gpu_cells_is_not_cut_down_by_no_gpu(load: Load) -> None:
    loaded = load("test_matrix: {backends: [cpu]}")
    assert make_plan(loaded, no_gpu=True) == make_plan(loaded)


def test_every_check_bears_the_tiers_that_include_it(load: Load) -> None:
    plan = make_plan(load(), tier=Tier.DEEP)
    for tier in Tier:
        alone = {check.name for check in make_plan(load(), tier=tier).checks}
        assert {check.name for check in plan.checks if tier in check.tiers} == alone


def test_a_plan_is_wholly_of_its_own_tier(load: Load) -> None:
    plan = make_plan(load("test_matrix: {scenario_count: 25}", "x-smoke.playbook.yaml"))
    assert all(Tier.SMOKE in check.tiers for check in plan.checks)


def test_the_digest_is_of_the_playbook_the_tier_and_every_question(load: Load) -> None:
    plans = [
        make_plan(load()),
        make_plan(load(), no_gpu=True),
        make_plan(load(), tier=Tier.MVP),
        make_plan(load("failure_policy: fail-fast")),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert make_plan(load("# why\n")).digest == plans[0].digest


def test_notices_of_the_playbook_reach_the_plan(load: Load) -> None:
    plan = make_plan(load("kernel_profile: {family: qwen2}\noracles: [{type: response}]\n"))
    assert [notice.field for notice in plan.notices] == ["kernel_profile", "oracles[0]"]


axes = st.fixed_dictionaries(
    {
        "formats": st.sets(st.sampled_from(Format), min_size=1),
        "backends": st.sets(st.sampled_from(Backend), min_size=1),
        "modalities": st.sets(st.sampled_from(Modality), min_size=1),
        "count": st.integers(1, 7),
        "prompts": st.integers(0, 9),
        "no_gpu": st.booleans(),
    }
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(axes=axes)
def test_any_plan_is_unambiguous_complete_and_in_load_order(
    load: Load, axes: dict[str, object]
) -> None:
    formats, backends, modalities = (
        sorted(axes[axis])  # type: ignore[call-overload]
        for axis in ("formats", "backends", "modalities")
    )
    prompts = [f"question {number}" for number in range(int(str(axes["prompts"])))]
    no_gpu = bool(axes["no_gpu"]) and "cpu" in backends
    plan = make_plan(
        load(
            f"  formats: [{', '.join(formats)}]\n"
            f"test_matrix: {{backends: [{', '.join(backends)}], "
            f"modalities: [{', '.join(modalities)}], "
            f"scenario_count: {axes['count']}, prompts: {prompts}}}\n"
        ),
        no_gpu=no_gpu,
    )
    check_names = [check.name for check in plan.checks]
    assert max(Counter(check_names).values()) == 1
    assert all(NODE_ID.fullmatch(name) for name in check_names)
    left = [backend for backend in backends if not (no_gpu and backend == "gpu")]
    cells = len(formats) * len(left) * len(modalities)
    assert len(plan.scenarios) == cells * int(str(axes["count"]))
    order = [list(Format).index(c.cell.format) for c in plan.checks if c.cell.format]
    assert all(before <= after for before, after in pairwise(order))
    assert all(plan.tier in check.tiers for check in plan.checks)
    planned = set(check_names)
    for check in plan.checks:
        for gateway in check.needs:
            where = Cell(check.cell.format)
            if gateway is not Gateway.G0:
                where = Cell(check.cell.format, check.cell.backend)
            assert f"{gateway}[{where}]" in planned


def test_a_plan_travels_between_processes(mvp: Plan) -> None:
    assert pickle.loads(pickle.dumps(mvp)) == mvp


def test_a_deep_plan_is_made_quickly(load: Load) -> None:
    loaded = load()
    make_plan(loaded, tier=Tier.DEEP)
    started = time.process_time()
    plan = make_plan(loaded, tier=Tier.DEEP)
    assert time.process_time() - started < 0.5
    assert len(plan.scenarios) == 1800


def test_planning_imports_no_engine_no_judge_and_no_heavy_library() -> None:
    heavy = ("pytest_aprqa.judge", "pytest_aprqa.engine", "torch", "numpy", "scipy", "pydantic")
    code = (
        "import sys, pytest_aprqa.playbook.plan; "
        f"print([m for m in sys.modules if m.startswith({heavy!r})])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=root
    )
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


@pytest.mark.parametrize("tier", [Tier.STANDARD, Tier.DEEP])
def test_where_a_cell_may_stop_early_the_first_questions_speak_for_all(
    load: Load, tier: Tier
) -> None:
    own = ", ".join(f"{{name: own-{n}, prompt: Say {n}.}}" for n in range(10))
    loaded = load(f"test_matrix: {{prompts: [{own}]}}")

    def asked(plan: Plan, cell: str) -> list[str]:
        named = [c.name.partition("[") for c in plan.scenarios if c.name.endswith(f"[{cell}]")]
        return [name for name, _, _ in named]

    plan = make_plan(loaded, tier=tier, no_gpu=True)
    order = asked(plan, "gguf-cpu-run")
    assert order == asked(plan, "safetensors-cpu-run")
    places = [order.index(f"own-{n}") for n in range(10)]
    assert places != list(range(10))
    assert max(places) >= len(order) // 2
    assert order == asked(make_plan(loaded, tier=tier, no_gpu=True), "gguf-cpu-run")
    other = load(f"test_matrix: {{seed: 7, prompts: [{own}]}}")
    assert sorted(order) == sorted(asked(make_plan(other, tier=tier, no_gpu=True), "gguf-cpu-run"))
    assert order != asked(make_plan(other, tier=tier, no_gpu=True), "gguf-cpu-run")
