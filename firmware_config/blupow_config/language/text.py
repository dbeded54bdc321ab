"""One text with what it stands for: $name, ${name} and ${ expressions } in it filled in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from .expression import MISSING, ExpressionError, Expressions, UndefinedNameError, has_expression, variables
from .limits import MAX_NEEDS, MAX_TEXT, Budget
from .nodes import Include, Lambda, Leaf, Node, Path_, Unresolved
from .problems import Problems, shown
from .scope import Scope
from .values import is_secret, lacks_something, node_of, parts, plain_value, text_leaf, text_size

NO_NAME: Final = ": write it below `substitutions:`, or `!literal` before a text that has a $"
FINDING: Final = 10  # characters that a look-up counts as: it takes that much longer
TOO_LONG: Final = f"grows to more than {MAX_TEXT:,} characters"


class Missing(Enum):
    """What becomes of a text with a variable that there is not."""

    TELL = "a mistake"
    KEEP = "itself, but for the variables that there are: another time there are more"
    RAISE = "NotYetError"


class NotYetError(Exception):
    """A variable is not there yet."""


@dataclass(slots=True)
class _Filling:
    """A text whose variables are being filled in: ``whole`` if it is nothing but one."""

    leaf: Leaf
    path: Path_
    scope: Scope
    missing: Missing
    calculated: bool
    secret: bool
    parts: list[str]
    start: int = 0  # of what is not in the parts yet
    length: int = 0
    whole: Node | None = None
    kept: bool = False  # a variable that is not there yet
    broken: bool = False  # by a mistake, which has been told
    waits: bool = False  # for a file

    @property
    def text(self) -> str:
        return "".join((*self.parts, self.leaf.value[self.start :]))

    def within_expression(self, at: int) -> bool:
        """Return whether a place in the text is in an expression's braces, or in a text that has blocks."""
        text = self.leaf.value
        return text.rfind("${", 0, at) > text.rfind("}", 0, at) or "<%" in text


