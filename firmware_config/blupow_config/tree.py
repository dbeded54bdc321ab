"""The configuration's file as a tree in plain types that knows where each value stands, and which are secret."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .errors import ConfigError, ConfigErrors
from .secret import Secrets
from .source import Tag, parse, position

MAX_DEPTH: Final = 16  # a configuration has four levels; far deeper ones would exhaust Python's stack
STEP_LENGTH: Final = 40  # what is longer is no option of ours: its start says which

type Path_ = Sequence[str | int]


class Tree:
    """A parsed file: ``content`` in plain types, ``secret_paths`` into it, ``error`` for a mistake at a path of it."""

    def __init__(self, path: Path) -> None:
        """Read ``path`` and its secrets; ConfigErrors when that is not possible at all."""
        self.problems: list[ConfigError] = []
        self.secret_paths: set[tuple[str | int, ...]] = set()
        self._file = str(path)
        self._root = parse(path)
        if not isinstance(self._root, dict):
            empty = self._root is None
            message = "empty: start with `esphome:` and a `name:` in it" if empty else "expected options, as `esphome:`"
            raise ConfigErrors([ConfigError(self._file, 1, 1, "", message)])
        self._secrets = Secrets(path)
        self.content = self._plain(self._root, ())
        self.problems += self._secrets.problems

    def error(self, path: Path_, message: str, *, at_key: bool = False) -> ConfigError:
        """Return a mistake in the value at ``path``, or in its key."""
        line, column = self._place(path, at_key=at_key)
        return ConfigError(self._file, line, column, dotted(path), message)

    def _place(self, path: Path_, *, at_key: bool) -> tuple[int, int]:
        """Return where the deepest part of ``path`` that has a position stands."""
        node: Any = self._root
        line, column = position(node) or (1, 1)
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, dict):
                key = next((key for key in node if key == step), None)
                if key is None:
                    break
                line, column = position(key) or (line, column)
                node = node[key]
                # a block starts at its first line: its key says more
                if not (last and at_key) and not isinstance(node, dict):
                    line, column = position(node) or (line, column)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
                line, column = position(node) or (line, column)
            else:
                break
        return line, column

    def _plain(self, node: Any, path: tuple[str | int, ...]) -> Any:
        """Return ``node`` without annotations, secrets in place."""
        if len(path) > MAX_DEPTH:
            self.problems.append(self.error(path[:1], "nested too deeply"))
            return None
        if isinstance(node, dict):
            return {
                str(key): self._plain(value, (*path, str(key)))
                for key, value in node.items()
                if self._is_text(key, path)
            }
        if isinstance(node, list):
            return [self._plain(item, (*path, number)) for number, item in enumerate(node)]
        if isinstance(node, Tag):
            return self._tagged(node, path)
        for kind in (bool, str, int, float):
            if isinstance(node, kind):
                return kind(node)
        return None

    def _is_text(self, key: object, path: tuple[str | int, ...]) -> bool:
        if isinstance(key, str):
            return True
        line, column = position(key) or self._place(path, at_key=False)
        what = "a tag" if isinstance(key, Tag) else "nothing" if key is None else str(key).lower()
        message = f"expected an option, which is a word, instead of {what}"
        self.problems.append(ConfigError(self._file, line, column, dotted(path), message))
        return False

    def _tagged(self, node: Any, path: tuple[str | int, ...]) -> Any:
        if node.tag != "!secret":
            message = f"{node.tag} is not understood here: write the value itself, or `!secret` and a name"
            self.problems.append(self.error(path, message))
            return None
        if not isinstance(node.value, str) or not node.value:
            self.problems.append(self.error(path, "expected the name of a secret after !secret"))
            return None
        try:
            value = self._secrets.get(str(node.value))
        except LookupError as error:
            self.problems.append(self.error(path, str(error.args[0])))
            return None
        self.secret_paths.add(path)
        return value


def dotted(path: Path_) -> str:
    """Return a path as users read it: renogy.0.address."""
    steps = map(str, path)
    return ".".join(step if len(step) <= STEP_LENGTH else step[:STEP_LENGTH] + "..." for step in steps)
