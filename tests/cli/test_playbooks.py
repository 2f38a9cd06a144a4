from __future__ import annotations

import json
import shutil

import pytest

from pytest_aprqa.artifact.locate import BUILTIN
from pytest_aprqa.cli.playbooks import Kernel
from pytest_aprqa.playbook.families import KERNELS
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_generate_writes_a_playbook_that_plans(cli, tmp_path, form):
    result = cli("generate", "org/Some-Model", "-c", 5, "-f", form)
    assert result.code == 0
    path = tmp_path / "made.playbook.yaml"
    path.write_text(result.out)
    loaded = load_playbook(path)
    assert loaded.playbook.model.hf_repo == "org/Some-Model"
    assert len(loaded.playbook.scenarios) == 5
    plan = make_plan(loaded, no_gpu=True)
    assert {check.scenario.name for check in plan.scenarios} >= {"arithmetic-001", "fact-001"}
    assert cli("generate", "org/Some-Model", "-c", 5, "-f", form).out == result.out
    assert cli("generate", "org/Some-Model", "-c", 5, "-f", form, "--seed", 7).out != result.out
    if form == "json":
        assert len(json.loads(result.out)["scenarios"]) == 5


def test_lock_playbooks_locks_and_tells_what_has_changed(cli, tmp_path):
    folder = tmp_path / "playbooks" / "models"
    assert cli("new", "org/one", "--output", folder / "one-mvp.playbook.yaml").code == 0
    assert cli("lock-playbooks", "--check").code == 3
    assert cli("lock-playbooks").code == 0
    assert cli("lock-playbooks", "--check").code == 0
    path = folder / "one-mvp.playbook.yaml"
    path.write_text("# a comment changes nothing\n" + path.read_text())
    assert cli("lock-playbooks", "--check").code == 0
    path.write_text(path.read_text().replace("org/one", "org/two"))
    result = cli("lock-playbooks", "--check")
    assert result.code == 1
    assert "one-mvp.playbook.yaml: model.hf_repo has changed since it was locked" in result.err
    assert cli("lock-playbooks", "nowhere").code == 3
    (tmp_path / "list.yaml").write_text("- one\n")
    for name in ("list.yaml", path.relative_to(tmp_path)):
        result = cli("lock-playbooks", "--check", "-o", name)
        assert (result.code, "not a lock file" in result.sentence) == (2, True), result


def test_new_extends_a_template_under_the_name_that_certify_looks_for(cli, tmp_path):
    assert cli("new", "org/My-Model-Instruct", "--template", "quick-check").code == 0
    path = tmp_path / "playbooks" / "models" / "my-model-instruct-quick.playbook.yaml"
    assert load_playbook(path).playbook.model.hf_repo == "org/My-Model-Instruct"
    again = cli("new", "org/My-Model-Instruct", "--template", "quick-check")
    assert (again.code, "--force replaces it" in again.sentence) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "org/x", "--template", "mpv"], "--template: 'mpv' is none of "),
        (["new", "org/x", "--template", "./none.yaml"], "no file playbooks/models/none.yaml"),
        (["new", "no-slash"], "is no model id"),
        (["new", "org/x", "--output", "x.yaml"], "must end in .playbook.yaml"),
        (["generate", "no-slash"], "is no model id"),
    ],
)
def test_a_playbook_that_would_not_load_is_not_left_behind(cli, tmp_path, arguments, words):
    result = cli(*arguments)
    assert (result.code, words in result.sentence) == (2, True), result
    assert not list(tmp_path.rglob("*.yaml"))


def test_bootstrap_states_what_the_model_says_of_itself(cli, builtin, tmp_path):
    result = cli("bootstrap", builtin, "--hf-repo", "org/tiny", "-o", "a/b.playbook.yaml")
    assert result.code == 0, result
    loaded = load_playbook(tmp_path / "a" / "b.playbook.yaml")
    config = json.loads((builtin / "config.json").read_text())
    model = loaded.playbook.model
    assert model.expected_hidden_dim == config["hidden_size"]
    assert model.expected_num_layers == config["num_hidden_layers"]
    assert model.expected_vocab_size == config["vocab_size"]
    assert (model.family, model.size_category) == (config["model_type"], "tiny")
    assert (loaded.path.parent / model.local_path).resolve() == builtin.resolve()


