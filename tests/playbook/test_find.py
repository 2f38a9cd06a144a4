from __future__ import annotations

import pytest

from pytest_aprqa.playbook.find import candidate_names, find_playbook
from pytest_aprqa.words import Tier


@pytest.fixture
def folder(tmp_path):
    def write(name, model):
        path = tmp_path / f"{name}.playbook.yaml"
        path.write_text(f"name: x\nmodel:\n  hf_repo: {model}  # a comment\n")
        return path

    return write


def test_candidates_are_the_short_name_with_and_without_its_variant_and_tier():
    assert candidate_names("Qwen/Qwen2.5-Coder-1.5B-Instruct", Tier.MVP) == (
        "qwen2.5-coder-1.5b-instruct-mvp.playbook.yaml",
        "qwen2.5-coder-1.5b-mvp.playbook.yaml",
        "qwen2.5-coder-1.5b-instruct.playbook.yaml",
        "qwen2.5-coder-1.5b.playbook.yaml",
    )
    assert candidate_names("google/gemma-2b-it", Tier.SMOKE)[1] == "gemma-2b-smoke.playbook.yaml"
    named = candidate_names("mistralai/Mistral-7B-Instruct-v0.3", Tier.MVP)
    assert "mistral-7b-v0.3-mvp.playbook.yaml" in named


def test_a_file_of_the_right_name_about_another_model_is_not_taken(folder, tmp_path):
    folder("tiny-mvp", "org/tiny")
    assert find_playbook(tmp_path, "org/tiny-Instruct", Tier.MVP) is None
    other = folder("any-name-mvp", '"org/tiny-Instruct"')
    assert find_playbook(tmp_path, "org/tiny-Instruct", Tier.MVP) == other


def test_the_tier_of_the_name_decides_among_several(folder, tmp_path):
    smoke, mvp = folder("a-smoke", "org/x"), folder("b-mvp", "org/x")
    plain = folder("c", "org/x")
    assert find_playbook(tmp_path, "org/x", Tier.MVP) == mvp
    assert find_playbook(tmp_path, "org/x", Tier.SMOKE) == smoke
    assert find_playbook(tmp_path, "org/x", Tier.DEEP) == plain


def test_a_release_suffix_means_the_deep_tier(folder, tmp_path):
    folder("x", "org/x")
    deep = folder("x-release", "org/x")
    assert find_playbook(tmp_path, "org/x", Tier.DEEP) == deep
