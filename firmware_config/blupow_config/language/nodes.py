"""What a configuration is made of while it is being resolved; nodes never change, so they may be shared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .source import Place

type Path_ = tuple[str | int, ...]
type Variables = Mapping[str, "Node"]

STEP_LENGTH: Final = 40  # what is longer is no option of ours: its start says which


class Lambda(str):
    """A text that is code, after !lambda."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A single value. What is ``literal`` is not substituted, what is ``secret`` must not show.

    ``context`` are the variables of an !include that hold in it.
    """

    place: Place
    value: Any
    secret: bool = False
    literal: bool = False
    context: Variables | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The name of an option; ``word`` unless YAML takes it for something else, such as a number."""

    place: Place
    text: str
    word: bool = True
    context: Variables | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Options. One that is ``incomplete`` lacks some that could not be resolved."""

    place: Place
    entries: Mapping[str, tuple[Key, "Node"]]
    literal: bool = False
    incomplete: bool = False
    context: Variables | None = None

    def get(self, name: str) -> "Node | None":
        """Return the value of an option, None if it is not there."""
        entry = self.entries.get(name)
        return None if entry is None else entry[1]

    def without(self, *names: str) -> "Block":
        """Return the block without some options."""
        return replace(self, entries={name: entry for name, entry in self.entries.items() if name not in names})

    def with_value(self, name: str, value: "Node") -> "Block":
        """Return the block with another value of an option."""
        key = self.entries[name][0] if name in self.entries else Key(value.place, name)
        return replace(self, entries={**self.entries, name: (key, value)})


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple["Node", ...]
    literal: bool = False
    context: Variables | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Include:
    """A file that is to stand here; its name and its condition may be made of substitutions."""

    place: Place
    base: Path  # the file that it is written in
    file: Leaf
    variables: Variables | None = None
    condition: Leaf | None = None


@dataclass(frozen=True, slots=True)
class Extend:
    """An id after !extend: what stands with it is merged into the item that has that id."""

    place: Place
    value: Any


@dataclass(frozen=True, slots=True)
class Remove:
    """!remove, of an option or, with an id, of an item."""

    place: Place
    value: Any


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A value that is not known, as there is a mistake in it; without ``message`` it has been told already."""

    place: Place
    message: str = ""


type Node = Leaf | Block | Items | Include | Extend | Remove | Unresolved


def is_text(node: "Node | None") -> bool:
    """Return whether a node is a text, and no code."""
    return isinstance(node, Leaf) and isinstance(node.value, str) and not isinstance(node.value, Lambda)


def with_context(node: Node, variables: Variables | None) -> Node:
    """Return a file's content with the variables that hold in it: its `defaults`, and those that come with it."""
    if isinstance(node, Block) and "defaults" in node.entries:
        defaults = node.get("defaults")
        if not isinstance(defaults, Block):
            message = "expected the variables' names and values below it"
            return node.with_value("defaults", Unresolved(node.entries["defaults"][0].place, message))
        variables = {**{name: value for name, (_, value) in defaults.entries.items()}, **(variables or {})}
        node = node.without("defaults")
    if not isinstance(node, Leaf | Block | Items):
        return node
    if isinstance(node, Leaf) and not isinstance(node.value, str):
        return node
    if node.context is not None:
        return replace(node, context={**node.context, **(variables or {})})
    return replace(node, context=variables) if variables else node


def without_context(node: Node) -> Node:
    """Return a node whose variables have been taken into account."""
    if isinstance(node, Leaf | Block | Items) and node.context is not None:
        return replace(node, context=None)
    return node


def entries_in_context(block: Block) -> Iterator[tuple[Key, Node]]:
    """Yield the options of a block that disappears, with the variables that hold in it."""
    for key, value in block.entries.values():
        if block.context is None:
            yield key, value
        else:
            yield replace(key, context={**(key.context or {}), **block.context}), with_context(value, block.context)


def dotted(path: "Path_ | list[Any]") -> str:
    """Return a path as users read it: renogy.0.address."""
    steps = map(str, path)
    return ".".join(step if len(step) <= STEP_LENGTH else step[:STEP_LENGTH] + "..." for step in steps)
