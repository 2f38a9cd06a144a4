"""`--base-url`: serve and chat cells ask a real server that somebody else runs, or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.falsify.http_proxy import Meddling, Proxy

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
PLAYBOOK = """\
name: tiny
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [gguf]}
test_matrix:
  modalities: [run, chat, serve]
  backends: [cpu]
  scenario_count: 1
  prompts: ["What is 2+2?"]
failure_policy: collect-all
metadata: {tier: mvp}
"""
NOBODY = "http://127.0.0.1:9"


def scenarios(session, modality):
    records = session.evidence()["records"]
    found = [r for r in records if r["kind"] == "scenario" and r["modality"] == modality]
    assert found
    return found


def test_serve_and_chat_ask_the_server_for_the_model_of_that_name(session, serve):
    bodies = []
    endpoint = serve(BUILTIN)
    proxy = Proxy(endpoint, Meddling(request=lambda body: bodies.append(dict(body)) or body))
    address = f"{proxy.endpoint.base_url}/v1"
    try:
        result = session.run("--base-url", address, "--base-url-model", "named", playbook=PLAYBOOK)
    finally:
        proxy.close()
    assert result.ret == 0
    for modality in ("chat", "serve"):
        for record in scenarios(session, modality):
            assert record["outcome"] == "corroborated", record["reason"]
            assert record["engine"] == f"{proxy.endpoint.base_url}, model 'named'"
    assert all("llama" in record["engine"] for record in scenarios(session, "run"))
    assert {body["model"] for body in bodies} == {"named"}
    asked = len(scenarios(session, "chat")) + len(scenarios(session, "serve"))
    parity = 1
    assert sum(not body["stream"] for body in bodies) == asked + parity
    [modality] = [r for r in session.evidence()["records"] if r["check"].startswith("modality")]
    assert "compared as text" in modality["reason"]


def test_a_server_that_is_not_reached_is_no_fault_of_the_model_and_no_success(session):
    result = session.run("--base-url", NOBODY, playbook=PLAYBOOK)
    for modality in ("chat", "serve"):
        for record in scenarios(session, modality):
            assert (record["outcome"], record["attribution"]) == ("inconclusive", "environment")
            assert f"the server {NOBODY} is not reached" in record["reason"]
    certificate = session.evidence()["certificate"]
    assert certificate["status"] == "PARTIAL"
    assert certificate["score"] >= certificate["threshold"]
    assert "the named server left" in certificate["reason"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "arguments",
    [
        ("--base-url", "notaurl"),
        ("--base-url", "ftp://127.0.0.1"),
        ("--base-url", "http://"),
        ("--base-url", "http://host:port"),
        ("--base-url", "http://a b"),
        ("--base-url-model", "named"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_starts(session, arguments):
    result = session.run(*arguments, playbook=PLAYBOOK)
    output = result.stdout.str() + result.stderr.str()
    assert f"--aprqa-{arguments[0][2:]}" in output
    assert arguments[1] in output
    assert "Traceback" not in output
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not session.output.exists()
