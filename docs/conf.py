"""How Sphinx builds the documentation: `tox -e docs`."""

from __future__ import annotations

from importlib.metadata import version as _version

project = "pytest-aprqa"
author = "pytest-aprqa developers"
version = release = _version("pytest-aprqa")

extensions = ["myst_parser"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["README.md", "reference-model/*.py"]  # index.rst includes the README
myst_heading_anchors = 3
# Pages link to files of the repository, which are no pages; tests/test_documentation.py follows them.
suppress_warnings = ["myst.xref_missing"]

html_theme = "furo"
html_title = "pytest-aprqa"
html_copy_source = False
html_show_sphinx = False
