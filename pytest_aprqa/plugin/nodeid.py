"""What the node id of a playbook item says: the one place that reads the grammar back."""

from __future__ import annotations

from itertools import takewhile

from pytest_aprqa.words import INVARIANTS, LOADED, Backend, Format

SUFFIX = ".playbook.yaml"


def is_playbook_item(nodeid: str) -> bool:
    """Whether a node id names a check of a playbook."""
    return nodeid.partition("::")[0].endswith(SUFFIX)


def is_closing(nodeid: str) -> bool:
    """Whether an item looks back over its whole run: those whose name has no cell."""
    return is_playbook_item(nodeid) and "[" not in nodeid


def is_invariant(nodeid: str) -> bool:
    """Whether an item is a conversion invariant, which asks for no other item's answers."""
    return is_playbook_item(nodeid) and _subject(nodeid) in INVARIANTS


def is_loading(nodeid: str) -> bool:
    """Whether an item is a gateway that comes before anything else of its artifact."""
    return is_playbook_item(nodeid) and _subject(nodeid) in LOADED


def _subject(nodeid: str) -> str:
    return nodeid.partition("::")[2].partition("[")[0]


def is_gpu(nodeid: str) -> bool:
    """Whether an item computes on a GPU."""
    return is_playbook_item(nodeid) and load_group(nodeid).endswith("-gpu")


def asks_reference_alone(nodeid: str) -> bool:
    """Whether an item needs no other engine than the one that all others are held against."""
    return load_group(nodeid).endswith(f" {Format.SAFETENSORS}-{Backend.CPU}")


def runs_on_llama_cpp(nodeid: str) -> bool:
    """Whether an item is answered by llama.cpp, which takes about half the time of torch."""
    return load_group(nodeid).rpartition(" ")[2].startswith(f"{Format.GGUF}-")


def load_group(nodeid: str) -> str:
    """Return what must be loaded to run an item.

    `x.playbook.yaml::arithmetic-001[gguf-cpu-run]` and `x.playbook.yaml::I-4[gguf]` both need
    "x.playbook.yaml gguf-cpu", `::I-4[gguf-q8_0]` needs "x.playbook.yaml gguf-q8_0-cpu". An item
    that is no check has only itself for company.
    """
    if not is_playbook_item(nodeid):
        return nodeid
    path, _, name = nodeid.partition("::")
    axes = name.partition("[")[2].rstrip("]").split("-")
    backend = next((axis for axis in axes if axis in {*Backend}), Backend.CPU)
    artifact = "-".join(takewhile(lambda axis: axis != backend, axes))
    return f"{path} {artifact}-{backend}"
