"""A configuration's files to one tree in which nothing is left to resolve, in the order of ESPHome's passes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from blupow_config.errors import ConfigError, ConfigErrors

from .files import FileError, Files
from .limits import Budget, TooMuchError
from .merging import Markers, merge
from .nodes import Block, Items, Key, Leaf, Node, Unresolved
from .packages import PACKAGES, SUBSTITUTIONS, Packages, merged_packages, substitutions_of
from .problems import Problems
from .reader import Reader
from .scope import Scope
from .source import Place
from .substitution import Substituter, substitution_name

COMMAND_LINE: Final = "command line"
HIDDEN: Final = "."  # before a block's name at the top: it is only there to be named by `<<` or an alias


class Resolution:
    """Resolves a file: ``root`` is what it comes to, ``problems`` what is wrong, ``files`` what it is made of."""

    def __init__(
        self,
        path: Path,
        substitutions: Mapping[str, str],
        environment: Mapping[str, str],
        drafts: Mapping[Path, bytes] | None = None,
    ) -> None:
        """Read ``path`` and all that it names; ConfigErrors when it makes no tree at all."""
        self._path = path
        self._problems = Problems()
        budget = Budget()
        self._files = Files(path, drafts)
        self._reader = Reader(self._files, self._problems, budget, environment)
        self._substituter = Substituter(self._reader, self._problems, budget)
        self._given = {name: Leaf(Place(COMMAND_LINE, 0, 0), value) for name, value in substitutions.items()}
        try:
            config = self._main()
            with self._reader.reading(path.name, path):
                config = self._substituted(config)
            resolved = Markers(self._problems, budget).block(merged_packages(config).without(SUBSTITUTIONS), ())
        except TooMuchError as error:
            self._problems.add(Place(str(path), 1, 1), (), f"the configuration {error}")
            raise ConfigErrors(self._problems.errors) from None
        self.root = resolved.without(*(name for name in resolved.entries if name.startswith(HIDDEN)))

    @property
    def problems(self) -> list[ConfigError]:
        """What is wrong."""
        return self._problems.errors

    @property
    def variables(self) -> frozenset[str]:
        """The variables of the environment that it asks for."""
        return frozenset(self._reader.variables)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read, the main one first."""
        return tuple(self._files.read)

    def _main(self) -> Block:
        try:
            root = self._reader.main()
            empty = self._files.parse(self._path) is None or (isinstance(root, Leaf) and root.value is None)
        except FileError as error:
            raise ConfigErrors([ConfigError(str(self._path), 0, 0, "", str(error))]) from None
        if isinstance(root, Unresolved) and root.message:
            self._problems.add(root.place, (), root.message)
        if isinstance(root, Unresolved):
            raise ConfigErrors(self._problems.errors)
        if empty or not isinstance(root, Block):
            message = "empty: start with `esphome:` and a `name:` in it" if empty else "expected options, as `esphome:`"
            raise ConfigErrors([*self._problems.errors, ConfigError(str(self._path), 1, 1, "", message)])
        return root

    def _substituted(self, config: Block) -> Block:
        """Return the configuration and its packages with substitutions and includes in place."""
        if PACKAGES in config.entries:
            config = Packages(self._substituter, self._problems, self._given).load(config)
        substitutions = substitutions_of(config, self._substituter, self._problems, self._given)
        self._substituter.lacks_names |= substitutions.incomplete
        named: dict[str, Node] = {}
        for key, value in substitutions.entries.values():
            try:
                named[substitution_name(key.text)] = value
            except ValueError as error:
                self._problems.add(key.place, (SUBSTITUTIONS, key.text), str(error))
        for name, value in self._given.items():
            try:
                named[substitution_name(name)] = value
            except ValueError as error:
                self._problems.add(value.place, (SUBSTITUTIONS, name), str(error))
        scope = self._substituter.pushed(named, Scope({}), (SUBSTITUTIONS,))
        return self._config(config.without(SUBSTITUTIONS), scope)

    def _config(self, config: Block, scope: Scope) -> Block:
        """Return a configuration or a package resolved; a path in it starts at its own top."""
        if config.literal:
            return config
        if config.context is not None:
            scope = self._substituter.pushed(config.context, scope)
        entries: dict[str, tuple[Key, Node]] = {}
        incomplete = config.incomplete
        for name, (key, value) in config.entries.items():
            if name == PACKAGES and isinstance(value, Block | Items):
                resolved = self._packages(value, scope)
            else:
                resolved = self._substituter.entry(value, (name,), scope)
            own = self._substituter.key(key, (), scope)
            if own is None:
                incomplete = True
            else:
                there = entries.get(own.text)
                entries[own.text] = (own, resolved if there is None else merge(there[1], resolved))
        return replace(config, entries=entries, incomplete=incomplete, context=None)

    def _packages(self, packages: Block | Items, scope: Scope) -> Node:
        if packages.context is not None:
            scope = self._substituter.pushed(packages.context, scope)
        if isinstance(packages, Items):
            return replace(packages, items=tuple(self._package(item, scope) for item in packages.items), context=None)
        entries: dict[str, tuple[Key, Node]] = {}
        for key, value in packages.entries.values():
            resolved = self._package(value, scope)
            own = self._substituter.key(key, (PACKAGES,), scope) or key
            there = entries.get(own.text)
            entries[own.text] = (own, resolved if there is None else merge(there[1], resolved))
        return replace(packages, entries=entries, context=None)

    def _package(self, package: Node, scope: Scope) -> Node:
        return self._config(package, scope) if isinstance(package, Block) else package
