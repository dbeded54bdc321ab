"""Files to nodes: each read once, those that it includes at once among them, and none within itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from blupow_config.errors import ConfigErrors

from . import source
from .expression import has_expression, has_variable
from .files import FileError, Files
from .limits import Budget
from .nodes import Block, Include, Items, Leaf, Node, Unresolved, with_context
from .problems import Problems
from .secret import Secrets
from .source import Place
from .tags import CONDITION_ADVICE, FileReader

MAX_NAME: Final = 100  # characters of a file's name that are shown
MAX_CHAIN: Final = 20  # files that include each other; ESPHome's bound as well
TRUE_WORDS: Final = frozenset({"true", "yes", "on", "enable"})
FALSE_WORDS: Final = frozenset({"false", "no", "off", "disable"})


class Reader:
    """Turns files into nodes; what is wrong in them becomes an ``Unresolved`` where it stands."""

    def __init__(self, files: Files, problems: Problems, budget: Budget, environment: Mapping[str, str]) -> None:
        self.files = files
        self.problems = problems
        self.budget = budget
        self._environment = environment
        self.variables: set[str] = set()  # of the environment, that were asked for
        self._secrets = Secrets(files, problems)
        self._contents: dict[Path, Node] = {}
        self._chain: list[Path] = []
        self.nesting = 0  # of what is being read, through all files that are read on the way

    def main(self) -> Node:
        """Return the main file's content; ConfigErrors when it can't be read at all."""
        return self._content(self.files.main)

    def include(self, include: Include, name: str) -> Node:
        """Return the content of a file that is included, by the ``name`` that its own has become."""
        return with_context(self.file(name, include.base, include.place), include.variables)

    def file(self, name: str, base: Path, place: Place) -> Node:
        """Return the content of a file that ``base`` names at ``place``."""
        try:
            path = self.files.find(name, base)
            if path in self._chain or len(self._chain) >= MAX_CHAIN:
                return Unresolved(place, self._circle(path))
            return self._content(path)
        except FileError as error:
            return Unresolved(place, f"{name[:MAX_NAME]}: {error}")
        except ConfigErrors as errors:
            self.problems.extend(errors.errors)
            return Unresolved(place)

    @contextmanager
    def reading(self, name: str, base: Path) -> Iterator[None]:
        """Count the file that ``base`` names as being read: what it includes can't include it again."""
        self._chain.append(self.files.path_of(name, base))
        try:
            yield
        finally:
            self._chain.pop()

    def _circle(self, path: Path) -> str:
        chain = " -> ".join(map(self.files.relative, [*self._chain, path]))
        if path in self._chain:
            return f"a file can't include itself: {chain}"
        return f"more than {MAX_CHAIN} files include each other: {chain}"

    def _content(self, path: Path) -> Node:
        """Return the content of a file, an empty block if there is none, as ESPHome has it."""
        if path not in self._contents:
            root = self.files.parse(path)
            with self.reading(path.name, path):
                self._contents[path] = self._root(path, root)
        return self._contents[path]

    def _root(self, path: Path, root: source.Node | None) -> Node:
        if root is None:
            return Block(Place(str(path), 1, 1), {})
        node = FileReader(self, path).node(root)
        if isinstance(node, Include):
            return self.now(node, "at the top of a file")
        if (isinstance(node, Leaf) and not node.value and not node.secret) or (
            isinstance(node, Items) and not node.items
        ):
            return Block(node.place, {})
        return node

    def now(self, include: Include, where: str) -> Node:
        """Return an include's content where there are no substitutions yet, as in merge keys."""
        if any(has_text_to_resolve(part) for part in (include.file, include.condition)):
            return Unresolved(include.place, f"an !include {where} is read before there are substitutions: name a file")
        wanted = condition_holds(include.condition)
        if wanted is None:
            return Unresolved(include.place, CONDITION_ADVICE)
        return self.include(include, include.file.value) if wanted else Block(include.place, {})

    def secret(self, name: str, base: Path) -> Any:
        """Return a secret; LookupError says why there is none."""
        return self._secrets.get(name, base)

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment."""
        self.variables.add(name)
        return self._environment.get(name)


def has_text_to_resolve(leaf: Leaf | None) -> bool:
    """Return whether a text waits for substitutions."""
    return (
        leaf is not None
        and isinstance(leaf.value, str)
        and not leaf.literal
        and (has_variable(leaf.value) or has_expression(leaf.value))
    )


def condition_holds(condition: Leaf | None) -> bool | None:
    """Return whether an include is wanted, None when its condition is neither true nor false."""
    if condition is None:
        return True
    word = str(condition.value).lower()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
