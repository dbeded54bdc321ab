"""Collects what is wrong while a configuration is resolved, each mistake once."""

from collections.abc import Iterable
from difflib import get_close_matches

from .errors import ConfigError
from .nodes import Path_, dotted
from .source import Place


class Problems:
    """The mistakes so far; one that is reached several times is told at the first path that leads to it."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self._told: set[tuple[Place, str]] = set()

    def add(self, place: Place, path: Path_, message: str) -> None:
        """Take in a mistake in what is written at ``place``."""
        if (place, message) not in self._told:
            self._told.add((place, message))
            self.errors.append(ConfigError(place.file, place.line, place.column, dotted(path), message))

    def extend(self, errors: Iterable[ConfigError]) -> None:
        """Take in the mistakes of a file."""
        self.errors += [error for error in errors if error not in self.errors]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint to the nearest of ``names``, or nothing."""
    close = get_close_matches(name, sorted(names), 1)
    return f", did you mean {close[0]!r}?" if close else ""
