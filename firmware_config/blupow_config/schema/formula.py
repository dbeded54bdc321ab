"""Lambdas: the part of C++ that computes one value from others, without a compiler.

A lambda is ``return`` and an expression, alone or behind ``if`` and ``else``. Values are those of C++: whole numbers
divide to whole numbers. But what is missing makes missing all that is computed or decided with it, where C++ may make
a number of it: only ``isnan`` and ``has_state`` can tell.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

MAX_CHARACTERS: Final = 4000  # a formula, not a program
MAX_DEPTH: Final = 32  # of parentheses and signs: far deeper ones would exhaust Python's stack
_INT_END: Final = 2**31  # where C++'s whole numbers end

type Number = int | float | bool
type States = Mapping[str, Number | None]
"""The states of sensors by id; None is missing."""
type _Part = Callable[[States], Number | None]
type _Step = Callable[[Number, Number], Number | None]

_TOKEN: Final = re.compile(
    r"(?P<number>(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)"
    r"|(?P<name>(?:std::)?[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[-+*/<>!?:;,.(){}])"
)
_SKIPPED: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_LEVELS: Final = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/"))


def _divided(left: Number, right: Number) -> Number | None:
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        whole = abs(left) // abs(right)
        return whole if (left < 0) == (right < 0) else -whole
    return left / right


_OPERATORS: Final[Mapping[str, _Step]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_CONSTANTS: Final[Mapping[str, Number | None]] = {"true": True, "false": False, "NAN": None, "M_PI": math.pi}


def _rounded(value: Number) -> float:
    """Return ``value`` rounded as C does: halves away from zero."""
    whole = math.floor(abs(value))
    return math.copysign(whole + (abs(value) - whole >= 0.5), value)


def _root(value: Number) -> float | None:
    return math.sqrt(value) if value >= 0 else None


def _power(base: Number, exponent: Number) -> float | None:
    try:
        return math.pow(base, exponent)
    except (ValueError, OverflowError):
        return None


_FUNCTIONS: Final[Mapping[str, tuple[int, Callable[..., Number | None]]]] = {
    "abs": (1, abs),
    "fabs": (1, abs),
    "fabsf": (1, abs),
    "ceil": (1, lambda value: float(math.ceil(value))),
    "floor": (1, lambda value: float(math.floor(value))),
    "max": (2, max),
    "min": (2, min),
    "pow": (2, _power),
    "round": (1, _rounded),
    "roundf": (1, _rounded),
    "fmod": (2, lambda value, by: math.fmod(value, by) if by else None),
    "sqrt": (1, _root),
    "clamp": (3, lambda value, low, high: low if value < low else min(value, high)),
}


class FormulaError(ValueError):
    """What can't be computed here; the text says what and what to write instead."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula; ``ids`` are the sensors whose states it needs. Equal texts are equal lambdas."""

    text: str

    @property
    def ids(self) -> frozenset[str]:
        """The ids that the formula asks for."""
        return _Parser(self.text).parse()[1]

    def compiled(self) -> Callable[[States], float | None]:
        """Return the formula as a function of states; None is missing."""
        value, _ = _Parser(self.text).parse()

        def compute(states: States) -> float | None:
            result = value(states)
            return None if result is None else float(result)

        return compute


