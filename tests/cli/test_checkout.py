from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def checkout(certified, tmp_path):
    """A copy of the certified checkout, to be spoilt."""
    root = tmp_path / "copy"
    shutil.copytree(certified.root, root)
    return root


def write_playbook(root, more):
    path = root / "playbooks" / "tiny.playbook.yaml"
    path.parent.mkdir()
    path.write_text(f"name: tiny\nmodel: {{hf_repo: o/n}}\n{more}")


def test_a_checkout_proves_every_claim_of_its_registry(cli, checkout):
    result = cli("validate", checkout, "--json")
    assert result.code == 0, result
    looked = result.json["looked_at"]
    assert (looked["playbooks"], looked["evidence files"], looked["claims"]) == (1, 1, 1)


def test_a_row_that_claims_more_than_its_evidence_is_found(cli, checkout):
    registry = checkout / "certifications" / "models.csv"
    header, row = registry.read_text().splitlines()
    cells = row.split(",")
    cells[4:7] = "CERTIFIED", "1000", "A+"
    cells[9] = "maybe"
    registry.write_text(f"{header}\n{','.join(cells)}\norg/other{row[row.index(',') :]}\n")
    result = cli("validate", checkout)
    assert result.code == 1
    for words in (
        "status is 'CERTIFIED', its evidence says",
        "mqs_score is '1000', its evidence says",
        "g1 is 'maybe', allowed: false, true",
        "certifications/other/evidence.json is not there to prove it",
    ):
        assert words in result.out


def test_a_record_changed_after_it_was_written_down_is_found(cli, checkout):
    path = checkout / "certifications" / "aprqa-reference" / "evidence.json"
    run = json.loads(path.read_text())
    record = next(r for r in run["records"] if r["outcome"] == "falsified")
    record["outcome"] = "corroborated"
    path.write_text(json.dumps(run))
    result = cli("validate", checkout)
    assert result.code == 1
    assert "was written down otherwise" in result.out
    assert "mqs.categories: stored" in result.out


def test_a_playbook_with_an_unknown_oracle_is_found(cli, tmp_path):
    write_playbook(tmp_path, "oracles:\n  - type: contians\n")
    result = cli("validate")
    assert result.code == 1
    assert "did you mean 'contains'?" in result.out
    assert result.out.startswith("playbooks/tiny.playbook.yaml:4: ")
    assert result.out.count("tiny.playbook.yaml") == 1


def test_a_place_without_anything_to_check_is_no_success(cli):
    assert cli("validate").code == 3
    assert cli("validate", "nowhere").code == 3


def test_this_repository_is_valid(cli, checkout_root):
    result = cli("validate", checkout_root)
    assert result.code == 0, result.out


def test_what_a_playbook_asks_and_nobody_does_is_a_notice_and_no_problem(cli, tmp_path):
    write_playbook(tmp_path, "kernel_profile: {family: qwen2}\n")
    result = cli("validate")
    assert result.code == 0
    assert "notice: playbooks/tiny.playbook.yaml:3: kernel_profile: kernels are not" in result.out
