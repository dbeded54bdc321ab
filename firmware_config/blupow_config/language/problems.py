"""Collects what is wrong while a configuration is resolved, each mistake once."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Final

from blupow_config.errors import ConfigError

from .nodes import STEP_LENGTH, Path_, dotted
from .source import Place

MAX_MESSAGE: Final = 300  # characters: names in them are written by anyone
MAX_HINTS: Final = 50  # each takes time that grows with the number of names
MAX_CHOICES: Final = 500


def shown(name: str) -> str:
    """Return a name as a message shows it."""
    return repr(name if len(name) <= STEP_LENGTH else name[:STEP_LENGTH] + "...")


class Problems:
    """The mistakes so far; one that is reached several times is told at the first path that leads to it."""

    def __init__(self) -> None:
        self._hints_left = MAX_HINTS
        self.errors: list[ConfigError] = []
        self._told: set[tuple[Place, str]] = set()

    def add(self, place: Place, path: Path_, message: str) -> None:
        """Take in a mistake in what is written at ``place``."""
        message = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
        if (place, message) not in self._told:
            self._told.add((place, message))
            self.errors.append(ConfigError(place.file, place.line, place.column, dotted(path), message))

    def hint(self, name: str, names: Callable[[], Iterable[str]]) -> str:
        """Return a hint to the nearest of ``names``, or nothing: who has made so many mistakes has made another one."""
        self._hints_left -= 1
        return did_you_mean(name, names()) if self._hints_left >= 0 else ""

    def extend(self, errors: Iterable[ConfigError]) -> None:
        """Take in the mistakes of a file."""
        self.errors += [error for error in errors if error not in self.errors]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint to the nearest of ``names``, in capitals or not, or nothing."""
    if len(name) > STEP_LENGTH:
        return ""
    spelled = {choice.lower(): choice for choice in sorted(names)[:MAX_CHOICES]}
    close = get_close_matches(name.lower(), spelled, 1)
    return f", did you mean {spelled[close[0]]!r}?" if close else ""
