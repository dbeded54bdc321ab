"""YAML text to nodes that know where they stand; the only reader of YAML."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from blupow_config.errors import ConfigError, ConfigErrors

from .limits import MAX_NODES, MAX_OPEN, MAX_SOURCE_DEPTH

_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the parser that ESPHome has as well
_STANDARD: Final = "tag:yaml.org,2002:"

# ESPHome's YAML 1.1, without what makes a wrong value of a honest text: numbers to the base of 60, which addresses such
# as 11:22:33:44:55:10 are, and dates; and 010 is ten.
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {
    spelling: value
    for word, value in {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.items()
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", re.ASCII)
_FLOAT: Final = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.(?:nan|NaN|NAN)",
    re.ASCII,
)
_SECOND: Final = "a second document starts here: a file holds one, so remove the `---` or `...` before it"
_ADVICE: Final = {
    "cannot start any token": "this character can't stand here: put the value in quotes; indent with spaces, not tabs",
    "could not find expected ':'": "expected `:` after the name of an option",
    "mapping values are not allowed": "no `:` may stand here: put the value in quotes, or start a new line",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(slots=True, eq=False)
class Scalar:
    """A single value: its ``text``, and whether it is written plain, so that YAML's words and numbers count."""

    place: Place
    tag: str | None
    text: str
    plain: bool


@dataclass(slots=True, eq=False)
class Sequence:
    """A list; one that is ``too_deep`` has lost its items."""

    place: Place
    tag: str | None
    items: list["Node"] = field(default_factory=list)
    too_deep: bool = False


@dataclass(slots=True, eq=False)
class Mapping:
    """A block of options, as they are written: keys may be there twice. One that is ``too_deep`` has lost them."""

    place: Place
    tag: str | None
    flow: bool
    pairs: list[tuple[Scalar, "Node"]] = field(default_factory=list)
    too_deep: bool = False


type Node = Scalar | Sequence | Mapping  # an anchor's node is the same object wherever it is named


def parse(text: bytes, file: str, *, secret: bool = False) -> Node | None:
    """Return the root of a file, None if it is empty; ConfigErrors, with nothing of its text if that is ``secret``."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([ConfigError(file, line, 1, "", "not UTF-8 text: save it as UTF-8")]) from None
    loader = _LOADER(text)
    try:
        return _Composer(loader, file, secret=secret).root()
    except yaml.YAMLError as error:
        raise ConfigErrors([_syntax_error(error, text, file)]) from None
    finally:
        loader.dispose()


def events(text: str) -> list[Any]:
    """Return what the parser says of a text without a BOM; yaml.YAMLError. Its marks count characters."""
    return list(yaml.parse(text, Loader=_LOADER))


def last_dash(text: str, before: int) -> int:
    """Return where the last dash of a list is that stands before the character ``before``."""
    tokens = yaml.scan(text, Loader=_LOADER)
    dashes: list[int] = [token.start_mark.index for token in tokens if isinstance(token, yaml.BlockEntryToken)]
    return max(index for index in dashes if index < before)


def scalar_value(text: str) -> Any:
    """Return what a plain scalar stands for: nothing, a boolean, a number or its text."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        digits = text.replace("_", "").lower()
        return float(digits.replace(".", "") if digits[-1].isalpha() else digits)  # .inf is Python's inf
    return text


def standard_value(tag: str, text: str) -> Any:
    """Return a scalar with one of YAML's own tags, such as !!str; ValueError if that is not what it says."""
    if tag == "str":
        return text
    value = scalar_value(text)
    expected = {"null": type(None), "bool": bool, "int": int, "float": float}[tag]
    if tag == "float" and type(value) is int:
        return float(value)
    if type(value) is not expected:
        raise ValueError
    return value


def standard_tag(tag: str) -> str | None:
    """Return the name of one of YAML's own tags, None for others."""
    return tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else None


def _integer(text: str) -> int | float | str:
    digits = text.replace("_", "").lower()
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits.removeprefix("+"))
    base = {"0b": 2, "0x": 16}.get(digits[:2], 10)
    with suppress(ValueError):
        return int(sign + (digits if base == 10 else digits[2:]), base)
    return text if base != 10 else float(f"{sign}inf")  # `0x_` is a text; endless ones are no number that helps


