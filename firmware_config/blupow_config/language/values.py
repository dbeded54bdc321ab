"""Resolved nodes to plain values and back, with what they have to do with secrets."""

from collections.abc import Iterator
from typing import Any

from .limits import Budget
from .nodes import Block, Items, Key, Lambda, Leaf, Node, Unresolved
from .secret import Secret
from .source import Place


class Hole:
    """What stands in an expression for what is no value (yet): it can be passed by, but not used."""

    __slots__ = ()

    def __str__(self) -> str:
        raise TypeError("an !include, !extend or !remove is no value")

    __repr__ = __bool__ = __iter__ = __len__ = __hash__ = __eq__ = __str__  # type: ignore[assignment]


def parts(node: Node, budget: Budget) -> Iterator[Node]:
    """Yield a node and everything in it."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        budget.spend()
        yield part
        if isinstance(part, Items):
            waiting += part.items
        elif isinstance(part, Block):
            waiting += (value for _, value in part.entries.values())


def plain_value(node: Node) -> Any:
    """Return a node in plain types, for an expression."""
    if isinstance(node, Leaf):
        return str(node.value) if isinstance(node.value, str) else node.value
    if isinstance(node, Items):
        return [plain_value(item) for item in node.items]
    if isinstance(node, Block):
        return {name: plain_value(value) for name, (_, value) in node.entries.items()}
    return Hole()


def lacks_something(node: Node, budget: Budget) -> bool:
    """Return whether a mistake that has been told is in a node."""
    return any(
        isinstance(part, Unresolved) or (isinstance(part, Block) and part.incomplete) for part in parts(node, budget)
    )


def is_secret(node: Node, budget: Budget) -> bool:
    """Return whether a node is a secret, or holds one."""
    return any(isinstance(part, Leaf) and part.secret for part in parts(node, budget))


def text_size(node: Node, budget: Budget) -> int:
    """Return about how many characters a node has as a text."""
    return sum(
        len(part.value) if isinstance(part, Leaf) and isinstance(part.value, str) else 2 for part in parts(node, budget)
    )


def node_of(value: Any, place: Place, *, secret: bool) -> Node:
    """Return the node of a plain value that an expression at ``place`` has made."""
    if isinstance(value, list):
        return Items(place, tuple(node_of(item, place, secret=secret) for item in value))
    if isinstance(value, dict):
        return Block(
            place,
            {
                str(key): (Key(place, str(key), word=isinstance(key, str)), node_of(item, place, secret=secret))
                for key, item in value.items()
            },
        )
    return text_leaf(place, value, secret=secret, literal=secret)


def text_leaf(place: Place, value: Any, *, secret: bool, literal: bool = False) -> Leaf:
    """Return a single value, marked if it is a secret."""
    if isinstance(value, str) and secret and not isinstance(value, Lambda):
        value = Secret(value)
    return Leaf(place, value, secret=secret, literal=literal)
