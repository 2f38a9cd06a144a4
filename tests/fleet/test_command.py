from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WITHOUT_RAY = "import sys; sys.modules['ray'] = None; "
MAIN = "from pytest_aprqa.cli import main; main()"


def command(
    *arguments: str | Path, cwd: Path, before: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", before + MAIN, "fleet", "run", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_certifies_on_this_machine_alone(ships: Any) -> None:
    ships.playbook("one")
    ended = command(".", "--offline", "--threads", "1", "--output", "out", cwd=ships.path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "1 model, 24 checks to run in 1 shard on 1 machine"
    assert lines[-1] == "1 of 1 models reach their threshold; report: out/fleet.md"
    assert (ships.path / "out/one/evidence.json").is_file()
    assert (ships.path / "out/models.csv").is_file()


def test_without_ray_one_sentence_says_what_to_install(ships: Any) -> None:
    ended = command(ships.playbook("one"), cwd=ships.path, before=WITHOUT_RAY)
    assert ended.returncode == 2
    assert ended.stderr == (
        "apr-qa: a fleet needs Ray, which is not installed: pip install 'pytest-aprqa[fleet]'\n"
    )


def test_without_ray_the_other_commands_work(ships: Any) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY + MAIN, "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0


def test_an_address_where_nobody_listens_gets_one_sentence(ships: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ended = command(ships.playbook("one"), "--address", f"127.0.0.1:{port}", cwd=ships.path)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"apr-qa: no Ray cluster answers at '127.0.0.1:{port}' (")


@pytest.mark.parametrize("address", ["ray://host:10001", "host:port"])
def test_an_address_that_is_none_gets_one_sentence(ships: Any, address: str) -> None:
    ended = command(ships.playbook("one"), "--address", address, cwd=ships.path)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"apr-qa: no Ray cluster answers at '{address}' (")


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ("absent", 3, "there is no playbook "),
        ("empty", 3, "empty holds no playbook"),
        ("notes.yaml", 2, "its name must end in .playbook.yaml"),
    ],
)
def test_what_is_no_playbook_is_said_before_a_cluster_is_started(
    tmp_path: Path, given: str, code: int, sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.yaml").write_text("name: x\n", encoding="utf-8")
    ended = command(given, cwd=tmp_path)
    assert ended.returncode == code
    assert sentence in ended.stderr


def test_a_playbook_with_a_mistake_is_named_with_its_line(ships: Any) -> None:
    path = ships.playbook("one")
    path.write_text(path.read_text("utf-8") + "surprise: 1\n", encoding="utf-8")
    ended = command(path, "--offline", cwd=ships.path)
    assert ended.returncode == 2
    assert "one.playbook.yaml:" in ended.stderr
    assert "surprise" in ended.stderr
    assert "Traceback" not in ended.stderr
