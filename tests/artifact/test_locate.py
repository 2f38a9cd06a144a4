from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact import locate as locate_module
from pytest_aprqa.artifact.locate import Located, locate
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Format

REPO = "Org/Tiny-0.5B"
COMMIT = "a" * 40


def spec(**more: Any) -> ModelSpec:
    return ModelSpec.model_validate({"hf_repo": REPO, **more})


def fill(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names or ("model.safetensors", "config.json"):
        (directory / name).write_bytes(name.encode())
    return directory


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty Hugging Face cache that the run sees."""
    root = tmp_path / "hub"
    root.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return root


@pytest.fixture
def find(tmp_path: Path, hub: Path) -> Any:
    def find(model: ModelSpec, **more: Any) -> Located:
        places = {"playbook_dir": tmp_path, "cache_dir": tmp_path / "cache", **more}
        return locate(model, **places)

    return find


def snapshot(hub: Path, *names: str, branch: str = "main") -> Path:
    root = hub / "models--Org--Tiny-0.5B"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / branch).write_text(COMMIT)
    return fill(root / "snapshots" / COMMIT, *names)


def test_the_path_the_user_gave_comes_first(find: Any, hub: Path, tmp_path: Path) -> None:
    snapshot(hub)
    given = fill(tmp_path / "given")
    found = find(spec(), model_path=given).found[Format.SAFETENSORS]
    assert (found.path, found.source) == (given, "--model-path")


def test_the_playbooks_own_path_comes_before_caches(find: Any, hub: Path, tmp_path: Path) -> None:
    snapshot(hub)
    local = fill(tmp_path / "local")
    found = find(spec(local_path="local")).found[Format.SAFETENSORS]
    assert (found.path, found.source) == (local, "local_path of the playbook")


def test_a_builtin_model_lies_in_the_package(
    find: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate_module, "BUILTIN", tmp_path / "builtin")
    fill(tmp_path / "builtin" / "small")
    found = find(spec(builtin="small")).found[Format.SAFETENSORS]
    assert found.path == tmp_path / "builtin" / "small"


@pytest.mark.parametrize("folder", ["Org/Tiny-0.5B", "Tiny-0.5B", "tiny-0-5b"])
def test_a_directory_of_models_is_searched_by_three_names(
    find: Any, hub: Path, tmp_path: Path, folder: str
) -> None:
    snapshot(hub)
    cached = fill(tmp_path / "models" / folder)
    found = find(spec(), model_cache=tmp_path / "models").found[Format.SAFETENSORS]
    assert (found.path, found.source) == (cached, "--model-cache")


def test_the_hub_cache_is_read_at_main_or_the_revision(find: Any, hub: Path) -> None:
    at = snapshot(hub, branch="v1")
    with pytest.raises(ArtifactError):
        find(spec())
    for revision in ("v1", COMMIT):
        found = find(spec(revision=revision)).found[Format.SAFETENSORS]
        assert (found.path, found.source) == (at, "Hugging Face cache")


def test_a_download_that_was_broken_off_is_no_model(find: Any, hub: Path) -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    at = snapshot(hub, shards[0], "config.json")
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    (at / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ArtifactError, match=f"incomplete, {shards[1]} is missing") as caught:
        find(spec())
    assert caught.value.fault is ArtifactFault.NOT_FOUND
    (at / shards[1]).write_bytes(b"")
    assert find(spec()).has_reference


def test_the_name_of_a_hub_blob_is_the_expected_sha256(find: Any, hub: Path) -> None:
    at = snapshot(hub, "config.json")
    blob = hub / "blobs" / ("b" * 64)
    blob.parent.mkdir()
    blob.write_bytes(b"weights")
    (at / "model.safetensors").symlink_to(blob)
    found = find(spec()).found[Format.SAFETENSORS]
    assert found.expected_sha256 == {"model.safetensors": "b" * 64}


def test_a_manifest_states_digests_and_the_playbook_has_the_last_word(
    find: Any, tmp_path: Path
) -> None:
    given = fill(tmp_path / "given", "model.safetensors", "config.json")
    (given / "SHA256SUMS").write_text(
        f"# made by hand\n{'1' * 64}  ./model.safetensors\n{'2' * 64} *config.json\n{'3' * 64}  x\n"
    )
    playbook = {"config.json": "4" * 64}
    found = find(spec(sha256=playbook), model_path=given).found[Format.SAFETENSORS]
    assert found.expected_sha256 == {"model.safetensors": "1" * 64, "config.json": "4" * 64}


def test_a_manifest_that_is_none_is_named_with_its_line(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given")
    (given / "SHA256SUMS").write_text(f"{'1' * 64}  a\nnot a digest\n")
    with pytest.raises(ArtifactError, match=r"SHA256SUMS, line 2"):
        find(spec(), model_path=given)


def test_files_beside_the_safetensors_are_what_the_user_ships(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given", "model.safetensors", "tiny-q4.gguf", "tiny.apr")
    found = find(spec(), model_path=given).found
    assert found[Format.GGUF].path == given / "tiny-q4.gguf"
    assert found[Format.APR].path == given / "tiny.apr"


def test_several_files_of_a_format_must_be_chosen_from(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given", "model.safetensors", "a.gguf", "b.gguf")
    with pytest.raises(ArtifactError, match=r"2 gguf files \(a.gguf, b.gguf\).*files:") as caught:
        find(spec(), model_path=given)
    assert caught.value.fault is ArtifactFault.MALFORMED
    chosen = find(spec(files={"gguf": "given/b.gguf"}), model_path=given)
    assert chosen.found[Format.GGUF].path == given / "b.gguf"
    assert chosen.found[Format.GGUF].source == "files of the playbook"
    assert chosen.has_reference


def test_the_shards_of_one_gguf_are_one_file(find: Any, tmp_path: Path) -> None:
    names = ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    given = fill(tmp_path / "given", *names)
    assert find(spec(), model_path=given).found[Format.GGUF].path == given / names[0]


def test_a_file_may_be_given(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given", "model.safetensors", "only.gguf")
    located = find(spec(), model_path=given / "only.gguf")
    assert dict(located.found).keys() == {Format.GGUF}
    assert not located.has_reference
    weights = find(spec(), model_path=given / "model.safetensors")
    assert weights.found[Format.SAFETENSORS].path == given


def test_files_of_the_playbook_alone_are_a_model(find: Any, tmp_path: Path) -> None:
    fill(tmp_path, "mine.gguf")
    assert find(spec(files={"gguf": "mine.gguf"})).found[Format.GGUF].path == tmp_path / "mine.gguf"


def test_a_file_the_playbook_names_must_exist(find: Any) -> None:
    with pytest.raises(ArtifactError, match=r"files\.gguf names .*gone\.gguf") as caught:
        find(spec(files={"gguf": "gone.gguf"}))
    assert caught.value.fault is ArtifactFault.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pytorch_model.bin", "ends in none of .safetensors, .apr, .gguf"),
        ("weights.safetensors", "call it model.safetensors"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_to_be_so(
    find: Any, tmp_path: Path, name: str, words: str
) -> None:
    given = fill(tmp_path / "given", name)
    with pytest.raises(ArtifactError, match=words):
        find(spec(), model_path=given / name)


def test_a_place_the_user_named_is_not_passed_over(find: Any, hub: Path, tmp_path: Path) -> None:
    snapshot(hub)
    with pytest.raises(ArtifactError, match=r"looked at --model-path .*empty; give it"):
        find(spec(), model_path=tmp_path / "empty")
    with pytest.raises(ArtifactError, match=r"looked at local_path .*empty; give it"):
        find(spec(local_path="empty"))


def test_nothing_found_says_where_was_looked_and_what_to_do(find: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        find(spec(), model_cache=tmp_path / "models")
    assert caught.value.fault is ArtifactFault.NOT_FOUND
    message = caught.value.message
    assert "\n" not in message
    for part in (
        "models/Org/Tiny-0.5B",
        "Hugging Face cache",
        "hub (not asked, the run is offline)",
    ):
        assert part in message
    for way in ("--model-path DIR", "--model-cache DIR", "`local_path:`"):
        assert way in message


def test_pickles_are_not_looked_for(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given", "pytorch_model.bin", "model.pt", "config.json")
    with pytest.raises(ArtifactError, match="was not found"):
        find(spec(), model_path=given)


QUANTISED = {"quantizations": ["Q4_0", "q8_0"]}


def names(located: Located) -> dict[str, str]:
    return {name: found.path.name for name, found in located.found.items()}


def test_a_file_is_the_quantisation_its_name_states(find: Any, tmp_path: Path) -> None:
    files = ("tiny.Q4_0.gguf", "tiny-q8_0-00001-of-00002.gguf", "tiny-q8_0-00002-of-00002.gguf")
    given = fill(tmp_path / "given", "model.safetensors", *files, "tiny.Q4_K_M.gguf")
    assert names(find(spec(**QUANTISED), model_path=given)) == {
        "safetensors": "given",
        "gguf-q4_0": files[0],
        "gguf-q8_0": files[1],
    }


def test_an_only_quantisation_chooses_among_several_files(find: Any, tmp_path: Path) -> None:
    given = fill(tmp_path / "given", "tiny.Q4_0.gguf", "tiny.Q8_0.gguf")
    located = find(spec(quantizations=["q8_0"]), model_path=given)
    assert names(located) == {"gguf": "tiny.Q8_0.gguf"}


def test_the_only_file_of_a_model_is_also_what_the_reference_is_made_from(
    find: Any, tmp_path: Path
) -> None:
    given = fill(tmp_path / "given", "tiny.Q8_0.gguf")
    both = {"gguf": "tiny.Q8_0.gguf", "gguf-q8_0": "tiny.Q8_0.gguf"}
    assert names(find(spec(**QUANTISED), model_path=given)) == both
    assert names(find(spec(**QUANTISED), model_path=given / "tiny.Q8_0.gguf")) == both


def test_a_file_may_be_named_for_each_quantisation(find: Any, tmp_path: Path) -> None:
    fill(tmp_path, "mine.gguf", "other.gguf")
    given = fill(tmp_path / "given")
    files = {"gguf": {"q4_0": "mine.gguf", "Q8_0": "other.gguf"}}
    located = find(spec(**QUANTISED, files=files), model_path=given)
    assert names(located) == {
        "safetensors": "given",
        "gguf-q4_0": "mine.gguf",
        "gguf-q8_0": "other.gguf",
    }


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("a.Q4_0.gguf", "b.q4_0.gguf"), r"has 2 gguf files \(a.Q4_0.gguf, b.q4_0.gguf\)"),
        (("model.gguf",), "model.gguf does not state in its name which of q4_0, q8_0 it is"),
    ],
)
def test_files_that_could_be_either_are_refused(
    find: Any, tmp_path: Path, files: tuple[str, ...], said: str
) -> None:
    given = fill(tmp_path / "given", "model.safetensors", *files)
    with pytest.raises(ArtifactError, match=said) as caught:
        find(spec(**QUANTISED), model_path=given)
    assert caught.value.fault is ArtifactFault.MALFORMED
