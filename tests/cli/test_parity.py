from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def golden(tmp_path_factory, builtin):
    """A corpus made from the model that ships with the package, by the command."""
    folder = tmp_path_factory.mktemp("golden")
    arguments = ["--model-family", "tiny", "--corpus", ".", "--make", "--threads", "1"]
    arguments += ["--hf-repo", "aprqa/aprqa-reference"]
    subprocess.run(
        [sys.executable, "-m", "pytest_aprqa.cli", "parity", builtin, *arguments],
        cwd=folder,
        check=True,
    )
    return folder / "tiny.golden.json"


def test_a_conversion_is_held_against_the_corpus(cli, builtin, golden, tmp_path):
    listed = cli("parity", "--list", "--corpus", golden.parent)
    assert listed.code == 0
    assert "aprqa/aprqa-reference" in listed.out
    assert cli("convert", builtin, "model.gguf").code == 0
    result = cli(
        "parity",
        "model.gguf",
        "--model-family",
        "tiny",
        "-c",
        golden.parent,
        "--threads",
        1,
        "--json",
    )
    assert result.code == 0, result
    [found] = result.json
    assert found["outcome"] == "corroborated"
    assert found["compared"]["tokens"] > 100


def test_a_corpus_of_a_model_without_an_id_is_known_by_its_path(cli, builtin):
    made = cli("parity", builtin, "--model-family", "mine", "--make", "--threads", 1)
    assert made.code == 0, made
    assert cli("parity", "--list", "--json").json[0]["model_id"] == "local/aprqa-reference"
    asked = cli("parity", "-m", "mine")
    assert (asked.code, "give the MODEL to check" in asked.sentence) == (2, True)


def test_a_corpus_that_says_otherwise_falsifies(cli, builtin, golden, tmp_path):
    corpus = json.loads(golden.read_text())
    for text in corpus["texts"]:
        text["top_ids"] = [[(token + 7) % 1024 for token in row] for row in text["top_ids"]]
    (tmp_path / "tiny.golden.json").write_text(json.dumps(corpus))
    assert cli("convert", builtin, "model.gguf").code == 0
    result = cli("parity", "model.gguf", "-m", "tiny", "-c", ".", "--threads", 1)
    assert result.code == 1
    assert "falsified" in result.out


def test_a_corpus_holds_the_scores_of_every_token(golden):
    corpus = json.loads(golden.read_text())
    assert corpus["model_id"] == "aprqa/aprqa-reference"
    for text in corpus["texts"]:
        assert len(text["token_ids"]) == len(text["logprobs"]) + 1 == len(text["top_ids"]) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["parity"], 2, "--model-family"),
        (["parity", "-m", "../x"], 2, "names no corpus"),
        (["parity", "-m", "none"], 3, "there is no corpus golden/none.golden.json"),
        (["parity", "--list"], 3, "there is no corpus in golden"),
        (["parity", "-m", "x", "--make"], 2, "needs the MODEL"),
        (["parity", "-m", "bad", "-c", "."], 2, "bad.golden.json, field digest"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_one_sentence(
    cli, tmp_path, arguments, code, words
):
    (tmp_path / "bad.golden.json").write_text('{"family": "bad"}')
    result = cli(*arguments)
    assert (result.code, words in result.sentence) == (code, True), result
