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
    output = result.stdout.str() + result.stderr.str()
    assert "aprqa_tier: 'gold' is none of smoke, mvp, quick, standard, deep" in output
    assert "Traceback" not in output


def test_a_wrong_choice_on_the_command_line_says_what_is_allowed(session):
    session.write()
    result = session.pytester.runpytest_subprocess("--tier", "gold")
    result.stderr.fnmatch_lines(["*invalid choice: 'gold'*smoke*mvp*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_number_that_is_none_is_a_usage_error(session):
    session.write()
    result = session.pytester.runpytest_subprocess("--aprqa-threads", "many")
    output = result.stdout.str() + result.stderr.str()
    assert "--aprqa-threads: 'many' is not a number above zero" in output
    assert "Traceback" not in output
