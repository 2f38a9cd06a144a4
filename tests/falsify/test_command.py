"""`apr-qa falsify` as a process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_aprqa.falsify.detection import Detection
from pytest_aprqa.falsify.registry import built_in_faults


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_aprqa.cli", "falsify", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_the_faults_are_listed(tmp_path: Path) -> None:
    done = run(tmp_path, "--list", "--fault", "container-*", "--fault", "weights-noise")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    wanted = [f.id for f in built_in_faults() if f.id.startswith("container-")]
    assert listed == [*wanted, "weights-noise"]


def test_the_faults_are_listed_for_a_machine(tmp_path: Path) -> None:
    [noise] = json.loads(run(tmp_path, "--list", "--json", "--fault", "weights-noise").stdout)
    assert noise["fault"] == "weights-noise"
    assert noise["expected"]["gguf"] == "I-4"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--fault", "weights-nothing"), 2, "no fault is called 'weights-nothing'"),
        (("no-such-model",), 3, "no-such-model is no directory or file of a model"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_table_is_printed_and_written(tmp_path: Path) -> None:
    """One fault of a file alone, and no certification of sound files but that of its original."""
    done = run(tmp_path, "--fault", "container-empty", "--format", "gguf", "--seeds", "0", "--json")
    written = (tmp_path / "certifications" / "DETECTION.json").read_text("utf-8")
    assert json.loads(done.stdout) == json.loads(written)
    detection = Detection.model_validate_json(written)
    [trial] = detection.trials
    assert (trial.fault, trial.is_caught) == ("container-empty", True)
    assert "| empty |" in (tmp_path / "certifications" / "DETECTION.md").read_text("utf-8")
    assert done.returncode == 0


def test_trials_that_were_held_are_not_held_again(tmp_path: Path) -> None:
    """What an interrupted command left is taken over, and only the rest is tried."""
    begun = ("--format", "gguf", "--seeds", "0")
    run(tmp_path, "--fault", "container-empty", *begun)
    folder = tmp_path / "certifications"
    (folder / "DETECTION.json").rename(folder / "DETECTION.unfinished.json")
    done = run(
        tmp_path, "--fault", "container-empty", "--fault", "container-magic", *begun, "--resume"
    )
    assert done.returncode == 0, done.stderr
    told = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("container-")]
    assert told == ["container-magic"]
    detection = Detection.model_validate_json((folder / "DETECTION.json").read_bytes())
    assert [trial.fault for trial in detection.trials] == ["container-empty", "container-magic"]
    assert len(detection.sound) == 1
    assert [path.name for path in folder.iterdir() if "unfinished" in path.name] == []


def test_ctrl_c_begins_no_other_trial_and_keeps_those_that_were_held(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest_aprqa.cli", "falsify", "--format", "gguf"]
    with subprocess.Popen(
        [*command, "--seeds", "0", "--fault", "container-*"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = next(line for line in process.stdout if line.startswith("container-"))
        process.send_signal(signal.SIGINT)
        more = [line for line in process.stdout if line.startswith("container-")]
        assert "--resume" in process.stderr.read()
    assert process.returncode == 130
    left = (tmp_path / "certifications" / "DETECTION.unfinished.json").read_bytes()
    held = [trial.fault for trial in Detection.model_validate_json(left).trials]
    assert held == [line.split()[0] for line in (told, *more)]
    assert len(held) < len([f for f in built_in_faults() if f.id.startswith("container-")])


def test_trials_of_another_basis_are_held_again(tmp_path: Path) -> None:
    begun = ("--fault", "container-empty", "--format", "gguf", "--seeds", "0")
    run(tmp_path, *begun)
    path = tmp_path / "certifications" / "DETECTION.json"
    path.write_text(path.read_text("utf-8").replace('"basis": "', '"basis": "0'), "utf-8")
    done = run(tmp_path, *begun, "--resume")
    assert "container-empty in gguf" in done.stdout
