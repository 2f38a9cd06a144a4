from __future__ import annotations

import pytest

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--tier", help="Ours")

def pytest_report_header(config):
    return [f"theirs={config.getoption('--tier')}", f"ours={config.getoption('aprqa_tier')}"]
"""


def test_a_short_name_is_left_to_whoever_has_it(session):
    session.pytester.makeconftest(CONFTEST)
    session.write()
    result = session.pytester.runpytest_subprocess(
        "--collect-only", "--tier", "gold", "--aprqa-tier", "mvp", "-W", "default"
    )
    result.stdout.fnmatch_lines(["theirs=gold", "ours=mvp"])
    result.stdout.fnmatch_lines(["*--tier belongs to another plugin*--aprqa-tier only*"])


@pytest.mark.parametrize(
    "arguments", [("--tier", "quick"), ("--tier=quick",), ("--aprqa-tier", "quick")]
)
def test_both_names_of_an_option_mean_the_same(session, arguments):
    assert session.collect(*arguments)


def test_an_ini_value_stands_in_for_an_option(session):
    session.pytester.makeini("[pytest]\naprqa_tier = smoke\n")
    session.write(session.playbook.replace("[gguf]", "[safetensors, gguf]"))
    result = session.pytester.runpytest_inprocess("--collect-only", "-q")
    assert not [line for line in result.outlines if "gguf" in line]


def test_an_ini_value_that_is_no_tier_is_named(session):
    session.pytester.makeini("[pytest]\naprqa_tier = gold\n")
    session.write()
    result = session.pytester.runpytest_subprocess("--collect-only")
    words = "ERROR: aprqa_tier: 'gold' is none of smoke, mvp, quick, standard, deep"
    result.stderr.fnmatch_lines([words])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--tier=mvpp",
            "'mvpp' is none of smoke, mvp, quick, standard, deep (did you mean 'mvp'?)",
        ),
        ("--failure-policy=colect-all", "fail-fast (did you mean 'collect-all'?)"),
    ],
)
def test_a_wrong_choice_on_the_command_line_says_what_is_allowed(session, option, words):
    session.write()
    result = session.pytester.runpytest_subprocess(option)
    assert words in result.stderr.str()
    assert "<" not in result.stderr.str().partition("inifile")[0]
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("given", ["many", "0", "-1", "inf", "nan"])
@pytest.mark.parametrize("name", ["threads", "check-timeout", "engine-memory"])
def test_a_number_that_is_none_is_a_usage_error(session, name, given):
    session.write()
    result = session.pytester.runpytest_inprocess(f"--aprqa-{name}={given}")
    assert f"--aprqa-{name}: {given!r} is not a number above zero" in result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "collecting" not in result.stdout.str()
