from __future__ import annotations

import pytest


def test_every_check_of_the_plan_is_an_item_with_a_readable_id(session):
    ids = session.collect()
    assert "tiny.playbook.yaml::G0[gguf]" in ids
    assert "tiny.playbook.yaml::G1[gguf-cpu]" in ids
    assert any("[gguf-cpu-chat]" in nodeid for nodeid in ids)
    assert len(ids) == len(set(ids))


def test_items_of_a_cell_are_next_to_each_other(session):
    playbook = session.playbook.replace("formats: [gguf]", "formats: [safetensors, gguf]")
    formats = [
        "gguf" if "[gguf" in nodeid else "safetensors"
        for nodeid in session.collect(playbook=playbook)
        if "[" in nodeid
    ]
    assert formats == sorted(formats, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "G1"), {"G1[gguf-cpu]"}),
        (("-m", "gateway and backend_cpu"), {"G1[gguf-cpu]", "G2[gguf-cpu]", "G4[gguf-cpu]"}),
        (("-m", "category_PERF".lower(), "-k", "decode"), {"decode-rate[gguf-cpu]"}),
    ],
)
def test_items_are_selected_by_name_and_marker(session, arguments, expected):
    assert {nodeid.partition("::")[2] for nodeid in session.collect(*arguments)} == expected


def test_a_node_id_names_one_item(session):
    session.write()
    result = session.pytester.runpytest_inprocess(
        "--collect-only", "-q", "tiny.playbook.yaml::G2[gguf-cpu]"
    )
    result.stdout.fnmatch_lines(["tiny.playbook.yaml::G2?gguf-cpu?", "1 test collected*"])


@pytest.mark.parametrize("tier", ["smoke", "mvp"])
def test_items_bear_the_markers_of_the_tiers_that_include_them(session, tier):
    assert session.collect(
        "-m", f"tier_{tier}", playbook=session.playbook.replace("gguf", "safetensors")
    )


def test_a_typo_is_an_error_with_file_line_field_and_suggestion(session):
    broken = session.playbook.replace("scenario_count", "scenario_cuont")
    session.write(broken)
    result = session.pytester.runpytest_inprocess("tiny.playbook.yaml")
    line = 1 + broken[: broken.index("scenario_cuont")].count("\n")
    result.stdout.fnmatch_lines(
        [f"*tiny.playbook.yaml:{line}: test_matrix.scenario_cuont: *scenario_count*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_a_playbook_that_cannot_serve_a_tier_says_what_can(session):
    session.write()
    result = session.pytester.runpytest_inprocess("tiny.playbook.yaml", "--tier", "smoke")
    result.stdout.fnmatch_lines(["*tiny.playbook.yaml*safetensors*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_collecting_imports_no_engine(session):
    session.write()
    session.pytester.makeconftest(
        """
        import sys

        def pytest_sessionfinish():
            heavy = {"torch", "transformers", "xllamacpp", "ray", "matplotlib", "scipy"}
            print("HEAVY", sorted(heavy & set(sys.modules)))
        """
    )
    result = session.pytester.runpytest_subprocess("--collect-only", "-q", "-s")
    result.stdout.fnmatch_lines(["HEAVY ?]"])


def test_a_session_without_playbooks_does_not_notice_the_plugin(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            ours = sorted(m for m in sys.modules if m.startswith("pytest_aprqa"))
            print("OURS", *ours)
        """
    )
    result = pytester.runpytest_subprocess("-s")
    [line] = [line for line in result.outlines if line.startswith("OURS")]
    assert set(line.split()[1:]) <= {
        "pytest_aprqa",
        "pytest_aprqa.plugin",
        "pytest_aprqa.plugin.markers",
        "pytest_aprqa.plugin.options",
        "pytest_aprqa.words",
    }
    result.stdout.no_fnmatch_line("*certificate*")
    result.stdout.no_fnmatch_line("*aprqa:*")
    assert not (pytester.path / "certifications").exists()


def test_fixtures_of_every_scope_reach_the_items(session):
    session.pytester.makeconftest(
        """
        import pytest

        def make(scope):
            @pytest.fixture(scope=scope, autouse=True, name=f"{scope}_fixture")
            def fixture(request):
                print("SCOPE", scope)
            return fixture

        session_fixture, module_fixture, function_fixture = map(
            make, ("session", "module", "function")
        )

        @pytest.fixture(autouse=True)
        def reads_the_gateway(request, g1):
            print("GATEWAY", g1.check, g1.outcome)
        """
    )
    result = session.run("-k", "G2", "-s")
    for scope in ("session", "module", "function"):
        result.stdout.fnmatch_lines([f"*SCOPE {scope}*"])
    result.stdout.fnmatch_lines(["*GATEWAY G1?gguf-cpu? corroborated*"])


def test_the_plan_is_shown_and_nothing_runs(session):
    result = session.run("--aprqa-plan")
    result.stdout.fnmatch_lines(["*plan of aprqa/aprqa-reference*", "*at 95 %*"])
    assert not session.output.exists()
    assert result.ret == 0


def test_locations_are_lines_of_the_playbook(session):
    session.write()
    items, _ = session.pytester.inline_genitems("tiny.playbook.yaml")
    lines = session.playbook.splitlines()
    for item in items:
        path, line, _ = item.reportinfo()
        assert path.name == "tiny.playbook.yaml"
        assert 0 <= line < len(lines)


def test_a_plan_that_may_stop_early_promises_what_its_certificate_would_state(session):
    questions = [f"What is {number}+{number}?" for number in range(100)]
    playbook = (
        session.playbook.replace("tier: mvp", "tier: deep")
        .replace("scenario_count: 1", f"scenario_count: {len(questions)}")
        .replace('["What is 2+2?"]', str(questions))
    )
    session.run("--aprqa-plan", playbook=playbook).stdout.fnmatch_lines(
        ["*each cell stops early; 55 distinct prompts * >= 0.880 at 95 %."]
    )
    asking_all = session.run("--aprqa-plan", "--aprqa-no-early-stop", playbook=playbook)
    asking_all.stdout.fnmatch_lines(["If all 100 distinct prompts pass * >= 0.970 at 95 %."])


def test_what_a_playbook_asks_and_nobody_does_is_said_at_collection(session):
    session.write(session.playbook + "kernel_profile: {family: qwen2}\n")
    result = session.pytester.runpytest_inprocess("--collect-only", "-q")
    line = len(session.playbook.splitlines()) + 1
    assert f"tiny.playbook.yaml:{line}: kernel_profile: kernels are not observed" in (
        result.stdout.str()
    )
    assert result.ret == 0
