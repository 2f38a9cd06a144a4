"""Each command of docs/migration.md as a process, on a real model.

The model is certified whole once, and what that leaves is what the other commands work on. Commands
that would certify it again load its reference and stop there, unless APRQA_TEST_WHOLE is set.
APRQA_TEST_PLAYBOOK names another playbook of this repository than that of the shipped model.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_aprqa.artifact.locate import locate
from pytest_aprqa.artifact.prepare import default_cache_dir
from pytest_aprqa.playbook.load import load_playbook

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "migration.md"
CHOSEN = os.environ.get("APRQA_TEST_PLAYBOOK")
WHOLE = bool(os.environ.get("APRQA_TEST_WHOLE"))
LOADS = "G1 and safetensors"
ROW = re.compile(r"^\| `[^`|]+` \| `([^`|]+)` \|$", re.MULTILINE)
COMMANDS = ROW.findall(PAGE.read_text("utf-8"))
HOURS_LONG = ("certify-standard", "certify-deep", "certify-qwen", "nightly-7b", "ci-smoke")
"""Shortcuts that take hours, or a model of the hub: planned here and not run."""

APR = f"""#!{sys.executable}
import json, sys
tool = sys.argv[1]
if tool == "--help":
    print("Commands:\\n  inspect    does it\\n  validate   does it")
elif tool == "--version":
    print("apr 9.9")
elif tool == "inspect":
    print(json.dumps({{"tensor_count": 38}}))
elif tool == "validate":
    print(json.dumps({{"passed": True}}))
"""
"""A stand-in that answers as the documented `apr` does; no build of it can be installed here."""


@dataclass(frozen=True)
class Checkout:
    """A directory like this repository, in which one model was certified.

    Attributes:
        names: what stands on the page, and what stands for it here.
    """

    root: Path
    names: dict[str, str]

    def run(self, command: str, *more: str, only: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the page; `only` selects checks as pytest's -k does."""
        program, *words = shlex.split(command)
        assert program == "apr-qa", command
        environment = os.environ | {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        environment["PYTEST_ADDOPTS"] = f"-k '{only}'" if only else ""
        return subprocess.run(
            [_console_script(), *(self.names.get(word, word) for word in words), *more],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=3600,
            check=False,
        )


def _require_success(command: str, done: subprocess.CompletedProcess[str]) -> None:
    """Ask for exit status 0, or of a certification that it came to its verdict.

    The shipped model passes every check. Another is asked for no more than its verdict: a small
    model answers some questions wrong, and then pytest ends with 1 whatever the certificate says.
    """
    if CHOSEN and done.returncode == 1 and "certif" in done.stdout:
        assert re.search(r"^Status +[A-Z]+", done.stdout, re.MULTILINE), (command, done.stdout)
        assert re.search(r"=+ .*\d+ failed, .* in ", done.stdout), (command, done.stdout)
    else:
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr)


def _console_script() -> Path:
    return Path(sys.executable).with_name("apr-qa")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, artifact_cache: Path) -> Checkout:
    """A checkout with a certified model in every format, and a golden corpus."""
    root = tmp_path_factory.mktemp("migration")
    for folder in ("playbooks", "certifications"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "README.md", root)
    (root / "pytest.ini").write_text("[pytest]\naprqa_no_gpu = true\n")
    (root / "bin").mkdir()
    (root / "bin" / "apr").write_text(APR)
    (root / "bin" / "apr").chmod(0o755)
    made = Checkout(root, _names(root, CHOSEN or "aprqa-reference-mvp"))
    other = {"model.gguf": "convert /path/to/model model.gguf"}
    for command in (
        next(command for command in COMMANDS if command.startswith("apr-qa run")),
        f"apr-qa {other.get(made.names['/path/to/model.gguf'], 'convert /path/to/model.gguf model')}",
        "apr-qa parity /path/to/model --make --model-family qwen2.5-coder-1.5b --corpus golden",
        "apr-qa convert /path/to/model model.apr",
    ):
        _require_success(command, made.run(command))
    return made


