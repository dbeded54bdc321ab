"""Expressions such as ${ a + 1 }: Jinja as ESPHome has it, without what could run for long, grow large or reach out."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from .limits import MAX_EXPRESSION, Budget

if TYPE_CHECKING:
    from .sandbox import Sandbox

_VARIABLE: Final = re.compile(r"\$(?:([a-zA-Z0-9_]+)|\{([a-zA-Z0-9_]*)\})")


class ExpressionError(Exception):
    """What is wrong with an expression; the text holds no value, except that ``detail`` may."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class UndefinedNameError(ExpressionError):
    """An expression needs what there is not; ``name`` if that is a variable."""

    def __init__(self, name: str | None, detail: str) -> None:
        super().__init__("needs what there is not", detail)
        self.name = name


MISSING: Final = object()  # what a look-up returns for a variable that there is not


def variables(text: str) -> Iterable[tuple[int, int, str]]:
    """Yield where each $name and ${name} starts and ends, and its name."""
    for match in _VARIABLE.finditer(text):
        yield match.start(), match.end(), match[1] if match[1] is not None else match[2]


def has_variable(text: str) -> bool:
    """Return whether a text holds a $name or ${name}."""
    return _VARIABLE.search(text) is not None


def has_expression(text: str) -> bool:
    """Return whether a text holds a ${ ... } or <% ... %>, in time that grows with its length alone."""
    start = text.find("${")
    while start >= 0:
        end = text.find("}", start + 2)
        if end < 0:
            break
        if end > start + 2:
            return True
        start = text.find("${", start + 2)
    for line in text.split("\n") if "<%" in text else ():
        start = line.find("<%")
        if start >= 0 and line.rfind("%>") > start + 2:
            return True
    return False


class Expressions:
    """Evaluates expressions within a budget; the library is loaded when the first is there."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sandbox: Sandbox | None = None

    def evaluate(self, text: str, find: Callable[[str], Any]) -> Any:
        """Return the value of a text in plain types, or raise ExpressionError; ``find`` returns that of a variable."""
        if len(text) > MAX_EXPRESSION:
            raise ExpressionError(f"a text with an expression may have {MAX_EXPRESSION:,} characters at most")
        if self._sandbox is None:
            from .sandbox import Sandbox  # noqa: PLC0415 - most configurations need none, and it takes a while

            self._sandbox = Sandbox(self._budget)
        return self._sandbox.evaluate(text, find)
