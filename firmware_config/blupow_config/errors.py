"""What is wrong with a configuration, and where."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One mistake; line and column count from 1, 0 where the file itself is at fault; ``path`` as api.port."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(_on_one_line(part) for part in (place, self.path, self.message) if part)


def _on_one_line(text: str) -> str:
    """Return ``text`` with what would move the cursor escaped: options are written by anyone."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class ConfigErrors(Exception):  # noqa: N818 - it holds several
    """Every mistake of a configuration, in the order of the file."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(sorted(set(errors)))
        super().__init__("\n".join(map(str, self.errors)))
