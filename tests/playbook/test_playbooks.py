"""The playbooks and templates of the project keep their promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.judge.oracles import validate_config
from pytest_aprqa.playbook.load import LoadedPlaybook, load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.playbook.tiers import tier_of
from pytest_aprqa.words import Backend, Category, FailurePolicy, Format, Modality, Tier

ROOT = Path(__file__).parents[2] / "playbooks"
MODELS = sorted((ROOT / "models").glob("*.playbook.yaml"))
TEMPLATES = sorted((ROOT / "templates").glob("*.yaml"))


def loaded(path: Path) -> LoadedPlaybook:
    return load_playbook(path, check_oracle=validate_config)


@pytest.mark.parametrize(
    ("name", "scenarios", "tier"),
    [
        ("mvp", 18, Tier.MVP),
        ("quick-check", 10, Tier.QUICK),
        ("basic-verify", 9, Tier.QUICK),
        ("ci-pipeline", 225, Tier.QUICK),
        ("full-qualification", 1800, Tier.DEEP),
    ],
)
def test_a_template_asks_as_much_as_it_says(name: str, scenarios: int, tier: Tier) -> None:
    plan = make_plan(loaded(ROOT / "templates" / f"{name}.yaml"))
    assert len(plan.scenarios) == scenarios
    assert plan.tier is tier


def test_the_matrix_of_the_mvp_template_is_whole() -> None:
    plan = make_plan(loaded(ROOT / "templates" / "mvp.yaml"))
    assert (plan.formats, plan.backends, plan.modalities) == (
        tuple(Format),
        tuple(Backend),
        tuple(Modality),
    )
    assert plan.shortfall == ()


@pytest.mark.parametrize("path", [*MODELS, *TEMPLATES], ids=lambda path: path.stem)
def test_a_playbook_of_the_project_says_nothing_in_vain(path: Path) -> None:
    assert make_plan(loaded(path)).notices == ()


@pytest.mark.parametrize("path", [*MODELS, *TEMPLATES], ids=lambda path: path.stem)
def test_an_editor_finds_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    where = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / where).resolve() == ROOT / "playbook.schema.yaml"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_playbook_is_named_as_its_file_and_serves_its_tier(path: Path) -> None:
    playbook = loaded(path)
    assert f"{playbook.playbook.name}.playbook.yaml" == path.name
    plan = make_plan(playbook)
    assert plan.tier is tier_of(playbook)
    assert plan.shortfall == ()


@pytest.mark.parametrize("path", [p for p in MODELS if "-mvp." in p.name], ids=lambda p: p.stem)
def test_an_mvp_asks_eighteen_scenarios_and_collects_all(path: Path) -> None:
    plan = make_plan(loaded(path))
    assert len(plan.scenarios) == 18
    assert plan.failure_policy is FailurePolicy.COLLECT_ALL
    assert plan.categories == frozenset(Category)


@pytest.mark.parametrize("path", [p for p in MODELS if "qwen" not in p.name], ids=lambda p: p.stem)
def test_prompts_of_the_project_have_an_answer_to_be_judged(path: Path) -> None:
    for check in make_plan(loaded(path)).scenarios:
        assert check.scenario
        assert check.scenario.oracles


def test_the_smoke_playbook_is_one_engine() -> None:
    plan = make_plan(loaded(ROOT / "models" / "smollm2-135m-smoke.playbook.yaml"))
    assert {str(check.cell) for check in plan.checks} == {
        "safetensors",
        "safetensors-cpu",
        "safetensors-cpu-run",
        "",
    }
