"""Command-line options and their ini twins.

Each option has a prefixed name that is ours alone, and a short one that is given up, with a
warning, when another plugin or a conftest has it already.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_aprqa.words import FailurePolicy, Tier

NO_RESULT_CACHE = "APRQA_NO_RESULT_CACHE"
"""Environment variable that turns the result cache off when it is not empty."""


@dataclass(frozen=True)
class Option:
    """One option: `--aprqa-NAME`, `--NAME`, and ini `aprqa_NAME` where `ini` is set."""

    name: str
    help: str
    metavar: str | None = None
    read: Callable[[str], Any] | None = None
    ini: bool = True
    short: bool = True

    @property
    def dest(self) -> str:
        return "aprqa_" + self.name.replace("-", "_")

    @property
    def is_flag(self) -> bool:
        return self.metavar is None

    def arguments(self) -> dict[str, Any]:
        if self.is_flag:
            return {"action": "store_true", "default": None}
        return {"type": self.read, "metavar": self.metavar, "default": None}


def _one_of(kind: type[StrEnum]) -> dict[str, Any]:
    """Return what makes an option one of several words."""

    def read(given: str) -> str:
        if given not in list(kind):
            from pytest_aprqa.playbook.errors import none_of

            raise argparse.ArgumentTypeError(none_of(given, kind))
        return given

    return {"metavar": f"{{{','.join(kind)}}}", "read": read}


def _number(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return what reads a number above zero."""

    def read(given: str) -> float:
        try:
            number = kind(given)
        except ValueError:
            number = 0
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{given!r} is not a number above zero")
        return number

    return read


OPTIONS = (
    Option("tier", "Certify at this tier (default: file suffix, then metadata.tier, then quick)",
           **_one_of(Tier)),
    Option("failure-policy", "What a failure does to the checks still to run (default: stop-on-p0)",
           **_one_of(FailurePolicy)),
    Option("model-path", "File or directory of the model under test", metavar="PATH", ini=False),
    Option("model-cache", "Directory that holds models by name", metavar="DIR"),
    Option("certifications", "Directory of models.csv and the evidence (default: certifications)",
           metavar="DIR"),
    Option("no-gpu", "Take GPU cells out of the plan"),
    Option("apr-binary", "An `apr` program that is to run the APR cells", metavar="PATH"),
    Option("base-url", "An OpenAI-compatible server that is to answer the serve and chat cells",
           metavar="URL"),
    Option("base-url-model", "Name of the model on that server (default: the playbook's hf_repo)",
           metavar="NAME"),
    Option("artifact-cache", "Where converted models are kept (default: the user's cache directory)",
           metavar="DIR", short=False),
    Option("threads", "Compute threads of each engine (default: all cores, with -n a worker's share of them)", metavar="N",
           read=_number(int), short=False),
    Option("engine-memory", "GiB of memory each engine may allocate (default: all of the machine)",
           metavar="GIB", read=_number(float), short=False),
    Option("check-timeout", "Seconds each check may take (default: the playbook's timeout_ms)",
           metavar="SECONDS", read=_number(float), short=False),
    Option("offline", "Never ask the hub or a package index for a model", short=False),
    Option("no-result-cache", "Run every check, also what an earlier run found for the same files, "
           "engines and machine"),
    Option("resume", "Go on with an interrupted run: only checks without evidence are run", ini=False),
    Option("no-early-stop",
           "Ask every planned question, also of cells whose verdict is certain (standard, deep)"),
    Option("ignore-lock", "Also run playbooks that are not what playbook.lock.yaml says"),
    Option("plan", "Print the plan and what it costs, and run nothing", ini=False, short=False),
)  # fmt: skip
_BY_DEST = {option.dest: option for option in OPTIONS}


def add_options(parser: pytest.Parser) -> None:
    """Add the prefixed options and the ini values."""
    group = parser.getgroup("aprqa", "certification of model files (pytest-aprqa)")
    for option in OPTIONS:
        group.addoption(
            f"--aprqa-{option.name}", dest=option.dest, help=option.help, **option.arguments()
        )
        if option.ini:
            kind: Literal["bool", "string"] = "bool" if option.is_flag else "string"
            parser.addini(
                option.dest,
                option.help,
                type=kind,
                default=None,
            )


