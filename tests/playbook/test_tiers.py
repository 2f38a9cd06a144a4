"""Tiers: which one applies, what it plans, and what a playbook cannot serve."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook, PlaybookError
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.playbook.tiers import TIERS, matrix_of, serves, tier_of
from pytest_aprqa.words import Backend, Category, Format, Modality, Tier

Load = Callable[..., LoadedPlaybook]

GGUF_ONLY = "  formats: [gguf]\n"


def scenarios(plan: Plan) -> int:
    return len(plan.scenarios)


@pytest.mark.parametrize(
    ("name", "metadata", "tier"),
    [
        ("x-smoke.playbook.yaml", "", Tier.SMOKE),
        ("x-1.5b-mvp.playbook.yaml", "", Tier.MVP),
        ("x-quick.playbook.yaml", "", Tier.QUICK),
        ("x-ci.playbook.yaml", "", Tier.QUICK),
        ("x-standard.playbook.yaml", "", Tier.STANDARD),
        ("x-nightly.playbook.yaml", "", Tier.STANDARD),
        ("x-deep.playbook.yaml", "", Tier.DEEP),
        ("x-full.playbook.yaml", "", Tier.DEEP),
        ("x-release.playbook.yaml", "", Tier.DEEP),
        ("x.playbook.yaml", "metadata: {tier: mvp}", Tier.MVP),
        ("x.playbook.yaml", "metadata: {tier: full}", Tier.DEEP),
        ("x-smoke.playbook.yaml", "metadata: {tier: deep}", Tier.SMOKE),
        ("x-7b.playbook.yaml", "", Tier.QUICK),
        ("mvp.yaml", "", Tier.MVP),
        ("quick-check.yaml", "metadata: {tier: deep}", Tier.DEEP),
    ],
)
def test_the_file_name_says_the_tier_then_the_metadata_then_it_is_quick(
    load: Load, name: str, metadata: str, tier: Tier
) -> None:
    assert tier_of(load(metadata, name)) is tier


@pytest.mark.parametrize(
    ("tier", "with_gpu", "without"),
    [
        (Tier.SMOKE, 3, 3),
        (Tier.MVP, 18, 9),
        (Tier.QUICK, 36, 18),
        (Tier.STANDARD, 180, 171),
        (Tier.DEEP, 1800, 1800),
    ],
)
def test_each_tier_asks_as_much_as_it_promises(
    load: Load, tier: Tier, with_gpu: int, without: int
) -> None:
    assert scenarios(make_plan(load(), tier=tier)) == with_gpu
    assert scenarios(make_plan(load(), tier=tier, no_gpu=True)) == without


@pytest.mark.parametrize("formats", ["[gguf]", "[safetensors]", "[apr, gguf]"])
@pytest.mark.parametrize("tier", [Tier.QUICK, Tier.STANDARD])
def test_fewer_formats_mean_more_questions_for_each(load: Load, formats: str, tier: Tier) -> None:
    plan = make_plan(load(f"  formats: {formats}\n"), tier=tier, no_gpu=True)
    assert scenarios(plan) >= TIERS[tier].scenarios


def test_what_the_playbook_states_stands_when_no_tier_is_asked_for(load: Load) -> None:
    stated = "test_matrix: {modalities: [chat], backends: [cpu], scenario_count: 4}\n"
    matrix = matrix_of(load("  formats: [gguf, apr]\n" + stated, "x-mvp.yaml"), None, no_gpu=False)
    assert matrix.formats == (Format.APR, Format.GGUF)
    assert matrix.backends == (Backend.CPU,)
    assert matrix.modalities == (Modality.CHAT,)
    assert matrix.count == 4


def test_the_tier_fills_in_what_the_playbook_does_not_state(load: Load) -> None:
    matrix = matrix_of(load("", "x-smoke.playbook.yaml"), None, no_gpu=False)
    assert matrix.formats == (Format.SAFETENSORS,)
    assert matrix.backends == (Backend.CPU,)
    assert matrix.modalities == (Modality.RUN,)
    assert matrix.count == 3


@pytest.mark.parametrize(
    ("extra", "tier"),
    [("test_matrix: {backends: [cpu], modalities: [run], scenario_count: 1}\n", Tier.MVP)],
)
def test_a_tier_widens_a_small_playbook(load: Load, extra: str, tier: Tier) -> None:
    assert scenarios(make_plan(load(extra), tier=tier)) == 18


def test_asking_for_the_tier_a_playbook_was_written_for_changes_nothing(load: Load) -> None:
    base_model = load("test_matrix: {modalities: [run]}\n", "base-mvp.playbook.yaml")
    assert make_plan(base_model, tier=Tier.MVP) == make_plan(base_model)
    assert scenarios(make_plan(base_model)) == 6


def test_a_tier_restricts_a_large_playbook(load: Load) -> None:
    large = load("test_matrix: {scenario_count: 100}\n")
    assert scenarios(make_plan(large)) == 1800
    assert scenarios(make_plan(large, tier=Tier.SMOKE)) == 3


@pytest.mark.parametrize(
    ("tier", "missing", "verb"),
    [
        (Tier.SMOKE, "safetensors", "it"),
        (Tier.MVP, "safetensors, apr", "them"),
        (Tier.DEEP, "safetensors, apr", "them"),
    ],
)
def test_a_tier_that_cannot_be_served_is_refused_with_those_that_can(
    load: Load, tier: Tier, missing: str, verb: str
) -> None:
    with pytest.raises(PlaybookError) as caught:
        make_plan(load(GGUF_ONLY), tier=tier)
    assert str(caught.value).endswith(
        f"sample.playbook.yaml:4: model.formats: tier {tier} needs {missing}, and this playbook "
        f"tests gguf only; add {verb}, or ask for a tier it can serve: quick, standard"
    )


def test_the_tiers_a_playbook_can_serve(load: Load) -> None:
    assert serves(load()) == tuple(Tier)
    assert serves(load(GGUF_ONLY)) == (Tier.QUICK, Tier.STANDARD)


def test_no_gpu_leaves_a_gpu_playbook_with_nothing(load: Load) -> None:
    loaded = load("test_matrix: {backends: [gpu]}\n")
    with pytest.raises(
        PlaybookError, match=r"test_matrix.backends: plans the gpu only, so --no-gpu"
    ):
        make_plan(loaded, no_gpu=True)


def test_smoke_plans_quality_stability_and_performance_only(load: Load) -> None:
    plan = make_plan(load(), tier=Tier.SMOKE)
    assert plan.categories == {Category.QUAL, Category.STAB, Category.PERF}
    assert {check.cell.format for check in plan.checks} == {Format.SAFETENSORS, None}


@pytest.mark.parametrize(
    ("extra", "name", "said"),
    [
        (
            "test_matrix: {modalities: [run]}",
            "x-mvp.yaml",
            "tier mvp has modalities that are not planned: chat, serve",
        ),
        (
            "test_matrix: {backends: [cpu]}",
            "x-deep.yaml",
            "tier deep has backends that are not planned: gpu",
        ),
        (
            "test_matrix: {scenario_count: 99}",
            "x-deep.yaml",
            "tier deep asks at least 1800 scenarios; 1782 are planned",
        ),
        (
            "  formats: [safetensors]",
            "x-mvp.yaml",
            "tier mvp has formats that are not planned: apr, gguf",
        ),
        (
            "profile_ci: {enabled: false}",
            "x-mvp.yaml",
            "tier mvp has categories without any check here: PERF",
        ),
        (
            GGUF_ONLY,
            "x-quick.yaml",
            "without safetensors no conversion is held against a reference",
        ),
    ],
)
def test_a_plan_that_is_less_than_its_tier_says_in_what(
    load: Load, extra: str, name: str, said: str
) -> None:
    assert said in make_plan(load(extra, name)).shortfall


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("no_gpu", [False, True])
def test_a_plan_made_for_a_tier_is_all_of_it(load: Load, tier: Tier, no_gpu: bool) -> None:
    plan = make_plan(load(), tier=tier, no_gpu=no_gpu)
    assert plan.shortfall == ()
    assert plan.cpu_only is (no_gpu and tier is not Tier.SMOKE)
    assert plan.threshold == (900 if tier is Tier.DEEP else 700)


def test_a_large_playbook_without_a_tier_is_told_of_the_one_it_could_have(load: Load) -> None:
    [notice] = make_plan(load("test_matrix: {scenario_count: 100}\n")).notices
    assert notice.reason == (
        "no tier is named, so quick applies, although 1800 scenarios are planned; "
        "name one by file suffix, metadata.tier or --tier deep"
    )
    assert make_plan(load("test_matrix: {scenario_count: 100}\n", "x-full.yaml")).notices == ()
