from __future__ import annotations

import errno

import pytest
from httpx import ConnectError

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.engine.faults import fault_of, oom_kills, says_no_memory
from pytest_aprqa.engine.protocol import EngineError, Fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (MemoryError(), Fault.ENVIRONMENT),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), Fault.ENVIRONMENT),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Fault.ENVIRONMENT),
        (ImportError("No module named 'torch'"), Fault.ENVIRONMENT),
        (ArtifactError(ArtifactFault.MALFORMED, "bad"), Fault.LOAD),
        (ArtifactError(ArtifactFault.UNSUPPORTED, "new"), Fault.UNSUPPORTED),
        (ArtifactError(ArtifactFault.NOT_FOUND, "gone"), Fault.ENVIRONMENT),
        (FileNotFoundError(errno.ENOENT, "gone"), Fault.CRASH),
        (OSError(errno.EMFILE, "too many open files"), Fault.ENVIRONMENT),
        (OSError(errno.EADDRINUSE, "address already in use"), Fault.ENVIRONMENT),
        (OSError(errno.ENOSPC, "no space left"), Fault.ENVIRONMENT),
        (OSError(errno.ENETUNREACH, "network is unreachable"), Fault.ENVIRONMENT),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Fault.CRASH),
        (IndexError("index out of range"), Fault.CRASH),
    ],
)
def test_an_exception_is_attributed_by_its_kind_and_words(error: Exception, fault: Fault) -> None:
    assert fault_of(error, otherwise=Fault.CRASH).fault is fault


@pytest.mark.parametrize(
    ("kind", "fault"), [(ConnectError, Fault.ENVIRONMENT), (OSError, Fault.LOAD)]
)
def test_what_a_failed_connection_came_of_tells(kind: type[Exception], fault: Fault) -> None:
    error = kind("not connected")
    error.__context__ = OSError(errno.ENETDOWN, "network is down")
    assert fault_of(error, otherwise=Fault.LOAD).fault is fault


def test_an_engine_error_keeps_its_own_fault() -> None:
    error = EngineError(Fault.PROTOCOL, "no MemoryError here")
    assert fault_of(error, otherwise=Fault.CRASH) is error


def test_other_words_do_not_speak_of_memory() -> None:
    assert not says_no_memory("the model remembers nothing")
    assert says_no_memory("ggml_backend: failed to allocate buffer of size 12")


def test_the_kernel_count_of_memory_kills_never_falls() -> None:
    first = oom_kills()
    assert 0 <= first <= oom_kills()
