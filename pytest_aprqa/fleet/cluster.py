"""The Ray cluster a fleet runs on."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HERE = "local"
"""The address that stands for a cluster of this machine alone, for this run alone."""


CONNECT_SECONDS = 5.0


class FleetError(Exception):
    """A fleet cannot be run; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster.

    Attributes:
        resources: amounts by Ray's names; "memory" in bytes.
    """

    id: str
    host: str
    is_alive: bool
    resources: Mapping[str, float]

    @property
    def cpus(self) -> int:
        return int(self.resources.get("CPU", 0))


def import_ray() -> Any:
    """Return Ray. Raises FleetError when it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise FleetError(
            "a fleet needs Ray, which is not installed: pip install 'pytest-aprqa[fleet]'"
        ) from None
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be the driver of a cluster.

    Args:
        address: `HERE`, "auto" for the cluster this machine belongs to, or its "host:port".

    Raises:
        FleetError: Ray is not installed, or no cluster answers there.
    """
    ray = import_ray()
    own: dict[str, Any] = {"include_dashboard": False} if address == HERE else {}
    try:
        _require_listener(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise FleetError(
            f"no Ray cluster answers at {address!r} ({first}): start one with `ray start --head`, "
            "or leave --address out to use this machine alone"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Raise OSError or ValueError when nobody listens; Ray itself would go on asking for minutes."""
    if "://" in address:
        raise ValueError("evidence can be streamed to a machine of the cluster only: run there")
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def nodes() -> list[Node]:
    """Return every machine that has been part of the cluster."""
    import ray

    return [
        Node(
            id=node["NodeID"],
            host=node["NodeManagerHostname"],
            is_alive=node["Alive"],
            resources=node["Resources"],
        )
        for node in ray.nodes()
    ]