@pytest.mark.parametrize("given", ["tiny", "tiny/config.json"])
def test_bootstrap_of_a_config_alone_says_what_the_whole_model_does(cli, builtin, tmp_path, given):
    (tmp_path / "tiny").mkdir()
    shutil.copy(builtin / "config.json", tmp_path / "tiny")
    options = ("--hf-repo", "org/tiny", "-o")
    assert cli("bootstrap", builtin, *options, "whole.playbook.yaml").code == 0
    result = cli("bootstrap", given, *options, "alone.playbook.yaml")
    assert result.code == 0, result
    whole, alone = (
        load_playbook(tmp_path / f"{name}.playbook.yaml").playbook.model
        for name in ("whole", "alone")
    )
    assert alone == whole.model_copy(update={"local_path": None})
    assert alone.expected_num_layers
    assert cli("bootstrap", given, "-o", "local.playbook.yaml").code == 0
    local = load_playbook(tmp_path / "local.playbook.yaml").playbook.model
    assert (local.hf_repo, local.local_path) == ("local/tiny", "tiny")
    refused = cli("certify", "--model-path", "tiny")
    assert (refused.code, "no weights" in refused.sentence) == (3, True)


def test_bootstrap_needs_a_model(cli, tmp_path):
    assert cli("bootstrap", "nowhere").code == 3
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    result = cli("bootstrap", "bad.gguf")
    assert (result.code, "bad.gguf" in result.sentence) == (1, True)


def test_new_covers_every_model_of_a_registry_once(cli, tmp_path):
    registry = tmp_path / "models.csv"
    rows = ["model_id,family,parameters,size_category", "org/Small-1B,one,1B,small"]
    rows += ["org/Large-20B-Instruct,two,20B,large", "org/Large-20B,two,20B,large"]
    registry.write_text("\n".join(rows) + "\n")
    folder = tmp_path / "playbooks" / "models"
    assert cli("new", "--registry", registry).code == 0
    assert {path.name for path in folder.iterdir()} == {
        "small-1b-mvp.playbook.yaml",
        "small-1b-smoke.playbook.yaml",
        "large-20b-instruct-mvp.playbook.yaml",
        "large-20b-mvp.playbook.yaml",
    }
    assert all(make_plan(load_playbook(path)).checks for path in folder.iterdir())
    assert cli("new", "--registry", registry).out == ""


@pytest.mark.parametrize("where", ["playbooks", "."])
def test_an_editor_is_told_of_the_schema_where_there_is_one(cli, tmp_path, where):
    path = tmp_path / "playbooks" / "models" / "x-mvp.playbook.yaml"
    assert cli("new", "org/x").code == 0
    assert "schema" not in path.read_text()
    (tmp_path / where / "playbook.schema.yaml").write_text("{}\n")
    assert cli("new", "org/x", "--force").code == 0
    first = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / first).resolve() == tmp_path / where / "playbook.schema.yaml"


def test_every_part_of_an_architecture_can_be_asked_for(cli):
    assert {kernel.value for kernel in Kernel} == {*KERNELS}
    asked = cli("generate", "org/x", "-c", 20, "--kernel", "bias", "--kernel", "rope").out
    assert "kernel-bias-001" in asked
    assert "kernel-rope-001" in asked


def test_a_model_by_path_is_asked_what_leans_on_its_own_architecture(cli, tmp_path):
    path = tmp_path / "made.playbook.yaml"
    result = cli("generate", BUILTIN / "aprqa-reference", "-c", 30, "--output", path)
    assert result.code == 0
    loaded = load_playbook(path)
    names = {scenario.name.rpartition("-")[0] for scenario in loaded.playbook.scenarios}
    assert names >= {"kernel-gqa", "kernel-rope", "kernel-tied-embeddings", "kernel-swiglu"}
    assert "kernel-bias" not in names
    assert (tmp_path / loaded.playbook.model.local_path).resolve() == BUILTIN / "aprqa-reference"
