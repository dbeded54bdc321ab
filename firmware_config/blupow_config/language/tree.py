"""A resolved configuration in plain types that knows where each value stands, and which are secret."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blupow_config.errors import ConfigError

from .limits import MAX_DEPTH
from .nodes import STEP_LENGTH, Block, Items, Leaf, Node, Path_, Unresolved, dotted
from .resolution import Resolution
from .source import Place
from .tags import NO_WORD

__all__ = ["STEP_LENGTH", "Path_", "Tree", "dotted"]


class Tree:
    """A resolved configuration: ``content`` in plain types, ``secret_paths`` into it, ``error`` for a mistake in it.

    ``files`` are all that it is made of, the main one first, ``variables`` those of the environment that it asks for.
    """

    def __init__(
        self,
        path: Path,
        substitutions: Mapping[str, str] | None = None,
        drafts: Mapping[Path, bytes] | None = None,
    ) -> None:
        """Read ``path`` and all that it names; ConfigErrors when that is not possible at all."""
        self.secret_paths: set[tuple[str | int, ...]] = set()
        self._unresolved: set[tuple[str | int, ...]] = set()
        self._incomplete: set[tuple[str | int, ...]] = set()
        resolution = Resolution(path, substitutions or {}, os.environ, drafts)
        self._root = resolution.root
        self.problems = resolution.problems
        self.files = resolution.files
        self.variables = resolution.variables
        self.content = self._plain(self._root, ())

    def error(self, path: Sequence[str | int], message: str, *, at_key: bool = False) -> ConfigError:
        """Return a mistake in the value at ``path``, or in its key."""
        place = self._place(path, at_key=at_key)
        return ConfigError(place.file, place.line, place.column, dotted(list(path)), message)

    def is_known(self, path: Sequence[str | int]) -> bool:
        """Return whether what is at ``path`` says anything: not if a mistake has left it out."""
        steps = tuple(path)
        if any(steps[: length + 1] in self._unresolved for length in range(len(steps))):
            return False
        there: Any = self.content
        for step in steps:
            if step in (there if isinstance(there, dict) else range(len(there)) if isinstance(there, list) else ()):
                there = there[step]
            else:  # it is not there, and would be if what holds it were known
                return not any(steps[:length] in self._incomplete for length in range(len(steps)))
        return True

    def _place(self, path: Sequence[str | int], *, at_key: bool) -> Place:
        """Return where the deepest part of ``path`` that there is stands."""
        node: Node = self._root
        place = node.place
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, Block) and step in node.entries:
                key, node = node.entries[str(step)]
                place = key.place if (last and at_key) or _says_less(node) else node.place
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                place = node.place
            else:
                break
        return place

    def _plain(self, node: Node, path: tuple[str | int, ...]) -> Any:
        """Return ``node`` in plain types."""
        if len(path) > MAX_DEPTH:
            self.problems.append(self.error(path[:1], "nested too deeply"))
            self._unresolved.add(path[:1])
            return None
        if isinstance(node, Block):
            if node.incomplete:
                self._incomplete.add(path)
            return {
                name: self._plain(value, (*path, name))
                for name, (key, value) in node.entries.items()
                if self._is_word(key.place, name, path, word=key.word)
            }
        if isinstance(node, Items):
            return [self._plain(item, (*path, number)) for number, item in enumerate(node.items)]
        if isinstance(node, Leaf):
            if node.secret:
                self.secret_paths.add(path)
            return node.value
        if not isinstance(node, Unresolved):  # it was within !literal, where nothing is resolved
            message = "an !include, !extend or !remove does nothing in !literal"
            self.problems.append(
                ConfigError(node.place.file, node.place.line, node.place.column, dotted(path), message)
            )
        self._unresolved.add(path)
        return None

    def _is_word(self, place: Place, name: str, path: tuple[str | int, ...], *, word: bool) -> bool:
        if not word:
            what = "nothing" if name in ("~", "null", "Null", "NULL") else name
            self.problems.append(ConfigError(place.file, place.line, place.column, dotted(path), NO_WORD.format(what)))
        return word


def _says_less(node: Node) -> bool:
    """Return whether a value says less than its key, as blocks do, which start at their first option."""
    return node.value is None if isinstance(node, Leaf) else isinstance(node, Block)
