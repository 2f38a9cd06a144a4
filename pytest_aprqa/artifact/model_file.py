"""Files of a model, looked at only when they are what such a file may be.

Regular ones, in the model's folder, of a length that a file of that name has: a link to elsewhere, a
pipe, a device or a hole of gigabytes is refused before a byte is read.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from pytest_aprqa.artifact.malformed import environment, malformed

_RULE = "G0-FILE"
_MIB = 1 << 20

MOST_TEMPLATE_BYTES = _MIB
"""Longest chat template that is rendered; those we know have some ten thousand bytes."""

_MOST_BYTES = {
    "chat_template.jinja": MOST_TEMPLATE_BYTES,
    "merges.txt": 64 * _MIB,
    "model.safetensors.index.json": 64 * _MIB,
    "tokenizer.json": 128 * _MIB,
    "tokenizer.model": 128 * _MIB,
    "vocab.json": 64 * _MIB,
}
"""Some times the longest file of each name that is published; the longest tokenizer has 35 MiB."""

_MOST_BYTES_OF_OTHERS = 16 * _MIB


def leads_out(path: Path) -> bool:
    """Whether a file is a link that leads out of its directory.

    In a Hugging Face cache the blobs of the same repository count as part of it.
    """
    if not path.is_symlink():
        return False
    directory = path.parent.resolve()
    target = Path(os.path.realpath(path))  # as `resolve`, but a circle of links is no error
    allowed = [directory]
    if directory.parent.name == "snapshots":
        allowed.append((directory.parent.parent / "blobs").resolve())
    return not any(target.is_relative_to(root) for root in allowed)


def require_inside(path: Path) -> None:
    """Refuse a file of a model that is a link out of the model's folder.

    Raises:
        ArtifactError: MALFORMED (G0-FILE).
    """
    if leads_out(path):
        raise malformed(
            path,
            _RULE,
            f"is a link that leads out of the model, to {os.path.realpath(path)}; "
            "put the file itself there",
        )


def require_regular(path: Path) -> int:
    """Return the size of a file in bytes; refuse what is none: a directory, a pipe, a device.

    Raises:
        ArtifactError: MALFORMED (G0-FILE).
        OSError: there is none, or the file system says no.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise malformed(path, _RULE, "is a directory where a file is expected")
    if not stat.S_ISREG(status.st_mode):
        raise malformed(path, _RULE, "is not a regular file")
    return status.st_size


def require_bounded(path: Path) -> int:
    """Return the size of a file that is read whole; refuse one that is no such file.

    Raises:
        ArtifactError: MALFORMED (G0-FILE): it leads out of the model, is not a regular file, or is
            longer than any file of its name.
        OSError: there is none, or the file system says no.
    """
    require_inside(path)
    size, most = require_regular(path), _MOST_BYTES.get(path.name, _MOST_BYTES_OF_OTHERS)
    if size > most:
        raise malformed(
            path, _RULE, f"is {size} bytes long, a sound one is never longer than {most}"
        )
    return size


def read_whole(path: Path) -> bytes:
    """Return the content of a file that lies beside a model's weights.

    Raises:
        ArtifactError: as `require_bounded`.
        OSError: as `require_bounded`.
    """
    size = require_bounded(path)
    with path.open("rb") as file:
        return file.read(size)


def read_text(path: Path) -> str:
    """Return the text of such a file, every line end as a line feed, as transformers reads it.

    Raises:
        ArtifactError: as `require_bounded`.
        OSError: as `require_bounded`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return io.StringIO(read_whole(path).decode("utf-8"), newline=None).read()


def require_sound(weights: list[Path], companions: list[Path]) -> None:
    """Refuse the files of a model before any is read; one that is missing is for others to say.

    Raises:
        ArtifactError: MALFORMED (G0-FILE) or ENVIRONMENT.
    """
    for path in (*weights, *companions):
        try:
            require_inside(path)
            if path in weights:
                require_regular(path)
            else:
                require_bounded(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise environment(path, error) from error
