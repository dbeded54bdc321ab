"""The first line of generated files, by which they are known from the user's own."""

from pathlib import PurePath
from typing import Final

_MARK: Final = "Made by `blupow-proxy esp32 new`, which replaces it: do not edit it."
_COMMENT: Final = {".yaml": "#", ".py": "#", ".cpp": "//", ".h": "//"}


def marked(path: str, text: str) -> str:
    """Return ``text`` with the mark, if a file of this kind has one."""
    line = mark(path)
    return text if line is None else f"{line}\n{text}"


def mark(path: str) -> str | None:
    """Return the first line of a generated file; None where there is no telling."""
    comment = _COMMENT.get(PurePath(path).suffix)
    return None if comment is None else f"{comment} {_MARK}"
