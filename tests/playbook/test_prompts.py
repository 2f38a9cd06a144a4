"""Probes and edge cases."""

from __future__ import annotations

import unicodedata

import pytest

from pytest_aprqa.playbook.prompts import EDGE_KINDS, G2_PROMPT, G4_PROMPTS, edge_scenario


def prompt(kind: str) -> str:
    return edge_scenario(kind, max_tokens=8, seed=1).prompt


def test_the_probes_are_short_distinct_and_natural() -> None:
    assert len(set(G4_PROMPTS)) == 6
    for probe in (G2_PROMPT, *G4_PROMPTS):
        assert 2 < len(probe.split()) < 15
        assert probe.isascii()
        assert probe == probe.strip()


@pytest.mark.parametrize("kind", EDGE_KINDS)
def test_an_edge_case_is_judged_by_how_the_engine_copes(kind: str) -> None:
    scenario = edge_scenario(kind, max_tokens=8, seed=1)
    assert (scenario.name, scenario.edge, scenario.oracles) == (f"edge-{kind}", kind, ())
    assert (scenario.max_tokens, scenario.seed, scenario.temperature) == (8, 1, 0.0)


def test_empty_is_empty_and_blank_is_blank() -> None:
    assert prompt("empty") == ""
    assert prompt("blank")
    assert prompt("blank").isspace()


def test_control_characters_include_null_bell_and_escape() -> None:
    assert {"\x00", "\x07", "\x1b"} <= set(prompt("control-characters"))


def test_unicode_leaves_the_basic_plane_and_combines() -> None:
    text = prompt("unicode")
    assert any(ord(character) > 0xFFFF for character in text)
    assert any(unicodedata.combining(character) for character in text)


def test_special_tokens_of_the_common_templates_are_tried() -> None:
    for token in ("<|im_start|>", "<|im_end|>", "<|eot_id|>", "</s>", "[INST]", "<end_of_turn>"):
        assert token in prompt("special-tokens")


def test_right_to_left_text_has_two_scripts_and_an_override() -> None:
    text = prompt("right-to-left")
    assert {"R", "AL", "RLO"} <= {unicodedata.bidirectional(character) for character in text}
