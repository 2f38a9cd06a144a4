"""Compiles the C code when the package is built or installed for editing.

Without a compiler, or with one that fails, the package is complete all the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path("pytest_aprqa", "artifact", "native")


class CompileHook(BuildHookInterface[Any]):
    """Adds the compiled library to a wheel, which then is one for this platform."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        source = Path(self.root) / HERE / "ends.c"
        # The name is that of the source, so that a library of another source is never loaded.
        library = source.with_name(f"ends-{sha256(source.read_bytes()).hexdigest()[:16]}.so")
        for other in set(source.parent.glob("ends-*.so")) - {library}:
            other.unlink()
        if self.target_name == "wheel" and (library.exists() or _compile(source, library)):
            build_data["artifacts"].append(str(HERE / library.name))
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def _compile(source: Path, library: Path) -> bool:
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        return False
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(library), str(source)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