class _Composer:
    """Builds the tree from the parser's events, without recursion; what is nested too deeply is left out."""

    def __init__(self, loader: Any, file: str, *, secret: bool) -> None:
        self._loader = loader
        self._file = file
        self._secret = secret
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Sequence | Mapping, list[Scalar]]] = []  # with the key that waits for its value
        self._left = MAX_NODES

    def root(self) -> Node | None:
        root: Node | None = None
        start = None  # of a second document
        documents = 0
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                start = event if documents > 1 else None
            elif start is not None:
                self._fail(start if isinstance(event, yaml.ScalarEvent) and not event.value else event, _SECOND)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event)
                if not self._open:
                    root = node
                else:
                    self._add(node, event)
                if not isinstance(node, Scalar) and isinstance(event, yaml.CollectionStartEvent):
                    self._enter(node)
        return root

    def _events(self) -> Iterator[Any]:
        while self._loader.check_event():
            yield self._loader.get_event()

    def _node(self, event: Any) -> Node:
        self._left -= 1
        if self._left < 0:
            self._fail(event, f"more than {MAX_NODES:,} values are no configuration")
        if isinstance(event, yaml.AliasEvent):
            return self._named(event)
        place = self._place(event)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            tag = None if event.implicit[0] or event.tag is None else event.tag
            plain = bool(event.implicit[0]) and event.style in (None, "")
            node = Scalar(place, tag, str(event.value), plain)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Sequence(place, None if event.implicit else event.tag)
        else:
            node = Mapping(place, None if event.implicit else event.tag, bool(event.flow_style))
        if event.anchor is not None:
            if event.anchor in self._anchors:
                shown = "" if self._secret else f" `&{event.anchor}`"
                self._fail(event, f"not valid YAML: the anchor{shown} is there twice")
            self._anchors[event.anchor] = node
        return node

    def _named(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            shown = "" if self._secret else f" `&{event.anchor}`"
            self._fail(event, f"not valid YAML: there is no anchor{shown} above it")
        elif any(node is holder for holder, _ in self._open):
            self._fail(event, "an anchor's block can't hold itself")
        return node  # type: ignore[return-value]  # _fail does not return

    def _enter(self, node: Sequence | Mapping) -> None:
        self._open.append((node, []))
        if len(self._open) <= MAX_SOURCE_DEPTH:
            return
        node.too_deep = True
        depth = 1
        for event in self._events():
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                break
            if depth > MAX_OPEN:
                self._fail(event, "nested too deeply")
        self._open.pop()

    def _add(self, node: Node, event: Any) -> None:
        holder, waiting = self._open[-1]
        if isinstance(holder, Sequence):
            holder.items.append(node)
        elif waiting:
            holder.pairs.append((waiting.pop(), node))
        elif isinstance(node, Scalar):
            waiting.append(node)
        else:
            place = self._place(event)
            # what a block's options have in common is their column
            column = place.column if holder.flow else holder.place.column
            message = "not valid YAML: complex mapping key: an option is a word"
            raise ConfigErrors([ConfigError(self._file, place.line, column, "", message)])

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _fail(self, event: Any, message: str) -> None:
        place = self._place(event)
        raise ConfigErrors([ConfigError(self._file, place.line, place.column, "", message)])


def _syntax_error(error: yaml.YAMLError, text: bytes, file: str) -> ConfigError:
    """Return what the parser says; its words hold nothing of the file's text."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", "") or "")
    if mark is None:
        start = getattr(error, "position", 0)
        if not isinstance(start, int):
            start = 0
        message = "not valid YAML: control characters are not allowed"
        return ConfigError(file, text.count(b"\n", 0, start) + 1, 1, "", message)
    if "<document start>" in problem:
        return ConfigError(file, mark.line + 1, mark.column + 1, "", _SECOND)
    advice = next((advice for words, advice in _ADVICE.items() if words in problem), None)
    plain = problem if problem.isascii() and problem.isprintable() else ""
    if advice is None and ("'" in plain and "expected" not in plain):
        plain = ""  # the parser that is written in Python names what it has found
    return ConfigError(
        file, mark.line + 1, mark.column + 1, "", f"not valid YAML: {advice or plain or 'not understood'}"
    )