def add_short_names(parser: pytest.Parser) -> None:
    """Add each short name that is still free, once every other plugin has added its options."""
    group = parser.getgroup("aprqa")
    for option in OPTIONS:
        if not option.short:
            continue
        name = f"--{option.name}"
        if _is_taken(parser, name, option):
            warnings.warn(
                pytest.PytestConfigWarning(
                    f"{name} belongs to another plugin; pytest-aprqa answers to --aprqa-"
                    f"{option.name} only"
                ),
                stacklevel=1,
            )
            continue
        group.addoption(
            name, dest=option.dest, help=f"Same as --aprqa-{option.name}", **option.arguments()
        )


def _is_taken(parser: pytest.Parser, name: str, option: Option) -> bool:
    """Whether some plugin understands a name already: what nobody knows comes back unparsed."""
    probe = name if option.is_flag else f"{name}=x"
    try:
        _, unknown = parser.parse_known_and_unknown_args([probe])
    except (pytest.UsageError, SystemExit):
        return True
    return probe not in unknown


def check_ini_values(config: pytest.Config) -> None:
    """Raise UsageError when an ini value is none of its option; argparse has seen the others."""
    for option in OPTIONS:
        if option.ini and option.read:
            _read_ini(config, option)


def _read_ini(config: pytest.Config, option: Option) -> Any:
    given = config.getini(option.dest)
    if not given or option.read is None:
        return given or None
    try:
        return option.read(given)
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"{option.dest}: {error}") from None


def settings_of(config: pytest.Config) -> Any:
    """Return the Settings a session was started with."""
    from pytest_aprqa.run.settings import Settings

    def value(name: str) -> Any:
        option = _BY_DEST[f"aprqa_{name}"]
        given = config.getoption(option.dest)
        return given if given is not None else _read_ini(config, option)

    def path(name: str) -> Path | None:
        given = config.getoption(f"aprqa_{name}")
        if given is not None:
            return Path(config.invocation_params.dir, Path(given).expanduser())
        ini = config.getini(f"aprqa_{name}")
        base = config.inipath.parent if config.inipath else config.rootpath
        return Path(base, Path(ini).expanduser()) if ini else None

    given_path = config.getoption("aprqa_model_path")
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    return Settings(
        certifications=path("certifications") or config.rootpath / "certifications",
        tier=_member(Tier, value("tier")),
        failure_policy=_member(FailurePolicy, value("failure_policy")),
        model_path=Path(config.invocation_params.dir, Path(given_path).expanduser())
        if given_path
        else None,
        model_cache=path("model_cache"),
        artifact_cache=path("artifact_cache"),
        no_gpu=bool(value("no_gpu")),
        apr_binary=value("apr_binary"),
        **_server(value("base_url"), value("base_url_model")),
        offline=bool(value("offline")),
        result_cache=not (value("no_result_cache") or os.environ.get(NO_RESULT_CACHE)),
        resume=bool(config.getoption("aprqa_resume")),
        threads=value("threads") or _share_of_cores(workers),
        workers=workers,
        timeout=value("check_timeout"),
        engine_memory=value("engine_memory"),
        early_stop=not value("no_early_stop"),
        ignore_lock=bool(value("ignore_lock")),
        command=shlex.join(["pytest", *map(str, config.invocation_params.args)]),
    )


def _share_of_cores(workers: int) -> int | None:
    """Return the cores a worker of several may use, so that their engines do not starve each other.

    None in a session without workers: an engine takes every core.
    """
    from pytest_aprqa.engine.open import usable_cores

    return None if workers == 1 else max(1, usable_cores() // workers)


def _member(kind: type[StrEnum], given: str | None) -> Any:
    return None if given is None else kind(given)


def _server(address: str | None, model: str | None) -> dict[str, str | None]:
    """Return the settings of a server somebody else runs. Raises UsageError."""
    from pytest_aprqa.engine.remote import address_fault

    if address and (fault := address_fault(address)):
        raise pytest.UsageError(f"--aprqa-base-url: {fault}")
    if model and not address:
        raise pytest.UsageError(
            f"--aprqa-base-url-model {model} names a model and no server; give --aprqa-base-url too"
        )
    return {"base_url": address, "base_url_model": model}
