"""Packages: files and blocks that are merged into the configuration, whose own options come first."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from .expression import has_expression
from .merging import merge, merged_blocks
from .nodes import Block, Include, Items, Leaf, Node, Path_, Remove, Unresolved, is_text
from .problems import Problems
from .scope import Scope
from .substitution import Substituter
from .text import Missing

PACKAGES: Final = "packages"
SUBSTITUTIONS: Final = "substitutions"
_REMOTE: Final = re.compile(r"[a-zA-Z0-9-]+://")
_BLUETOOTH_PROXIES: Final = "github://esphome/bluetooth-proxies/"  # what Home Assistant's dashboard writes for them
MAX_ROUNDS: Final = 20  # substitutions that lead to the next; ESPHome's bound as well


class Packages:
    """Loads the packages of a configuration and collects their substitutions; the last one has priority."""

    def __init__(self, substituter: Substituter, problems: Problems, given: Mapping[str, Node]) -> None:
        self._substituter = substituter
        self._problems = problems
        self._given = given
        self._known: dict[str, Node] = dict(given)  # what names of files may be made of
        self._collected: Node | None = None

    def load(self, config: Block) -> Block:
        """Return a configuration with its packages loaded, and with the substitutions of all of them."""
        substitutions = substitutions_of(config, self._substituter, self._problems, self._given)
        config = config.without(SUBSTITUTIONS)
        scope = Scope(self._known)
        self._collected = self._remembered(substitutions, scope)
        inner = self._scope_in(config.get(PACKAGES), scope)
        config = self._walk(config, inner, ())
        return config.with_value(SUBSTITUTIONS, self._collected)

    def _walk(self, config: Block, scope: Scope, path: Path_) -> Block:
        """Return a configuration or a package with the packages in it loaded, the last one first."""
        packages = config.entries[PACKAGES][1]
        path = (*path, PACKAGES)
        if isinstance(packages, Include):
            loaded = self._substituter.include(
                packages, path, scope, lambda content, _: self._each(content, scope, path)
            )
        else:
            loaded = self._each(packages, scope, path)
        return config.with_value(PACKAGES, loaded)

    def _each(self, packages: Node, scope: Scope, path: Path_) -> Node:
        if isinstance(packages, Block):
            entries = dict(packages.entries)
            self._substituter.lacks_names |= packages.incomplete
            for name, (own, package) in reversed(list(packages.entries.items())):
                entries[name] = (own, self._package(package, scope, (*path, name)))
            return replace(packages, entries=entries)
        if isinstance(packages, Items):
            items = list(packages.items)
            for at in reversed(range(len(items))):
                items[at] = self._package(items[at], scope, (*path, at))
            return replace(packages, items=tuple(items))
        if isinstance(packages, Unresolved):
            self._substituter.lacks_names = True
            return self._substituter.entry(packages, path, scope)
        return self._refused(packages, path, "expected packages below it, as `name: !include FILE`")

    def _package(self, package: Node, scope: Scope, path: Path_, rounds: int = 0, *, pushed: bool = False) -> Node:
        """Return a package with the packages in it loaded; its variables are in ``scope`` if they are ``pushed``."""
        if isinstance(package, Include):
            loaded = self._substituter.include(
                package,
                path,
                scope,
                lambda content, within: self._package(content, within, path, rounds + 1, pushed=True),
                missing_variables=Missing.RAISE,
            )
            self._substituter.lacks_names |= isinstance(loaded, Unresolved)
            return loaded
        if isinstance(package, Unresolved):
            self._substituter.lacks_names = True
            return self._substituter.entry(package, path, scope)
        if isinstance(package, Leaf) and is_text(package):
            if not has_expression(package.value) or rounds >= MAX_ROUNDS:
                return self._refused(package, path, _no_package(package.value))
            resolved = self._substituter.resolve(package, path, scope)
            if isinstance(resolved, Unresolved):
                self._substituter.lacks_names = True
                return resolved
            return self._package(resolved, scope, path, rounds + 1)
        if not isinstance(package, Block):
            return self._refused(package, path, NO_PACKAGE)
        if "url" in package.entries:
            return self._refused(package, path, REMOTE)
        wrong = next((own for own, value in package.entries.values() if not _may_be_merged(value)), None)
        if wrong is not None:
            self._problems.add(wrong.place, (*path, wrong.text), NO_CONTENT)
            return Unresolved(package.place)
        return self._nested(package, scope if pushed else self._scope_in(package, scope), path)

    def _nested(self, package: Block, scope: Scope, path: Path_) -> Block:
        substitutions = package.get(SUBSTITUTIONS)
        if isinstance(substitutions, Include):
            substitutions = self._substituter.include(
                substitutions, (*path, SUBSTITUTIONS), scope, lambda node, _: node
            )
        if isinstance(substitutions, Block):
            self._collected = merge(self._remembered(substitutions, scope), self._collected or substitutions)
        elif isinstance(substitutions, Unresolved):
            self._substituter.lacks_names = True
            self._substituter.entry(substitutions, (*path, SUBSTITUTIONS), scope)
        elif substitutions is not None and not (isinstance(substitutions, Leaf) and substitutions.value is None):
            self._refused(substitutions, (*path, SUBSTITUTIONS), NO_SUBSTITUTIONS)
        package = package.without(SUBSTITUTIONS)
        if PACKAGES not in package.entries:
            return package
        return self._walk(package, self._scope_in(package.get(PACKAGES), scope), path)

    def _scope_in(self, node: Node | None, scope: Scope) -> Scope:
        return self._substituter.scope_in(node, scope, missing=Missing.RAISE)

    def _remembered(self, substitutions: Block, scope: Scope) -> Block:
        """Note substitutions for the names of files, in the order in which they are written."""
        entries = dict(substitutions.entries)
        for name, (key, written) in substitutions.entries.items():
            if name in self._known:
                continue
            value = written
            if is_text(written):
                value = self._substituter.resolve(written, (SUBSTITUTIONS, name), scope, missing=Missing.KEEP)
                entries[name] = (key, value)
            self._known[name] = value
        self._substituter.lacks_names |= substitutions.incomplete
        return replace(substitutions, entries=entries, context=None)

    def _refused(self, node: Node, path: Path_, message: str) -> Unresolved:
        self._substituter.lacks_names = True
        self._problems.add(node.place, path, message)
        return Unresolved(node.place)


def _no_package(text: str) -> str:
    if text.startswith(_BLUETOOTH_PROXIES):
        return OF_BOARDS
    return REMOTE if _REMOTE.match(text) else NO_PACKAGE


OF_BOARDS: Final = "is of boards: leave it out here, and write `bluetooth_proxy:`"
REMOTE: Final = "comes from the network: copy its files beside this one, and write `!include FILE` instead"
NO_PACKAGE: Final = "expected a package: options in a block, or `!include FILE`"
NO_CONTENT: Final = (
    "a package's options are blocks and lists: there is nothing that a single value could be merged into"
)
NO_SUBSTITUTIONS: Final = "expected names and values below it"


def _may_be_merged(value: Node) -> bool:
    if isinstance(value, Leaf):
        return value.value is None or (is_text(value) and has_expression(value.value))
    return isinstance(value, Block | Items | Remove | Include | Unresolved)


def substitutions_of(config: Block, substituter: Substituter, problems: Problems, given: Mapping[str, Node]) -> Block:
    """Return the substitutions that a configuration has, an empty block if there are none."""
    found = config.get(SUBSTITUTIONS)
    if found is None:
        return Block(config.place, {})
    path = (SUBSTITUTIONS,)
    if isinstance(found, Include):
        found = substituter.include(found, path, Scope(given), lambda node, _: node)
    if isinstance(found, Block):
        return found
    substituter.lacks_names = True
    if isinstance(found, Unresolved):
        substituter.entry(found, path, Scope(given))
    else:
        problems.add(config.entries[SUBSTITUTIONS][0].place, path, NO_SUBSTITUTIONS)
    return Block(config.place, {})


def merged_packages(config: Block) -> Block:
    """Return a configuration merged with its packages, and theirs, whose contents are resolved."""
    packages = config.get(PACKAGES)
    if packages is None:
        return config
    found = list(_in_order(packages))
    incomplete = any(not isinstance(package, Block) for package in found)
    merged = config
    for package in found:
        if isinstance(package, Block):
            merged = merged_blocks(package, merged)
    merged = merged.without(PACKAGES)
    return replace(merged, incomplete=True) if incomplete else merged


def _in_order(packages: Node) -> list[Node]:
    """Return all packages, the one with the highest priority first."""
    found: list[Node] = []
    if isinstance(packages, Block):
        own = [value for _, value in packages.entries.values()]
    elif isinstance(packages, Items):
        own = list(packages.items)
    else:
        return [packages]
    for package in reversed(own):
        found.append(package)
        inner = package.get(PACKAGES) if isinstance(package, Block) else None
        if inner is not None:
            found += _in_order(inner)
    return found
