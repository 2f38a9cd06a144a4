"""Models in the Hugging Face cache and on the hub."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import read_whole
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME

_LOG = logging.getLogger(__name__)

_PATTERNS = [
    "model*.safetensors",
    INDEX_NAME,
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
]
"""What is fetched: no pickles, no code."""


def cached_snapshot(repo: str, revision: str | None) -> Path | None:
    """Return the snapshot of a repository in the local cache, or None.

    The cache is where HF_HUB_CACHE or HF_HOME says. A tag or branch leads through `refs`.

    Raises:
        ArtifactError: NOT_FOUND when a download was broken off, so that shards are missing.
    """
    from huggingface_hub.constants import HF_HUB_CACHE

    root = Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    name = revision or "main"
    reference = root / "refs" / name
    commit = reference.read_text("utf-8").strip() if reference.is_file() else name
    snapshot = root / "snapshots" / commit
    if not snapshot.is_dir():
        return None
    missing = _missing_shards(snapshot)
    if missing:
        raise ArtifactError(ArtifactFault.NOT_FOUND, f"incomplete, {missing[0]} is missing")
    return snapshot


def _missing_shards(snapshot: Path) -> list[str]:
    try:
        index = json.loads(read_whole(snapshot / INDEX_NAME))
        shards = sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError, ArtifactError):
        return []  # there is no index, or opening the model says what is wrong with it
    return [shard for shard in shards if not (snapshot / str(shard)).is_file()]


def downloaded_snapshot(repo: str, revision: str | None, *, offline: bool) -> Path:
    """Fetch the SafeTensors, configuration and tokenizer of a repository into the local cache.

    Raises:
        ArtifactError: NOT_FOUND when the hub has no such repository; ENVIRONMENT when the network
            is off or does not answer.
    """
    from huggingface_hub import constants

    if offline or constants.HF_HUB_OFFLINE:
        raise ArtifactError(ArtifactFault.ENVIRONMENT, "not asked, the run is offline")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    _LOG.info("fetching %s from the Hugging Face hub ...", repo)
    try:
        return Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=_PATTERNS, ignore_patterns=["*/*"]
            )
        )
    except GatedRepoError:
        raise ArtifactError(
            ArtifactFault.ENVIRONMENT, "access is restricted; accept its terms and set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise ArtifactError(ArtifactFault.NOT_FOUND, "no such repository") from None
    except Exception as error:
        # Whatever the network stack raises, it says the same: the hub could not be asked.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ArtifactError(ArtifactFault.ENVIRONMENT, f"not reachable: {reason}") from error