class _Parser:
    """Recursive descent over one lambda."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise FormulaError(f"is longer than {MAX_CHARACTERS} characters")
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0
        self._ids: set[str] = set()

    def parse(self) -> tuple[_Part, frozenset[str]]:
        value = self._statement()
        if self._peek():
            raise FormulaError(f"has {self._peek()!r} after its end: only `return` and `if` are understood here")
        return value, frozenset(self._ids)

    def _statement(self) -> _Part:
        with self._deeper():
            if self._take("{"):
                value = self._statement()
                self._expect("}")
                return value
            cases: list[tuple[_Part, _Part]] = []
            while self._take("if"):
                self._expect("(")
                condition = self._expression()
                self._expect(")")
                cases.append((condition, self._statement()))
                self._take("else")
            if cases:
                return _choice(cases, self._statement())
            if not self._take("return"):
                raise FormulaError(f"expected `return` and a formula, not {self._peek() or 'the end'!r}")
            if self._take("{"):
                self._expect("}")
                self._expect(";")
                return lambda _: None
            value = self._expression()
            self._expect(";")
            return value

    def _expression(self) -> _Part:
        with self._deeper():
            cases: list[tuple[_Part, _Part]] = []
            while True:
                value = self._binary(0)
                if not self._take("?"):
                    return _choice(cases, value) if cases else value
                cases.append((value, self._expression()))
                self._expect(":")

    def _binary(self, level: int) -> _Part:
        if level == len(_LEVELS):
            return self._unary()
        first = self._binary(level + 1)
        rest: list[tuple[str, _Part]] = []
        while (sign := self._peek()) in _LEVELS[level]:
            self._place += 1
            rest.append((sign, self._binary(level + 1)))
        return _chain(first, rest) if rest else first

    def _unary(self) -> _Part:
        with self._deeper():
            if self._take("-"):
                positive = self._unary()
                return _computed(operator.neg, positive)
            if self._take("+"):
                return self._unary()
            if self._take("!"):
                condition = self._unary()
                return _computed(operator.not_, condition)
            if self._take("("):
                inside = self._expression()
                self._expect(")")
                return inside
            return self._value()

    def _value(self) -> _Part:
        token = self._peek()
        self._place += 1
        if token[:1].isdigit() or (token[:1] == "." and len(token) > 1):
            constant: Number = float(token.rstrip("fF"))
            if math.isinf(constant):
                raise FormulaError("has a number that is too large")
            if not re.search(r"[.eEfF]", token) and constant < _INT_END:
                constant = int(token)
            return lambda _: constant
        name = token.removeprefix("std::")
        if name in _CONSTANTS:
            known = _CONSTANTS[name]
            return lambda _: known
        if name == "id":
            return self._state()
        if name == "isnan":
            [value] = self._arguments(name, 1)
            return lambda states: value(states) is None
        if name in _FUNCTIONS:
            count, function = _FUNCTIONS[name]
            return _computed(function, *self._arguments(name, count))
        if not token:
            raise FormulaError("ends in the middle of a formula")
        raise FormulaError(
            f"{token!r} is not understood here: a formula has numbers, `id(...).state`, + - * / and such"
        )

    def _state(self) -> _Part:
        self._expect("(")
        name = self._peek()
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise FormulaError("expected an id in `id(...)`")
        self._place += 1
        self._expect(")")
        self._expect(".")
        self._ids.add(name)
        if self._take("has_state"):
            self._expect("(")
            self._expect(")")
            return lambda states: states.get(name) is not None
        if self._take("get_state"):
            self._expect("(")
            self._expect(")")
        else:
            self._expect("state")
        return lambda states: None if (state := states.get(name)) is None else _known(float(state))

    def _arguments(self, name: str, count: int) -> list[_Part]:
        self._expect("(")
        arguments = [self._expression()]
        while self._take(","):
            arguments.append(self._expression())
        self._expect(")")
        if len(arguments) != count:
            raise FormulaError(f"{name} takes {count} values, not {len(arguments)}")
        return arguments

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaError("is nested too deeply")
        yield
        self._depth -= 1

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        found = self._peek() == token
        self._place += found
        return found

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise FormulaError(f"expected {token!r}, not {self._peek() or 'the end'!r}")


def _tokens(text: str) -> list[str]:
    tokens = []
    place = _end_of_skipped(text, 0)
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FormulaError(f"{text[place]!r} is not understood here")
        tokens.append(match[0])
        place = _end_of_skipped(text, match.end())
    return tokens


def _end_of_skipped(text: str, place: int) -> int:
    """Return where the spaces and comments from ``place`` on end."""
    skipped = _SKIPPED.match(text, place)
    return place if skipped is None else skipped.end()


def _chain(first: _Part, rest: Sequence[tuple[str, _Part]]) -> _Part:
    """Return operations of one level, one after the other; `&&` and `||` end as soon as they are decided."""
    decided_by = {"||": True, "&&": False}.get(rest[0][0])
    if decided_by is not None:
        return _decision((first, *(part for _, part in rest)), decided_by=decided_by)
    steps = [(_OPERATORS[sign], part) for sign, part in rest]

    def compute(states: States) -> Number | None:
        result = first(states)
        for step, part in steps:
            value = part(states)
            if result is None or value is None:
                return None
            result = _known(step(result, value))
        return result

    return compute


def _decision(parts: Sequence[_Part], *, decided_by: bool) -> _Part:
    def compute(states: States) -> bool | None:
        for part in parts:
            value = part(states)
            if value is None:
                return None
            if bool(value) is decided_by:
                return decided_by
        return not decided_by

    return compute


def _choice(cases: Sequence[tuple[_Part, _Part]], otherwise: _Part) -> _Part:
    def compute(states: States) -> Number | None:
        for condition, then in cases:
            decided = condition(states)
            if decided is None:
                return None
            if decided:
                return then(states)
        return otherwise(states)

    return compute


def _computed(function: Callable[..., Number | None], *arguments: _Part) -> _Part:
    def compute(states: States) -> Number | None:
        values = [argument(states) for argument in arguments]
        return None if None in values else _known(function(*values))

    return compute


def _known(value: Number | None) -> Number | None:
    """Return ``value``; a number that C++ can't hold, or that is none, is missing."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or -_INT_END <= value < _INT_END else None
