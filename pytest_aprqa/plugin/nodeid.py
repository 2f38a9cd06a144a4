"""What the node id of a playbook item says: the one place that reads the grammar back."""

from __future__ import annotations

SUFFIX = ".playbook.yaml"


def is_playbook_item(nodeid: str) -> bool:
    """Whether a node id names a check of a playbook."""
    return nodeid.partition("::")[0].endswith(SUFFIX)


def is_closing(nodeid: str) -> bool:
    """Whether an item looks back over its whole run: those whose name has no cell."""
    return is_playbook_item(nodeid) and "[" not in nodeid


def is_gpu(nodeid: str) -> bool:
    """Whether an item computes on a GPU."""
    return is_playbook_item(nodeid) and load_group(nodeid).endswith("-gpu")


def load_group(nodeid: str) -> str:
    """Return what must be loaded to run an item.

    `x.playbook.yaml::arithmetic-001[gguf-cpu-run]` and `x.playbook.yaml::I-4[gguf]` both need
    "x.playbook.yaml gguf-cpu". An item that is no check has only itself for company.
    """
    if not is_playbook_item(nodeid):
        return nodeid
    path, _, name = nodeid.partition("::")
    cell = name.partition("[")[2].rstrip("]").split("-")
    return f"{path} {cell[0]}-{cell[1] if len(cell) > 1 else 'cpu'}"