class Texts:
    """Resolves texts within a budget; what is wrong with one is told."""

    def __init__(self, problems: Problems, budget: Budget) -> None:
        self._problems = problems
        self._budget = budget
        self._expressions = Expressions(budget)
        self._being_made: list[str] = []  # variables, each of which needs the next
        self.lacks_names = False

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """Note that a variable is being made: it can't need itself."""
        self._being_made.append(name)
        try:
            yield
        finally:
            self._being_made.pop()

    def value(self, leaf: Leaf, path: Path_, scope: Scope, *, missing: Missing = Missing.TELL) -> Node:
        """Return what a text stands for: a value of any kind if it is one variable or one expression."""
        if "$" not in leaf.value:
            return leaf
        calculated = has_expression(leaf.value)
        filling = _Filling(leaf, path, scope, missing, calculated=calculated, secret=leaf.secret, parts=[])
        self._fill(filling)
        if filling.broken:
            return Unresolved(leaf.place)
        if filling.waits or (filling.kept and filling.secret):
            return leaf
        return self._of_kind(filling, self._finished(filling))

    def _fill(self, filling: _Filling) -> None:
        """Fill in the variables, each of which is looked for once: what they stand for is not looked at again."""
        missed: set[str] = set()
        has_blocks = "<%" in filling.leaf.value
        for first, end, name in variables(filling.leaf.value):
            self._budget.work(FINDING)
            node = self._found(filling, name)
            if node is None:
                if filling.missing is Missing.KEEP:
                    filling.kept = True
                # a block of the expression's may have set it
                elif not (has_blocks and filling.leaf.value[end - 1] == "}") and name not in missed:
                    missed.add(name)
                    self._undefined(filling, name)
                    filling.broken = True
                continue
            if filling.missing is Missing.KEEP and _waits(node, self._budget):
                filling.waits = True
                return
            before = filling.leaf.value[filling.start : first]
            if not filling.length and not before and end == len(filling.leaf.value):
                filling.whole = node
                return
            value = None if lacks_something(node, self._budget) else self._part(filling, node, name, first)
            if value is None:
                filling.broken = True
                continue
            filling.parts += (before, value)
            filling.start = end
            filling.length += len(before) + len(value)
            self._budget.work(len(before) + len(value))
            if filling.length > MAX_TEXT:
                self._tell(filling, TOO_LONG)
                filling.broken = True
                return

    def _found(self, filling: _Filling, name: str) -> Node | None:
        """Return a variable, made if need be."""
        if len(self._being_made) > MAX_NEEDS:
            self._tell(filling, f"needs more than {MAX_NEEDS} substitutions, each of which needs the next")
            return Unresolved(filling.leaf.place)
        return filling.scope.find(name)

    def _part(self, filling: _Filling, node: Node, name: str, at: int) -> str | None:
        """Return a variable as part of a text, None with the mistake told if it can't be."""
        if text_size(node, self._budget) > MAX_TEXT:
            self._tell(filling, TOO_LONG)
            return None
        try:
            value = str(plain_value(node))
        except TypeError as error:
            self._tell(filling, str(error))
            return None
        if not is_secret(node, self._budget):
            return value
        filling.secret = True
        if not filling.calculated:
            return value
        if filling.within_expression(at):
            self._tell(filling, f"write the secret {name!r} without $ in an expression")
            return None
        return f"${{{name}}}"  # it goes in as a value: what is in it is no expression itself

    def _finished(self, filling: _Filling) -> Node:
        leaf, node = filling.leaf, filling.whole
        if node is None:
            text = filling.text
            if has_expression(text) and (filling.calculated or not filling.secret):
                return self._calculated(filling, text)
            # what holds a secret is not looked at again: a $ in it is its own
            return text_leaf(leaf.place, text, secret=filling.secret, literal=filling.secret)
        if not isinstance(node, Leaf):
            return node
        if filling.missing is Missing.KEEP and isinstance(node.value, str) and "$" in node.value:
            return node  # it lacks something itself, which is to be told where that is written
        node = replace(node, place=leaf.place, secret=node.secret or leaf.secret)
        if not isinstance(node.value, str) or node.secret or not has_expression(node.value):
            return node
        return self._calculated(filling, node.value)

    def _of_kind(self, filling: _Filling, node: Node) -> Node:
        """Return a resolved text as the code that it was, if it was."""
        if not isinstance(filling.leaf.value, Lambda) or isinstance(node, Unresolved):
            return node
        if isinstance(node, Leaf) and isinstance(node.value, str):
            return replace(node, value=Lambda(node.value))
        self._tell(filling, "expected a text as code")
        return Unresolved(filling.leaf.place)

    def _calculated(self, filling: _Filling, text: str) -> Node:
        """Return what a text with an expression stands for."""
        used: list[Node] = []

        def find(name: str) -> Any:
            node = self._found(filling, name)
            if node is None:
                return MISSING
            used.append(node)
            lacks_something(node, self._budget)  # which counts what is in it
            return plain_value(node)

        error: ExpressionError | None = None
        value = None
        try:
            value = self._expressions.evaluate(text, find)
        except ExpressionError as raised:
            error = raised
        if filling.missing is Missing.KEEP and any(_waits(node, self._budget) for node in used):
            return filling.leaf
        filling.secret |= any(is_secret(node, self._budget) for node in used)
        if error is None:
            return node_of(value, filling.leaf.place, secret=filling.secret)
        if any(lacks_something(node, self._budget) for node in used):
            return Unresolved(filling.leaf.place)  # what follows from a mistake is none
        return self._failed(filling, text, error)

    def _failed(self, filling: _Filling, text: str, error: ExpressionError) -> Node:
        if isinstance(error, UndefinedNameError):
            if filling.missing is Missing.KEEP:
                return filling.leaf if filling.secret else replace(filling.leaf, value=text)
            if filling.missing is Missing.RAISE:
                raise NotYetError
            if error.name is not None:
                return self._undefined(filling, error.name)
        detail = f": {error.detail}" if error.detail and not filling.secret else ""
        self._tell(filling, f"the expression {error}{detail}")
        return Unresolved(filling.leaf.place)

    def _undefined(self, filling: _Filling, name: str) -> Unresolved:
        if filling.missing is Missing.RAISE:
            raise NotYetError
        if name in self._being_made:
            circle = " -> ".join([*self._being_made[self._being_made.index(name) :], name])
            self._tell(filling, f"a substitution can't need itself: {circle}")
        elif not self.lacks_names:
            hint = self._problems.hint(name, filling.scope.names) or NO_NAME
            self._tell(filling, f"there is no substitution {shown(name)}{hint}")
        return Unresolved(filling.leaf.place)

    def _tell(self, filling: _Filling, message: str) -> None:
        self._problems.add(filling.leaf.place, filling.path, message)


def _waits(node: Node, budget: Budget) -> bool:
    """Return whether a node has a file in it that is not read yet."""
    return any(isinstance(part, Include) for part in parts(node, budget))