def _names(root: Path, stem: str) -> dict[str, str]:
    """Return what stands for the names of the page, for the model of a playbook."""
    playbook = root / "playbooks" / "models" / f"{stem}.playbook.yaml"
    model = load_playbook(playbook).playbook.model
    found = locate(model, playbook_dir=playbook.parent, cache_dir=default_cache_dir()).found
    folder = model.hf_repo.rpartition("/")[2].lower()
    source = next(iter(found.values())).path
    (root / "cache").mkdir()
    (root / "cache" / folder).symlink_to(source if source.is_dir() else source.parent)
    _forget_the_rest_of(model.family, model.hf_repo, root / "certifications" / "models.csv")
    names = {
        "qwen-coder": model.family,
        "~/.cache/apr/models": "cache",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct": model.hf_repo,
        "playbooks/models/qwen2.5-coder-1.5b-instruct-mvp.playbook.yaml": str(
            playbook.relative_to(root)
        ),
        "certifications/qwen2.5-coder-1.5b/evidence.json": "copy/evidence.json",
        "certifications/my-model/evidence.json": f"certifications/{folder}/evidence.json",
        "certifications/my-model/": f"certifications/{folder}",
        "/path/to/model": str(source),
        "/path/to/model.gguf": "model.gguf",
    }
    if source.suffix == ".gguf":
        names |= {"/path/to/model.gguf": str(source), "/path/to/model": "model"}
    return names


def _forget_the_rest_of(family: str | None, model: str, registry: Path) -> None:
    """Take models out of a registry whose files are not to be had here."""
    lines = registry.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if f",{family}," not in line or line.startswith(f"{model},")]
    registry.write_text("".join(kept), "utf-8")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("apr-qa")], ids=str)
def test_a_command_of_the_page_works_as_a_process(checkout, command):
    certifies = command.split()[1] in ("run", "certify")
    only = LOADS if certifies and not WHOLE and "--dry-run" not in command else ""
    done = checkout.run(command, only=only)
    _require_success(command, done)
    assert done.stdout
    assert not done.stderr


@pytest.mark.parametrize("shortcut", [c for c in COMMANDS if c.startswith("tox -e ")])
def test_a_shortcut_of_the_page_works(checkout, shortcut):
    name = shortcut.removeprefix("tox -e ")
    command = _commands()[name]
    posargs = re.search(r"\{posargs(?::[^}]*)?\}", command)
    assert posargs, "what follows `--` must reach the command"
    command = command.replace(posargs[0], "")
    if name in HOURS_LONG:
        named = (
            []
            if "qwen" in command.lower()
            else [checkout.names["Qwen/Qwen2.5-Coder-1.5B-Instruct"]]
        )
        literal = Checkout(checkout.root, {})
        done = literal.run(command, *named, "--dry-run")
    elif name == "update-certifications":
        done = checkout.run(command)
    else:
        only = "" if WHOLE else LOADS
        done = checkout.run(command, checkout.names["Qwen/Qwen2.5-Coder-1.5B-Instruct"], only=only)
    _require_success(command, done)


def test_every_row_of_the_page_is_tested():
    rows = re.findall(r"^\| `.*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(COMMANDS)
    assert all(command.startswith(("apr-qa ", "tox -e ")) for command in COMMANDS)


def _commands() -> dict[str, str]:
    """Return the command of each environment of tox.ini that stands for one command."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    found = {}
    for section in tox.sections():
        names = re.findall(r"[a-z0-9-]+", section.removeprefix("testenv:").strip("{}"))
        for line in tox.get(section, "commands", fallback="").strip().splitlines():
            factor, separator, command = line.partition(": ")
            found |= {factor: command} if separator else dict.fromkeys(names, line)
    return found
