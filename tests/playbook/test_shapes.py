"""Playbooks as they are written elsewhere: they load, and what has no effect is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_aprqa.judge.oracles import validate_config
from pytest_aprqa.playbook.errors import PlaybookError
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.words import Backend, FailurePolicy, Tier

Write = Callable[..., Path]


def plan(path: Path) -> Plan:
    return make_plan(load_playbook(path, check_oracle=validate_config))


def fields(made: Plan) -> list[str]:
    return [notice.field for notice in made.notices]


def test_a_matrix_with_flags_in_quotes_and_words_joined_by_underscores(write: Write) -> None:
    made = plan(
        write(
            """\
            name: tiny-chat-mvp
            version: "1.0.0"
            description: "All formats once"
            model:
              hf_repo: "lab/Tiny-Chat"
              formats:
                - safetensors  # the source
                - apr
                - gguf
              quantizations:
                - q4_k_m
              size_category: tiny
            test_matrix:
              modalities: [run, chat, serve]
              backends: [cpu, gpu]
              scenario_count: 1
              seed: 42
              timeout_ms: 90000
            gates:
              g1_model_loads: "true"
              g2_basic_inference: "true"
              g3_no_crashes: "true"
              g4_output_quality: "true"
            oracles:
              - type: arithmetic
                config: {tolerance: 0.01}
              - type: garbage
                config: {max_repetition_ratio: 0.3, min_unique_chars: 10}
            failure_policy: collect_all
            profile_ci:
              enabled: "true"
              warmup: 1
              measure: 2
              formats: [safetensors, apr, gguf]
              backends: [cpu, gpu]
              assertions: {min_throughput_cpu: 20.0, min_throughput_gpu: 100.0}
            contract_tests:
              invariants: ["I-2", "I-3"]
            metadata: {author: "someone", tier: "mvp", tags: [instruct, mvp]}
            """,
            "tiny-chat-mvp.playbook.yaml",
        )
    )
    assert (made.tier, len(made.scenarios)) == (Tier.MVP, 18)
    assert made.failure_policy is FailurePolicy.COLLECT_ALL
    assert made.checks[0].timeout == 90
    assert fields(made) == []


def test_a_full_playbook_with_every_differential_section(write: Write) -> None:
    made = plan(
        write(
            """\
            name: coder-7b
            version: "1.0.0"
            model: {hf_repo: "lab/coder-7b", formats: [gguf, safetensors, apr]}
            test_matrix: {modalities: [run, chat, serve], backends: [cpu, gpu], scenario_count: 100}
            oracles:
              - type: code_syntax
                config: {languages: [python, rust, javascript, go, java, cpp]}
              - type: response
                config: {min_relevance: 0.3}
            failure_policy: stop_on_p0
            property_tests:
              - name: sums
                generator: "arithmetic(a: i32, b: i32, op: +|-|*)"
                oracle: "eval(a op b) == parse_int(output)"
                count: 50
            differential_tests:
              format_validation: {enabled: "true", checks: [dtype_mapping], gates: [F-APR-FORMAT-001]}
              tensor_diff: {enabled: "true", filter: "embed,lm_head", gates: [F-ROSETTA-DIFF-001]}
              inference_compare:
                enabled: "true"
                prompt: "What is 2+2?"
                max_tokens: 10
                tolerance: 1e-5
                gates: ["F-ROSETTA-INF-001"]
              fingerprint: {enabled: "true", tensors: "all", stats: [mean, std, checksum]}
              validate_stats:
                enabled: "true"
                reference: "coder-7b-reference.json"
                tolerance: {layernorm: 0.001, embedding: 0.1, attention: 0.01}
            profile_ci:
              enabled: "true"
              warmup: 3
              measure: 10
              assertions: {min_throughput: 2.0, max_p99_ms: 3000}
              gates: ["F-PROFILE-CI-001"]
            trace_payload: {enabled: "true", prompt: "2+2=", gates: ["F-TRACE-PAYLOAD-001"]}
            metadata: {expected_mqs: 85}
            """,
            "coder-7b.playbook.yaml",
        )
    )
    assert (made.tier, len(made.scenarios), made.distinct_prompts) == (Tier.QUICK, 1800, 600)
    assert {check.params["maximum"] for check in made.checks if check.subject == "latency-p99"} == {
        3
    }
    assert fields(made) == [
        "profile_ci.gates",
        "differential_tests.format_validation.gates",
        "differential_tests.format_validation.checks",
        "differential_tests.tensor_diff.gates",
        "differential_tests.tensor_diff.filter",
        "differential_tests.inference_compare.gates",
        "differential_tests.inference_compare.tolerance",
        "differential_tests.fingerprint.tensors",
        "differential_tests.fingerprint.stats",
        "differential_tests.validate_stats.reference",
        "differential_tests.validate_stats.tolerance",
        "trace_payload",
        "oracles[1]",
        "metadata.tier",
    ]


def test_a_median_that_cannot_be_refuted_is_refused_with_its_line(write: Write) -> None:
    text = "name: x\nmodel: {hf_repo: a/b}\nprofile_ci:\n  assertions:\n    max_p50_ms: 9\n"
    with pytest.raises(PlaybookError, match=r"x-mvp.playbook.yaml:5: .*measure be 5 or more"):
        plan(write(text, "x-mvp.playbook.yaml"))


def test_one_format_without_seed_timeout_gates_or_policy(write: Write) -> None:
    made = plan(
        write(
            """\
            name: coder-1.5b-ci
            version: "1.0.0"
            model: {hf_repo: "lab/coder-1.5b", formats: [gguf], quantizations: [q4_k_m]}
            test_matrix: {modalities: [run, chat], backends: [cpu], scenario_count: 25}
            """,
            "coder-1.5b-ci.playbook.yaml",
        )
    )
    assert (made.tier, len(made.scenarios)) == (Tier.QUICK, 50)
    assert made.failure_policy is FailurePolicy.STOP_ON_P0
    assert made.seed == 42


def test_prompts_of_a_kernel_profile_are_all_used_not_only_the_first(write: Write) -> None:
    made = plan(
        write(
            """\
            name: coder-1.5b-mvp
            model: {hf_repo: "lab/coder-1.5b", expected_hidden_dim: 1536, family: qwen2}
            test_matrix:
              scenario_count: 1
              prompts:
                - "What is 2+2?"
                - "Calculate 7*8"
                - "def fibonacci(n):"
                - "List the first 5 prime numbers. Now sum them."
                - "What is 0.1 + 0.2? Give a precise answer."
                - "Given x=5 and y=3, what is x*y? Then what is the result plus 10?"
            kernel_profile:
              family: qwen2
              kernel_ops: [FusedQ4kMatvec, GroupedQueryAttention, Rope]
              prompt_count: 6
              long_context: true
            """,
            "coder-1.5b-mvp.playbook.yaml",
        )
    )
    assert made.distinct_prompts == 6
    assert fields(made) == ["kernel_profile"]
    by_name = {check.scenario.name: check.scenario for check in made.scenarios if check.scenario}
    oracles = {name: [o.type for o in s.oracles] for name, s in by_name.items()}
    assert oracles["prompt-001"] == ["arithmetic"]
    assert oracles["prompt-003"] == ["code_syntax"]
    assert oracles["prompt-004"] == []


@pytest.mark.parametrize("profile", ["", "profile_ci: {enabled: 'false'}\n"])
def test_a_smoke_playbook(write: Write, profile: str) -> None:
    made = plan(
        write(
            "name: coder-smoke\nmodel: {hf_repo: lab/coder, formats: [safetensors]}\n"
            "test_matrix: {modalities: [run], backends: [cpu], scenario_count: 3}\n" + profile,
            "coder-smoke.playbook.yaml",
        )
    )
    assert (made.tier, len(made.scenarios)) == (Tier.SMOKE, 3)
    assert made.backends == (Backend.CPU,)
    assert bool(made.shortfall) is bool(profile)
