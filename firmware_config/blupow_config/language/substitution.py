"""Substitutions in a whole tree: texts and keys become what they stand for, and includes their files."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .limits import MAX_NESTING, Budget
from .merging import merge
from .nodes import (
    Block,
    Extend,
    Include,
    Items,
    Key,
    Leaf,
    Node,
    Path_,
    Remove,
    Unresolved,
    Variables,
    is_text,
    without_context,
)
from .problems import Problems
from .reader import Reader, condition_holds, has_text_to_resolve
from .scope import Scope
from .tags import CONDITION_ADVICE, NO_WORD
from .text import Missing, NotYetError, Texts
from .values import plain_value

INCLUDING: Final = 5  # values that an include counts as: it takes that much longer
NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Substituter:
    """Resolves texts and includes within scopes of variables."""

    def __init__(self, reader: Reader, problems: Problems, budget: Budget) -> None:
        self._reader = reader
        self._problems = problems
        self._budget = budget
        self._texts = Texts(problems, budget)
        self._nesting = 0

    @property
    def lacks_names(self) -> bool:
        """Whether a file that has some could not be read: then a name that is missing is no mistake."""
        return self._texts.lacks_names

    @lacks_names.setter
    def lacks_names(self, lacks: bool) -> None:
        self._texts.lacks_names = lacks

    def resolve(self, node: Node, path: Path_, scope: Scope, *, missing: Missing = Missing.TELL) -> Node:
        """Return a node with everything in it resolved."""
        self._budget.spend()
        if isinstance(node, Unresolved):
            return self._told(node, path)
        if isinstance(node, Leaf | Block | Items) and node.literal:
            return node
        if self._nesting > MAX_NESTING:
            self._problems.add(node.place, path[:1], "nested too deeply")
            return Unresolved(node.place)
        self._nesting += 1
        try:
            return self._resolve(node, path, scope, missing=missing)
        finally:
            self._nesting -= 1

    def _resolve(self, node: Node, path: Path_, scope: Scope, *, missing: Missing) -> Node:
        scope = self.scope_in(node, scope, missing=missing)
        node = without_context(node)
        if isinstance(node, Leaf):
            return self._texts.value(node, path, scope, missing=missing) if isinstance(node.value, str) else node
        if isinstance(node, Items):
            items = (self.resolve(item, (*path, at), scope, missing=missing) for at, item in enumerate(node.items))
            return replace(node, items=tuple(items))
        if isinstance(node, Block):
            return self._block(node, path, scope, missing=missing)
        if isinstance(node, Include):
            return self.include(
                node,
                path,
                scope,
                lambda content, within: self.resolve(without_context(content), path, within, missing=missing),
                missing=missing,
            )
        if isinstance(node, Extend | Remove) and node.value:
            value = self._texts.value(Leaf(node.place, node.value), path, scope, missing=missing)
            if isinstance(value, Leaf) and value.secret:
                self._problems.add(node.place, path, "an id can't be made of a secret: it shows in messages")
                return Unresolved(node.place)
            return value if isinstance(value, Unresolved) else replace(node, value=plain_value(value))
        return node

    def _block(self, node: Block, path: Path_, scope: Scope, *, missing: Missing) -> Block:
        entries: dict[str, tuple[Key, Node]] = {}
        incomplete = node.incomplete
        for name, (key, written) in node.entries.items():
            value = self.entry(written, (*path, name), scope, missing=missing)
            resolved = self.key(key, path, scope, missing=missing)
            if resolved is None:
                incomplete = True
                continue
            there = entries.get(resolved.text)
            entries[resolved.text] = (resolved, value) if there is None else (resolved, merge(there[1], value))
        return replace(node, entries=entries, incomplete=incomplete)

    def entry(self, value: Node, path: Path_, scope: Scope, *, missing: Missing = Missing.TELL) -> Node:
        """Return the value of an option, resolved."""
        if isinstance(value, Unresolved):
            return self._told(value, path)
        return self.resolve(value, path, scope, missing=missing)

    def _told(self, node: Unresolved, path: Path_) -> Unresolved:
        """Tell what is wrong in a value, once."""
        if node.message:
            self._problems.add(node.place, path, node.message)
        return Unresolved(node.place)

    def key(self, key: Key, path: Path_, scope: Scope, *, missing: Missing = Missing.TELL) -> Key | None:
        """Return an option's name, None if that is not known."""
        if "$" not in key.text:
            return key if key.context is None else replace(key, context=None)
        if key.context is not None:
            scope = self.pushed(key.context, scope, missing=missing)
        value = self._texts.value(Leaf(key.place, key.text), path, scope, missing=missing)
        if not isinstance(value, Leaf):
            if not isinstance(value, Unresolved):
                self._problems.add(key.place, path, NO_WORD.format("a list or a block"))
            return None
        if value.secret:
            self._problems.add(key.place, path, "an option's name can't be made of a secret: it shows in messages")
            return None
        return Key(key.place, str(value.value), word=is_text(value))

    def pushed(
        self, given: Variables, around: Scope, path: Path_ = ("vars",), *, missing: Missing = Missing.TELL
    ) -> Scope:
        """Return a scope with variables resolved, each of which may need others of them."""
        pending = dict(given)
        made: dict[str, Node] = {}
        not_yet: dict[str, Node] = {}
        inner = Scope(made, around)
        strict = Missing.TELL if missing is Missing.TELL else Missing.RAISE

        def make(name: str) -> Node | None:
            node = pending.pop(name, None)
            if node is None:
                return made.get(name)
            if isinstance(node, Block):
                made[name] = node  # its parts may need each other
            try:
                with self._texts.making(name):
                    made[name] = self.entry(node, (*path, name), making, missing=strict)
            except NotYetError:
                not_yet[name] = node
                return None
            return made[name]

        making = Scope({}, inner, make, pending)
        while pending:
            make(next(iter(pending)))
        made.update(not_yet)
        return inner

    def include(
        self,
        include: Include,
        path: Path_,
        scope: Scope,
        then: Callable[[Node, Scope], Node],
        *,
        missing: Missing = Missing.TELL,
        missing_variables: Missing | None = None,
    ) -> Node:
        """Return what ``then`` makes of an include's content and of its scope, while its file counts as being read."""
        self._budget.spend(INCLUDING)
        missing = Missing.TELL if missing is Missing.KEEP else missing  # a file is read now or never
        wanted = self._is_wanted(include, path, scope, missing)
        if wanted is None:
            return Unresolved(include.place)
        if not wanted:
            return then(Block(include.place, {}), scope)
        name = self._file_name(include, path, scope, missing)
        if name is None:
            return Unresolved(include.place)
        content = self._reader.include(include, name)
        if isinstance(content, Unresolved):
            return self._told(content, path)
        # the variables are not part of the file: they may include it themselves
        scope = self.scope_in(content, scope, missing=missing_variables or missing)
        with self._reader.reading(name, include.base):
            return then(content, scope)

    def _is_wanted(self, include: Include, path: Path_, scope: Scope, missing: Missing) -> bool | None:
        """Return whether an include's condition holds, None with the mistake told if it is neither true nor false."""
        condition: Leaf | None = include.condition
        if condition is None:
            return True
        if has_text_to_resolve(condition):
            resolved = self._texts.value(condition, (*path, "condition"), scope, missing=missing)
            if isinstance(resolved, Unresolved):
                return None
            condition = resolved if isinstance(resolved, Leaf) else replace(condition, value="neither")
        wanted = condition_holds(condition)
        if wanted is None:
            self._problems.add(condition.place, path, CONDITION_ADVICE)
        return wanted

    def _file_name(self, include: Include, path: Path_, scope: Scope, missing: Missing) -> str | None:
        """Return the name of an include's file, None with the mistake told if it has none."""
        resolved: Node = include.file
        if has_text_to_resolve(include.file):
            resolved = self._texts.value(include.file, (*path, "file"), scope, missing=missing)
        if isinstance(resolved, Unresolved):
            return None
        if not isinstance(resolved, Leaf) or resolved.secret:
            self._problems.add(include.file.place, path, "a file's name is a text, which is not secret")
            return None
        return str(resolved.value)

    def scope_in(self, node: Node | None, around: Scope, *, missing: Missing) -> Scope:
        """Return the scope that holds in a node."""
        if isinstance(node, Leaf | Block | Items) and node.context is not None and not node.literal:
            return self.pushed(node.context, around, missing=missing)
        return around


def substitution_name(name: str) -> str:
    """Return a substitution's name without a $ before it; ValueError says why it is none."""
    bare = name.removeprefix("$")
    if not bare or bare[0].isdigit() or not NAME_CHARACTERS.issuperset(bare):
        raise ValueError("a substitution's name has letters, digits and underscores, and starts with no digit")
    return bare
