"""One file's YAML to nodes: what its tags mean, and what `<<` merges into its blocks."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import source
from .files import FileError
from .limits import MAX_NESTING
from .nodes import (
    STEP_LENGTH,
    Block,
    Extend,
    Include,
    Items,
    Key,
    Lambda,
    Leaf,
    Node,
    Remove,
    Unresolved,
    entries_in_context,
)
from .problems import did_you_mean, shown
from .secret import SECRETS_FILE, Secret
from .source import Scalar

if TYPE_CHECKING:
    from .reader import Reader

CONDITION_ADVICE: Final = "expected true or false as the include's condition"
NO_WORD: Final = "expected an option, which is a word, instead of {}"


class FileReader:
    """Turns one file into nodes; what an anchor names is turned once."""

    def __init__(self, reader: "Reader", path: Path) -> None:
        self._reader = reader
        self._path = path
        self._known: dict[int, Node] = {}
        self._tags: dict[str, Callable[[source.Node], Node]] = {
            "!secret": self._secret,
            "!env_var": self._env_var,
            "!include": self._include,
            "!include_dir_list": self._folder_list,
            "!include_dir_merge_list": self._folder_merge_list,
            "!include_dir_named": self._folder_named,
            "!include_dir_merge_named": self._folder_merge_named,
            "!lambda": self._lambda,
            "!literal": self._literal,
            "!extend": lambda node: self._marker(node, Extend),
            "!remove": lambda node: self._marker(node, Remove),
        }

    def node(self, written: source.Node) -> Node:
        """Return what is written."""
        known = self._known.get(id(written))
        if known is None:
            self._reader.budget.spend()
            self._reader.nesting += 1
            try:
                deep = self._reader.nesting > MAX_NESTING
                known = Unresolved(written.place, "nested too deeply") if deep else self._tagged(written)
            finally:
                self._reader.nesting -= 1
            self._known[id(written)] = known
        return known

    def _tagged(self, written: source.Node) -> Node:
        tag = written.tag
        if tag is None or tag == "!":
            return self._plain(written)
        understood = self._tags.get(tag)
        if understood is not None:
            return understood(written)
        standard = source.standard_tag(tag)
        if isinstance(written, Scalar) and standard in {"str", "int", "float", "bool", "null"}:
            try:
                return Leaf(written.place, source.standard_value(standard, written.text))
            except ValueError:
                return Unresolved(written.place, f"is not what its tag !!{standard} says")
        if standard == ("map" if isinstance(written, source.Mapping) else "seq") and not isinstance(written, Scalar):
            return self._plain(written)
        named = f"!!{standard}" if standard else tag[:STEP_LENGTH]
        hint = did_you_mean(tag, self._tags)
        return Unresolved(written.place, f"{named} is not understood here{hint or ': write the value itself'}")

    def _plain(self, written: source.Node) -> Node:
        if isinstance(written, Scalar):
            return Leaf(written.place, source.scalar_value(written.text) if written.plain else written.text)
        if written.too_deep:
            return Unresolved(written.place)  # what is resolved may be half as deep: that is told
        if isinstance(written, source.Sequence):
            return Items(written.place, tuple(self.node(item) for item in written.items))
        return self._block(written)

    def _block(self, written: source.Mapping) -> Block:
        """Return options with those that are merged into them: what is there already stays."""
        entries: dict[str, tuple[Key, Node]] = {}
        merged: list[tuple[Key, Node]] = []
        incomplete = False
        for key, value in written.pairs:
            if key.plain and key.text == "<<":
                more = list(self._merged(self.node(value)))
                incomplete |= None in more
                merged += [entry for entry in more if entry is not None]
                continue
            name = self._key(key)
            if name is None:
                incomplete = True
            elif name.text in entries:
                first = entries[name.text][0].place.line
                message = f"not valid YAML: duplicate mapping key: {name.text[:STEP_LENGTH]}, as in line {first}"
                self._reader.problems.add(name.place, (), message)
            else:
                entries[name.text] = (name, self.node(value))
        self._reader.budget.spend(len(merged))
        for name, node in merged:
            entries.setdefault(name.text, (name, node))
        return Block(written.place, entries, incomplete=incomplete)

    def _key(self, written: Scalar) -> Key | None:
        """Return an option's name; a number may be the key of a substitution's table."""
        if written.tag not in (None, "!"):
            self._reader.problems.add(written.place, (), NO_WORD.format("a tag"))
            return None
        if written.text == "" and written.plain:
            self._reader.problems.add(written.place, (), NO_WORD.format("nothing"))
            return None
        value = source.scalar_value(written.text) if written.plain else written.text
        return Key(written.place, written.text, word=isinstance(value, str | bool))

    def _merged(self, value: Node, *, within: bool = False) -> Iterator[tuple[Key, Node] | None]:
        """Yield the options that `<<` brings, None for those that it should have."""
        if isinstance(value, Include):
            value = self._reader.now(value, "after `<<`")
        if isinstance(value, Block):
            yield from entries_in_context(value)
            if value.incomplete:
                yield None
            return
        if isinstance(value, Items) and not within:
            for item in value.items:
                yield from self._merged(item, within=True)
            return
        if not isinstance(value, Unresolved):
            value = Unresolved(
                value.place, "only options can be merged by `<<`: a block, a list of blocks, or a file's"
            )
        if value.message:
            self._reader.problems.add(value.place, (), value.message)
        yield None

    def _word(self, written: source.Node, what: str) -> str | Unresolved:
        """Return the text after a tag."""
        if isinstance(written, Scalar) and written.text.strip():
            return written.text
        return Unresolved(written.place, f"expected {what} after {written.tag}")

    def _secret(self, written: source.Node) -> Node:
        name = self._word(written, "the name of a secret")
        if isinstance(name, Unresolved):
            return name
        try:
            return Leaf(written.place, self._reader.secret(name, self._path), secret=True, literal=True)
        except LookupError as error:
            return Unresolved(written.place, str(error.args[0]))

    def _env_var(self, written: source.Node) -> Node:
        words = self._word(written, "the name of a variable of the environment")
        if isinstance(words, Unresolved):
            return words
        name, *default = words.split()
        value = self._reader.variable(name)
        if value is not None:
            return Leaf(written.place, Secret(value), secret=True, literal=True)
        if default:
            return Leaf(written.place, Secret(" ".join(default)), secret=True)
        message = f"the environment has no variable {shown(name)}: set it, or write a default after its name"
        return Unresolved(written.place, message)

    def _include(self, written: source.Node) -> Node:
        if not isinstance(written, source.Mapping):
            name = self._word(written, "the name of a file")
            if isinstance(name, Unresolved):
                return name
            return Include(written.place, self._path, Leaf(written.place, name))
        options = self._block(written)
        file, variables, condition = (options.get(name) for name in ("file", "vars", "condition"))
        for name, (key, _) in options.entries.items():
            if name not in {"file", "vars", "condition"}:
                return Unresolved(key.place, f"an !include has no {name!r}: write `file:`, `vars:` and `condition:`")
        if not isinstance(file, Leaf) or not isinstance(file.value, str) or not file.value:
            return Unresolved(written.place, "expected `file:` and the name of a file in it")
        if variables is not None and not isinstance(variables, Block):
            if not isinstance(variables, Leaf) or variables.value is not None:
                return Unresolved(variables.place, "expected the variables' names and values below `vars:`")
            variables = None
        if isinstance(condition, Leaf) and condition.value is None:
            condition = None
        if condition is not None and not (isinstance(condition, Leaf) and isinstance(condition.value, bool | str)):
            return Unresolved(condition.place, CONDITION_ADVICE)
        given = None if variables is None else {name: value for name, (_, value) in variables.entries.items()}
        return Include(written.place, self._path, file, given, condition)

    def _folder(self, written: source.Node) -> list[tuple[str, Node]] | Unresolved:
        """Return the content of each file in a folder, in the order of their names."""
        name = self._word(written, "the name of a folder")
        if isinstance(name, Unresolved):
            return name
        try:
            folder = self._reader.files.find(name, self._path)
        except FileError as error:
            return Unresolved(written.place, f"{name}: {error}")
        if not folder.is_dir():
            return Unresolved(written.place, f"{name}: is no folder")
        found = []
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
            self._reader.budget.spend(1 + len(names))
            for file in sorted(names):
                if file.endswith(".yaml") and not file.startswith(".") and file != SECRETS_FILE:
                    path = Path(place, file)
                    content = self._reader.file(os.path.relpath(path, self._path.parent), self._path, written.place)
                    found.append((path.stem, content))
        return found

    def _folder_list(self, written: source.Node) -> Node:
        found = self._folder(written)
        return found if isinstance(found, Unresolved) else Items(written.place, tuple(node for _, node in found))

    def _folder_merge_list(self, written: source.Node) -> Node:
        found = self._folder(written)
        if isinstance(found, Unresolved):
            return found
        items: list[Node] = []
        for _, node in found:
            if isinstance(node, Items):
                items += node.items
            elif isinstance(node, Unresolved):
                items.append(node)
        return Items(written.place, tuple(items))

    def _folder_named(self, written: source.Node) -> Node:
        found = self._folder(written)
        if isinstance(found, Unresolved):
            return found
        return Block(written.place, {name: (Key(node.place, name), node) for name, node in found})

    def _folder_merge_named(self, written: source.Node) -> Node:
        found = self._folder(written)
        if isinstance(found, Unresolved):
            return found
        entries: dict[str, tuple[Key, Node]] = {}
        incomplete = False
        for _, node in found:
            if isinstance(node, Block):
                entries.update(node.entries)
            elif isinstance(node, Unresolved):
                incomplete = True
                if node.message:
                    self._reader.problems.add(node.place, (), node.message)
        return Block(written.place, entries, incomplete=incomplete)

    def _lambda(self, written: source.Node) -> Node:
        if not isinstance(written, Scalar):
            return Unresolved(written.place, "expected code after !lambda")
        return Leaf(written.place, Lambda(written.text))

    def _literal(self, written: source.Node) -> Node:
        if isinstance(written, Scalar):
            return Leaf(written.place, written.text, literal=True)
        node = self._plain(written)
        return replace(node, literal=True) if isinstance(node, Block | Items) else node

    def _marker(self, written: source.Node, kind: type[Extend | Remove]) -> Node:
        if isinstance(written, Scalar) and (written.text or kind is Remove):
            return kind(written.place, written.text)
        return Unresolved(
            written.place, f"expected {'an' if kind is Extend else 'nothing or an'} id after {written.tag}"
        )
