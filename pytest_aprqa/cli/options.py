"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytest_aprqa.words import FailurePolicy

REGISTRY = Path("certifications/models.csv")
CERTIFICATIONS = Path("certifications")
PLAYBOOKS = Path("playbooks/models")

Json = Annotated[bool, typer.Option("--json", help="Print JSON")]
Registry = Annotated[Path, typer.Option("--registry", help="The registry", show_default=True)]
ModelCache = Annotated[
    Path | None, typer.Option("--model-cache", help="Directory that holds models by name")
]
ModelPath = Annotated[
    Path | None, typer.Option("--model-path", help="File or directory of the model under test")
]
AprBinary = Annotated[
    str | None, typer.Option("--apr-binary", help="An `apr` program that is to run the APR cells")
]
Policy = Annotated[
    FailurePolicy | None,
    typer.Option("--failure-policy", help="What a failure does to the checks still to run"),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop at the first failure, with diagnostics")
]
Workers = Annotated[int, typer.Option("--workers", "-n", min=1, help="Processes that run checks")]
Timeout = Annotated[
    int | None,
    typer.Option(
        "--timeout", min=1, metavar="MS", help="Milliseconds each check may take, over the playbook"
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Compute threads of each engine")
]
EngineMemory = Annotated[
    float | None,
    typer.Option(
        "--engine-memory",
        min=0.1,
        metavar="GIB",
        help="GiB of memory each engine may allocate (default: all of the machine)",
    ),
]
NoResultCache = Annotated[
    bool,
    typer.Option(
        "--no-result-cache",
        help="Run every check, also what an earlier run found for the same files, engines and machine",
    ),
]
NoGpu = Annotated[bool, typer.Option("--no-gpu", help="Take GPU cells out of the plan")]
NoEarlyStop = Annotated[
    bool,
    typer.Option(
        "--no-early-stop", help="Ask every question, also of cells whose verdict is certain"
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would run and what it could prove")
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Never ask the hub or a package index for a model")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run: only what has no evidence")
]
IgnoreLock = Annotated[
    bool,
    typer.Option(
        "--ignore-lock", help="Also run a playbook that is not what playbook.lock.yaml says"
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", help="An OpenAI-compatible server that is to answer the serve and chat cells"
    ),
]
BaseUrlModel = Annotated[
    str | None,
    typer.Option("--base-url-model", help="Name of the model on that server (default: hf_repo)"),
]
