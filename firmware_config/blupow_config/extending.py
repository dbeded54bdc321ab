"""More units in a configuration that a person has written: lines come in, and not a byte of the others changes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from .language import source
from .writing import NewUnit, unit_lines

UNITS: Final = "renogy"

_BOM: Final = "\ufeff"
_INDENT: Final = "  "
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what ends a line in YAML 1.1
_WRITABLE_BREAKS: Final = ("\r\n", "\n", "\r")
_NO_UNITS: Final = re.compile(r"[ \t]*(?:\[[ \t]*\]|~|null|Null|NULL)")  # says as much as nothing at all
_BY_ITSELF: Final = "so setup leaves it as it is"


class NotExtendableError(Exception):
    """Units that only a person can add: the text says why, ``line`` and ``column`` where, both from 1."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where lines come in: at ``at``, in place of ``removed`` characters that said nothing before it.

    ``first`` and ``last`` are what the parser must still say before and after them, as indices into what it said.
    """

    at: int
    lines: list[str]
    first: int
    last: int
    removed: slice = slice(0, 0)


def with_units(text: bytes, units: Sequence[NewUnit]) -> bytes:
    """Return ``text``, which is right, with ``units`` behind those that it has; NotExtendableError."""
    decoded = text.decode()
    body = decoded.removeprefix(_BOM)
    events = source.events(body)
    spot = _spot(body, events, units)
    new = _put(body, spot)
    if not _is_same_but_for(spot, events, new):
        raise _error(
            events[spot.first - 1], f"`{UNITS}` is written in a way that leaves no sure place for more, {_BY_ITSELF}"
        )
    return (decoded[: len(decoded) - len(body)] + new).encode()


def _spot(body: str, events: list[Any], units: Sequence[NewUnit]) -> _Spot:
    root = next((at for at, event in enumerate(events) if isinstance(event, yaml.NodeEvent)), None)
    if root is None or not isinstance(events[root], yaml.MappingStartEvent) or events[root].flow_style:
        where = events[0 if root is None else root]
        raise _error(where, f"this file's options don't stand one below another, {_BY_ITSELF}")
    nodes = list(_children(events, root))
    found = [value for key, value in zip(nodes[::2], nodes[1::2], strict=True) if _is_units(events[key.start])]
    if not found:
        return _at_the_end(body, events, nodes, units)
    value = found[-1]
    start: Any = events[value.start]
    if isinstance(start, yaml.ScalarEvent) and start.anchor is None and start.implicit[0] and not start.value:
        at: int = events[value.start].end_mark.index
        return _below(body, events, value, slice(at, at), units)
    written = body[start.start_mark.index : events[value.stop - 1].end_mark.index]
    if getattr(start, "tag", None) is None and _NO_UNITS.fullmatch(written):
        before = len(body[: start.start_mark.index].rstrip(" \t"))
        return _below(body, events, value, slice(before, events[value.stop - 1].end_mark.index), units)
    _require_lines(start, written, events)
    return _behind(body, events, value, units)


def _is_units(key: Any) -> bool:
    return isinstance(key, yaml.ScalarEvent) and key.value == UNITS


def _require_lines(start: Any, written: str, events: list[Any]) -> None:
    """Let a list pass whose items stand one below another, and nowhere else."""
    if isinstance(start, yaml.AliasEvent):
        raise _error(start, f"`{UNITS}` stands elsewhere, as `&{start.anchor}`, {_BY_ITSELF}: add them there")
    if start.tag is not None:
        name = f" {written.split(maxsplit=1)[1]}" if isinstance(start, yaml.ScalarEvent) and " " in written else ""
        if start.tag.startswith("!include"):
            raise _error(
                start, f"`{UNITS}` comes from{name or ' elsewhere'} ({start.tag}), {_BY_ITSELF}: add them there"
            )
        raise _error(start, f"`{UNITS}` has the tag {start.tag}, {_BY_ITSELF}")
    if not isinstance(start, yaml.SequenceStartEvent):
        raise _error(start, f"`{UNITS}` is no list of lines that start with `- `, {_BY_ITSELF}")
    if start.flow_style:
        advice = "write its units one below another, each behind `- `, and add these"
        raise _error(start, f"`{UNITS}` is a list in brackets, {_BY_ITSELF}: {advice}")
    named = start.anchor is not None and any(
        isinstance(event, yaml.AliasEvent) and event.anchor == start.anchor for event in events
    )
    if named:
        raise _error(start, f"`{UNITS}` is used elsewhere as well, as `*{start.anchor}`, {_BY_ITSELF}")


def _behind(body: str, events: list[Any], value: slice, units: Sequence[NewUnit]) -> _Spot:
    """Return the spot behind the last unit, and behind the comments that stand in it."""
    last = list(_children(events, value.start))[-1]
    dash = source.last_dash(body, events[last.start].start_mark.index)
    start = _line_start(body, dash)
    at = _line_end(body, _end(events[last.start : last.stop]))
    within = re.compile(
        rf"(?:[ \t]*(?:\r\n|[\n\r]))*[ ]{{{dash - start + 1},}}#[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r]|\Z)"
    )
    while (comment := within.match(body, at)) and comment.end() > at:
        at = comment.end()
    return _Spot(at, unit_lines(units, body[start:dash]), value.stop - 1, value.stop - 1)


def _below(body: str, events: list[Any], value: slice, removed: slice, units: Sequence[NewUnit]) -> _Spot:
    """Return the spot below the option's name, where there is no unit yet."""
    key = events[value.start - 1].start_mark
    indent = " " * key.column + _INDENT
    return _Spot(_line_end(body, removed.stop), unit_lines(units, indent), value.start, value.stop, removed)


