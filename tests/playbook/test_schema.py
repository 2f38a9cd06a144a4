"""The language: what is accepted, and what is said of everything else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.words import Backend, FailurePolicy, Format, SizeCategory

Load = Callable[..., LoadedPlaybook]
Problems = Callable[..., list[str]]

FILE = "sample.playbook.yaml"


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            "formats: [gguf]",
            (
                "4: formats: unknown field; allowed: contract_tests, description, differential_tests, "
                "extends, failure_policy, falsification_gates, gates, kernel_profile, metadata, model, "
                "mvp_matrix, name, ollama_parity, oracles, profile_ci, property_tests, scenarios, "
                "state_machine, test_matrix, trace_payload, verification_tests, version "
                "(did you mean 'model.formats'?)"
            ),
        ),
        (
            "contract_tests: {invariant: [I-1]}",
            (
                "4: contract_tests.invariant: unknown field; allowed: invariants "
                "(did you mean 'invariants'?)"
            ),
        ),
        (
            "  formats: [gguf, ggml]",
            "4: model.formats[1]: found 'ggml'; allowed: safetensors, apr, gguf",
        ),
        (
            "test_matrix:\n  modalities: [run, chatt]",
            (
                "5: test_matrix.modalities[1]: found 'chatt'; allowed: run, chat, serve "
                "(did you mean 'chat'?)"
            ),
        ),
        (
            "test_matrix: {modalities: run}",
            "4: test_matrix.modalities: found 'run'; allowed: a list",
        ),
        ("test_matrix: {backends: [cpu, cpu]}", "4: test_matrix.backends: names 'cpu' twice"),
        (
            "test_matrix: {scenario_count: 0}",
            (
                "4: test_matrix.scenario_count: found the number 0; allowed: "
                "greater than or equal to 1"
            ),
        ),
        (
            "test_matrix: {scenario_count: true}",
            "4: test_matrix.scenario_count: found the boolean true; allowed: a number",
        ),
        (
            "test_matrix: {scenario_count: 2.5}",
            "4: test_matrix.scenario_count: found the number 2.5; allowed: a whole number",
        ),
        (
            "test_matrix: {timeout_ms: soon}",
            "4: test_matrix.timeout_ms: found 'soon'; allowed: a whole number",
        ),
        ("test_matrix:", "4: test_matrix: found nothing; allowed: a mapping"),
        (
            "test_matrix:\n  prompts:\n    - 2+2=\n    - 22",
            (
                "7: test_matrix.prompts[1]: found 22; allowed: text in quotes, "
                "or a mapping with `prompt`"
            ),
        ),
        (
            "test_matrix: {prompts: ['  ']}",
            (
                "4: test_matrix.prompts[0]: found '  '; allowed: "
                "text with at least one visible character"
            ),
        ),
        (
            "scenarios:\n  - prompt: hi",
            "5: scenarios[0].name: is missing: Name in node ids, reports and the evidence",
        ),
        (
            "scenarios:\n  - {name: a b, prompt: hi}",
            "5: scenarios[0].name: found 'a b'; allowed: letters, digits, `_`, `.` and `-`",
        ),
        (
            "scenarios:\n  - {name: a, prompt: hi, history: [{role: robot, content: x}]}",
            "5: scenarios[0].history[0].role: found 'robot'; allowed: user, assistant",
        ),
        (
            "scenarios:\n  - {name: a, prompt: hi, temperature: -1}",
            "5: scenarios[0].temperature: found the number -1; allowed: greater than or equal to 0",
        ),
        (
            'gates: {g4_output_quality: "off"}',
            (
                "4: gates.g4_output_quality: a gateway cannot be switched off, no score counts "
                "without it; take the line away, or leave its checks out of a run with pytest's -k"
            ),
        ),
        (
            "gates: {g1_model_loads: maybe}",
            "4: gates.g1_model_loads: found 'maybe'; allowed: true, yes, on, false, no, off",
        ),
        (
            "failure_policy: collect-al",
            (
                "4: failure_policy: found 'collect-al'; allowed: stop-on-first, stop-on-p0, "
                "collect-all, fail-fast (did you mean 'collect-all'?)"
            ),
        ),
        (
            "contract_tests: {invariants: [I-6]}",
            (
                "4: contract_tests.invariants[0]: found 'I-6'; allowed: I-1, I-2, I-3, I-4, I-5 "
                "(did you mean 'I-5'?)"
            ),
        ),
        (
            "profile_ci: {min_throughput: 3}",
            (
                "4: profile_ci.min_throughput: unknown field; allowed: assertions, backends, enabled, "
                "formats, gates, measure, warmup (did you mean 'profile_ci.assertions.min_throughput'?)"
            ),
        ),
        (
            "profile_ci: {assertions: {max_ttft_ms: .inf}}",
            "4: profile_ci.assertions.max_ttft_ms: found the number inf; allowed: a finite number",
        ),
        ("oracles: [{config: {}}]", "4: oracles[0].type: is missing: Name of the oracle"),
        ("oracles: {type: garbage}", "4: oracles: found a mapping; allowed: a list"),
        (
            "metadata: {tier: gold}",
            (
                "4: metadata.tier: found 'gold'; allowed: smoke, mvp, quick, standard, deep, ci, "
                "nightly, full, release"
            ),
        ),
        (
            "property_tests: [{name: a, generator: b}]",
            "4: property_tests[0].oracle: is missing",
        ),
        (
            "  expected_num_layers: many",
            "4: model.expected_num_layers: found 'many'; allowed: a whole number",
        ),
        (
            "  sha256: {a.gguf: 12ab}",
            "4: model.sha256.a.gguf: found '12ab'; allowed: a sha256 of 64 hexadecimal digits",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_what_was_found_and_what_is_allowed(
    problems: Problems, extra: str, said: str
) -> None:
    assert problems(extra) == [f"{FILE}:{said}"]


@pytest.mark.parametrize(
    ("extra", "allowed"),
    [
        ("property_tests: [{name: a, generator: b, oracle: c, n: 1}]", "count, generator"),
        ("property_tests: {case: 1}", "cases, enabled, max_shrink_iters"),
        ("state_machine: {states: {idle: {exit: []}}}", "on_enter, on_exit, transitions"),
        ("state_machine: {transitions: [{form: a}]}", "action, event, from, guards, target, to"),
        ("  package: {pip: x}", "file, pypi, sha256, version, wheel_sha256"),
    ],
)
def test_an_unknown_field_deep_inside_is_told_its_own_siblings(
    problems: Problems, extra: str, allowed: str
) -> None:
    said = problems(extra)
    assert any(f"unknown field; allowed: {allowed}" in line for line in said)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("  files: {ggufx: a.gguf}", "model.files.ggufx: found 'ggufx'; allowed: safetensors, apr"),
        ("profile_ci: {assertions: {max_ttft_ms: fast}}", "found 'fast'; allowed: a number"),
        ("test_matrix: {max_tokens: [1]}", "found a list; allowed: a whole number"),
        ("  formats: []", "model.formats: found an empty list; allowed: at least one"),
        ("oracles: [{type: ''}]", "oracles[0].type: found ''; allowed: text that is not empty"),
        ("failure_policy:", "failure_policy: found nothing; allowed: stop-on-first"),
        ("description: " + "x" * 2001, "allowed: at most 2000 characters"),
    ],
)
def test_other_values_that_do_not_fit(problems: Problems, extra: str, said: str) -> None:
    [line] = problems(extra)
    assert said in line


def test_a_version_that_yaml_reads_as_a_number_is_asked_for_in_quotes(problems: Problems) -> None:
    said = problems("version: 1.0")
    assert said == [f"{FILE}:4: version: found the number 1.0; allowed: text; put it in quotes"]


def test_a_placeholder_left_in_the_model_id_is_a_mistake(write: Callable[..., object]) -> None:
    from pytest_aprqa.playbook.load import PlaybookError, load_playbook

    path = write("name: x\nmodel: {hf_repo: '${HF_REPO}'}\n")
    with pytest.raises(PlaybookError, match=r"found '\$\{HF_REPO\}'; allowed: a Hugging Face id"):
        load_playbook(path)


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    said = problems("failure_policy: x\nversion: 2\ntest_matrix: {seed: -1}\ngate: {}\n")
    assert [line.split(": ")[0] for line in said] == [f"{FILE}:{n}" for n in (4, 5, 6, 7)]


def test_a_flood_of_mistakes_is_cut_off_and_counted(problems: Problems) -> None:
    said = problems("\n".join(f"k{number}: 1" for number in range(150)))
    assert len(said) == 101
    assert said[-1] == "and 50 more problems"


@pytest.mark.parametrize("word", ["true", "yes", "on", "'true'", "'Yes'", "'ON'", "'True'"])
def test_a_flag_may_be_a_quoted_word(load: Load, word: str) -> None:
    assert load(f"profile_ci: {{enabled: {word}}}").playbook.profile_ci.enabled is True


@pytest.mark.parametrize("word", ["false", "no", "off", "'false'", "'No'", "'OFF'"])
def test_a_flag_may_be_off_in_as_many_ways(load: Load, word: str) -> None:
    assert load(f"profile_ci: {{enabled: {word}}}").playbook.profile_ci.enabled is False


@pytest.mark.parametrize("policy", FailurePolicy)
@pytest.mark.parametrize("joint", ["-", "_"])
def test_a_failure_policy_is_spelled_with_hyphens_or_underscores(
    load: Load, policy: FailurePolicy, joint: str
) -> None:
    spelled = policy.replace("-", joint)
    assert load(f"failure_policy: {spelled}").playbook.failure_policy is policy


def test_a_number_in_scientific_notation_is_a_number(load: Load) -> None:
    loaded = load("differential_tests: {inference_compare: {tolerance: 1e-5}}")
    compare = loaded.playbook.differential_tests
    assert compare
    assert compare.inference_compare
    assert compare.inference_compare.tolerance == 1e-5


def test_a_prompt_may_be_only_its_text(load: Load) -> None:
    loaded = load("test_matrix: {prompts: [2+2=, {prompt: hi, expected: ho}]}")
    short, long = loaded.playbook.test_matrix.prompts
    assert (short.prompt, short.expected) == ("2+2=", ())
    assert (long.prompt, long.expected) == ("hi", ("ho",))


def test_an_automatic_size_category_is_none(load: Load) -> None:
    assert load("  size_category: auto").playbook.model.size_category is None
    assert load("  size_category: tiny").playbook.model.size_category is SizeCategory.TINY


def test_only_a_name_and_a_model_have_to_be_given(load: Load) -> None:
    playbook = load().playbook
    assert playbook.model.formats == tuple(Format)
    assert playbook.test_matrix.backends == tuple(Backend)
    assert playbook.failure_policy is FailurePolicy.STOP_ON_P0
    assert playbook.notices == ()


def test_metadata_is_free_but_for_the_tier(load: Load) -> None:
    metadata = load("metadata: {author: me, tags: [a, b], tier: nightly}").playbook.metadata
    assert metadata.tier == "nightly"
    assert metadata.model_extra == {"author": "me", "tags": ["a", "b"]}


def test_a_playbook_cannot_be_changed(load: Load) -> None:
    playbook = load().playbook
    with pytest.raises(ValueError, match="frozen"):
        playbook.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        (
            "state_machine: {initial: a, states: {a: {transitions: [{event: e, target: a}]}}}",
            "state_machine",
        ),
        (
            "state_machine: {states: [a], transitions: [{from: a, to: a, action: b}]}",
            "state_machine",
        ),
        ("trace_payload: {enabled: 'true', prompt: 2+2=}", "trace_payload"),
        ("ollama_parity: {enabled: 'on', min_perf_ratio: 1}", "ollama_parity.min_perf_ratio"),
        ("kernel_profile: {family: qwen2, kernel_ops: [Rope]}", "kernel_profile"),
        ("verification_tests: [{id: V-1, run: something}]", "verification_tests"),
        ("mvp_matrix: [{format: gguf, prompt: hi}]", "mvp_matrix"),
        ("profile_ci: {gates: [F-PROFILE-CI-001]}", "profile_ci.gates"),
        (
            "differential_tests: {fingerprint: {enabled: 'true', tensors: all}}",
            "differential_tests.fingerprint.tensors",
        ),
    ],
)
def test_a_field_without_effect_is_named_to_the_user_with_its_line(
    load: Load, extra: str, field: str
) -> None:
    [notice] = load("\n" + extra).notices
    assert (notice.field, notice.line) == (field, 4)
    assert len(notice.reason) > 20


@pytest.mark.parametrize(
    "extra",
    [
        "trace_payload: {enabled: 'false'}",
        "differential_tests: {tensor_diff: {enabled: 'off', filter: attn}}",
        "kernel_profile:",
    ],
)
def test_a_section_that_is_empty_or_switched_off_is_not_worth_a_notice(
    load: Load, extra: str
) -> None:
    assert load(extra).notices == ()
