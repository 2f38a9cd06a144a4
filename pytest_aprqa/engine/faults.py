"""Telling a model's fault from an environment's by what an engine says."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.engine.protocol import EngineError, Fault

_NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|out of memory|can't allocate memory|failed to allocate"
    r"|unable to allocate|not enough memory",
    re.IGNORECASE,
)

_MACHINE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
    | {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EAGAIN}
)
"""What a system call failed for is the machine's doing: files, disk, ports, rights, processes."""

_ARTIFACT_FAULTS = {
    ArtifactFault.MALFORMED: Fault.LOAD,
    ArtifactFault.UNSUPPORTED: Fault.UNSUPPORTED,
    ArtifactFault.NOT_FOUND: Fault.ENVIRONMENT,
    ArtifactFault.ENVIRONMENT: Fault.ENVIRONMENT,
}


def says_no_memory(words: str) -> bool:
    """Whether an engine's words speak of memory it did not get."""
    return bool(_NO_MEMORY.search(words))


def has_no_way(error: BaseException | None) -> bool:
    """Whether a connection failed because the system has no network to send anything by."""
    while type(error).__name__ == "ConnectError":  # httpx's, and httpcore's that it came of
        assert error is not None
        error = error.__cause__ or error.__context__
    return isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.ENETDOWN)


def fault_of(error: Exception, otherwise: Fault) -> EngineError:
    """Return what an exception inside a driver means; `otherwise` when nothing tells."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, ArtifactError):
        return EngineError(_ARTIFACT_FAULTS[error.fault], error.message)
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        return EngineError(Fault.ENVIRONMENT, f"a package is missing: {error}")
    if has_no_way(error):
        message = f"this machine does not reach its own servers: {error}; is its loopback up?"
        return EngineError(Fault.ENVIRONMENT, message)
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return EngineError(Fault.ENVIRONMENT, words)
    if isinstance(error, MemoryError) or says_no_memory(words):
        return EngineError(Fault.ENVIRONMENT, f"no memory: {words}")
    return EngineError(otherwise, words)


def oom_kills() -> int:
    """Return how many processes this kernel has killed for lack of memory; 0 where unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
