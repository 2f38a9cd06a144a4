"""Languages: how a prompt names one, and how code in one begins."""

from __future__ import annotations

import re

_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "rs": "rust",
    "golang": "go",
    "c++": "cpp",
    "c#": "csharp",
    "cs": "csharp",
    "kt": "kotlin",
    "rb": "ruby",
    "sh": "bash",
    "shell": "bash",
}

STEMS: dict[str, re.Pattern[str]] = {
    "python": re.compile(
        r"^\s*(?:async\s+)?(?:def|class)\s+\w+\s*(?:[(:\[].*)?$"
        r"|^\s*from\s+[\w.]+\s+import\b|^\s*import\s+[\w.]+\s*(?:,|as\b|$)",
        re.MULTILINE,
    ),
    "rust": re.compile(
        r"^\s*(?:pub\s+)?(?:fn\s+\w+\s*[<(]|(?:struct|enum|impl|trait)\b.*[{;(]|use\s+\w+::)",
        re.MULTILINE,
    ),
    "javascript": re.compile(
        r"^\s*(?:export\s+)?(?:async\s+)?function\b\s*\w*\s*(?:\(|$)"
        r"|^\s*(?:const|let|var)\s+\w+\s*=",
        re.MULTILINE,
    ),
    "go": re.compile(r"^\s*(?:func\s+(?:\([^)\n]*\)\s*)?\w+\s*\(|package\s+\w+\s*$)", re.MULTILINE),
    "kotlin": re.compile(r"^\s*fun\s+\w+\s*\(", re.MULTILINE),
    "json": re.compile(r"^\s*[\[{]"),
}
"""What code begins with, in a prompt or an answer."""

_OF_CODE = r"(?:function|program|script|code|class|method|snippet)"
_NAMES = {
    "python": r"python",
    "rust": r"rust",
    "javascript": r"javascript|node\.?js",
    "typescript": r"typescript",
    "go": rf"golang|\bgo {_OF_CODE}|in go\b",
    "json": r"json",
    "java": r"\bjava\b",
    "c": rf"\bc {_OF_CODE}|in c\b(?![+#])",
    "cpp": r"c\+\+|\bcpp\b",
    "csharp": r"c#|\bcsharp\b",
    "bash": r"\bbash\b|\bshell\b",
    "swift": rf"\bswift {_OF_CODE}|in swift\b",
    "r": rf"\br {_OF_CODE}|in r\b",
    **{
        name: rf"\b{name}\b"
        for name in (
            *("kotlin", "ruby", "php", "scala", "haskell", "perl", "lua", "sql", "html", "css"),
            *("julia", "fortran", "cobol", "dart", "elixir", "erlang", "clojure", "lisp"),
            *("matlab", "powershell", "zig", "ocaml", "prolog", "yaml", "xml", "toml", "latex"),
        )
    },
}

_FORMATS = frozenset(("json", "html", "css", "sql", "yaml", "xml", "toml", "latex"))
"""What a program may be about: "a Python function that reads JSON" is Python."""


def usual_name(language: str) -> str:
    """Return the lower-case name that this package knows a language by."""
    return _ALIASES.get(language.lower(), language.lower())


def begun_in(text: str) -> list[str]:
    """Return the languages of which a text holds a beginning."""
    return [language for language, stem in STEMS.items() if stem.search(text)]


def named_in(prompt: str, also: tuple[str, ...] = ()) -> list[str]:
    """Return the languages a prompt names: those that are known, and those of `also`.

    A format is one only where no language is named beside it.
    """
    names = {name: rf"\b{re.escape(name)}\b" for name in also} | _NAMES
    named = [name for name, form in names.items() if re.search(form, prompt, re.IGNORECASE)]
    return [name for name in named if name not in _FORMATS] or named


def asked_for(prompt: str, ours: tuple[str, ...]) -> str | None:
    """Return the language a prompt wants code in; None when it does not say, or may mean several.

    Code in the prompt says so too, unless the prompt names another language to put it into.
    """
    named = named_in(prompt, ours)
    begun = [name for name in begun_in(prompt) if name in ours or name not in _FORMATS]
    if begun and all(name in _FORMATS or name in begun for name in named):
        return next((name for name in ours if name in begun), begun[0])
    return named[0] if len(named) == 1 else None