def _at_the_end(body: str, events: list[Any], nodes: list[slice], units: Sequence[NewUnit]) -> _Spot:
    """Return the spot below everything."""
    end = next(at for at, event in enumerate(events) if isinstance(event, yaml.DocumentEndEvent))
    at = events[end].start_mark.index if events[end].explicit else len(body)
    indent = " " * (events[nodes[0].start].start_mark.column if nodes else 0)
    lines = [f"{indent}{UNITS}:", *unit_lines(units, indent + _INDENT)]
    return _Spot(at, lines, end - 1, end - 1)


def _put(body: str, spot: _Spot) -> str:
    head, tail = body[: spot.at], body[spot.at :]
    before = _BREAK.findall(head) or _BREAK.findall(tail)
    ending = before[-1] if before and before[-1] in _WRITABLE_BREAKS else "\n"
    lines = "".join(f"{line}{ending}" for line in spot.lines)
    if head and not _BREAK.match(head[-1]):
        lines = ending + lines
    return head[: spot.removed.start] + head[spot.removed.stop :] + lines + tail


def _is_same_but_for(spot: _Spot, events: list[Any], new: str) -> bool:
    """Return whether the parser says of ``new`` all that it did, with the lines' content between it."""
    try:
        said = list(map(_said, source.events(new)))
    except yaml.YAMLError:
        return False
    before = list(map(_said, events))
    rest = before[spot.last :]
    return said[: spot.first] == before[: spot.first] and said[len(said) - len(rest) :] == rest


def _said(event: Any) -> tuple[Any, ...]:
    return type(event), {name: value for name, value in vars(event).items() if not name.endswith("_mark")}


def _children(events: list[Any], at: int) -> Iterator[slice]:
    """Yield where each node within the collection that starts at ``at`` is among the events."""
    depth, first = 0, at + 1
    for number, event in enumerate(events[first:], first):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth < 0:
            return
        if depth == 0:
            yield slice(first, number + 1)
            first = number + 1


def _end(events: list[Any]) -> int:
    """Return where the last character of a node stands; the end of a block is only where the next token is."""
    written = (yaml.ScalarEvent, yaml.AliasEvent)
    ends: list[int] = [
        event.end_mark.index
        for event in events
        if isinstance(event, written) or event.end_mark.index > event.start_mark.index
    ]
    return max(ends)


def _line_start(body: str, at: int) -> int:
    return max((found.end() for found in _BREAK.finditer(body, 0, at)), default=0)


def _line_end(body: str, at: int) -> int:
    """Return where the line of ``at`` is over; ``at`` itself if a line starts there, as behind a block of text."""
    if at and _BREAK.match(body[at - 1]):
        return at
    found = _BREAK.search(body, at)
    return len(body) if found is None else found.end()


def _error(event: Any, reason: str) -> NotExtendableError:
    return NotExtendableError(event.start_mark.line + 1, event.start_mark.column + 1, reason)
