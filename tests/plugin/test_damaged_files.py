"""A damaged file of any format: G0 says what is wrong, and the other formats are still judged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Format

WEIGHTS = {
    Format.SAFETENSORS: "model.safetensors",
    Format.APR: "model.apr",
    Format.GGUF: "model.gguf",
}


def truncate(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size * 2 // 3)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        [byte] = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 0x10]))


@pytest.fixture(scope="module")
def sound_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference model in all three formats and the digests of its files."""
    folder = tmp_path_factory.mktemp("sound")
    spec = ModelSpec(hf_repo="aprqa/aprqa-reference", builtin="aprqa-reference")
    workshop = Workshop(spec, playbook_dir=folder)
    digests: dict[str, str] = {}
    for form in Format:
        for path in workshop.artifact(form).files:
            shutil.copy(path, folder / path.name)
            digests[path.name] = workshop.digests.sha256(path)
    lines = (f"{sha256}  {name}\n" for name, sha256 in digests.items())
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit])
@pytest.mark.parametrize("form", list(Format))
def test_g0_names_the_damage_and_the_other_formats_are_judged(
    session, sound_model, tmp_path, form, damage
):
    model = shutil.copytree(sound_model, tmp_path / "model")
    damage(model / WEIGHTS[form])
    playbook = session.playbook.replace("  builtin: aprqa-reference\n", "").replace(
        "formats: [gguf]", "formats: [safetensors, apr, gguf]"
    )
    gates = [f"tiny.playbook.yaml::G0[{each}]" for each in Format]
    result = session.run("--model-path", str(model), *gates, playbook=playbook)
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines([f"*G0?{form}?*", "falsified: *"])
    assert WEIGHTS[form] in next(line for line in result.outlines if "falsified: " in line)
    result.stdout.no_fnmatch_line("*Traceback*")
