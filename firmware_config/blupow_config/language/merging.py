"""Merging: what has priority over what, and what !extend and !remove do to it."""

from dataclasses import replace
from typing import Any

from .limits import Budget
from .nodes import Block, Extend, Items, Key, Leaf, Node, Path_, Remove, Unresolved
from .problems import Problems


def merge(low: Node | None, high: Node) -> Node:
    """Return ``low`` overridden by ``high``: options one by one, lists one after the other."""
    if low is None:
        return high
    if isinstance(high, Block):
        if isinstance(low, Unresolved):
            return replace(high, incomplete=True)
        return merged_blocks(low, high) if isinstance(low, Block) else high
    if isinstance(high, Items):
        return Items(high.place, low.items + high.items) if isinstance(low, Items) else high
    if isinstance(high, Leaf) and high.value is None:
        return low
    return high


def merged_blocks(low: Block, high: Block) -> Block:
    """Return the options of ``low`` overridden by those of ``high``."""
    entries = dict(low.entries)
    for name, (key, value) in high.entries.items():
        there = entries.get(name)
        entries[name] = (key, value if there is None else merge(there[1], value))
    return Block(high.place, entries, incomplete=low.incomplete or high.incomplete)


class Markers:
    """Carries out !extend and !remove."""

    def __init__(self, problems: Problems, budget: Budget) -> None:
        self._problems = problems
        self._budget = budget

    def block(self, node: Block, path: Path_) -> Block:
        """Return options without !extend and !remove."""
        entries: dict[str, tuple[Key, Node]] = {}
        for name, (key, value) in node.entries.items():
            if not isinstance(value, Remove):
                entries[name] = (key, self.resolve(value, (*path, name)))
        return replace(node, entries=entries)

    def resolve(self, node: Node, path: Path_) -> Node:
        """Return a node without !extend and !remove; those that have nothing to do become mistakes."""
        self._budget.spend()
        if isinstance(node, Leaf | Block | Items) and node.literal:
            return node
        if isinstance(node, Block):
            return self.block(node, path)
        if isinstance(node, Items):
            return replace(
                node, items=tuple(self.resolve(item, (*path, at)) for at, item in enumerate(self._items(node, path)))
            )
        if isinstance(node, Extend):
            message = "!extend has to be the `id` of an item in a list, of which another item has that id"
        elif isinstance(node, Remove):
            message = "there is nothing to remove here: write `!remove` after an option, or `- id: !remove ID`"
        elif isinstance(node, Leaf) and node.value == "REPLACEME":
            message = "is only a placeholder: put your own value in its place"
        else:
            return node
        self._problems.add(node.place, path, message)
        return Unresolved(node.place)

    def _items(self, node: Items, path: Path_) -> tuple[Node, ...]:
        """Return a list's items, extended and removed."""
        kept: dict[Any, Node] = {}
        extensions: list[tuple[int, Any, Node, Node]] = []
        removed: set[Any] = set()
        nothing = False
        for at, item in enumerate(node.items):
            self._budget.spend()
            if isinstance(item, Leaf) and item.value is None:
                nothing = True
                kept[at] = item
                continue
            marker, rest = _item_id(item)
            if isinstance(marker, Extend):
                extensions.append((at, marker.value, marker, rest))
            elif isinstance(marker, Remove):
                removed.add(_hashable(marker.value))
            else:
                name = marker.value if isinstance(marker, Leaf) and marker.value else at
                kept[at if name in kept else name] = item
        if not extensions and not removed and not nothing:
            return node.items
        for at, name, marker, rest in extensions:
            if _hashable(name) in removed:
                continue
            extended = kept.get(name) if isinstance(name, str) else None
            if extended is None:
                message = f"there is no item with the id {name!r} to extend" if isinstance(name, str) else NO_ID
                self._problems.add(marker.place, (*path, at), message)
                kept[at] = Unresolved(marker.place)
            else:
                kept[name] = merge(extended, rest)
        return tuple(
            item
            for name, item in kept.items()
            if name not in removed and not (isinstance(item, Leaf) and item.value is None)
        )


NO_ID = "an id is a text"


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _item_id(item: Node) -> tuple[Node | None, Node]:
    """Return an item's id, or that of the only block in it, and the item without it if that is an !extend."""
    if not isinstance(item, Block):
        return None, item
    found = item.get("id")
    if found is None or (isinstance(found, Leaf) and found.value is None):
        if len(item.entries) != 1:
            return None, item
        name, (_, inner) = next(iter(item.entries.items()))
        found = inner.get("id") if isinstance(inner, Block) else None
        if isinstance(found, Extend) and isinstance(inner, Block):
            return found, item.with_value(name, inner.without("id"))
    elif isinstance(found, Extend):
        return found, item.without("id")
    if isinstance(found, Remove) or (isinstance(found, Leaf) and isinstance(found.value, str)):
        return found, item
    return None, item
