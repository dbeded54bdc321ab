"""The kinds of value that a register can hold."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A code and its name; None for a code that no document names."""

    raw: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Flags:
    """A bit field and the names of its set bits, highest bit first; undocumented bits have no name."""

    raw: int
    names: tuple[str, ...]


type Value = int | float | str | EnumValue | Flags | tuple[int | float | None, ...] | None
"""One decoded register; None when the device says, or the range shows, that there is no value."""

type Readings = Mapping[str, Value]
"""Values by register key."""

type Json = int | float | str | list[int | float | None] | dict[str, int | str | None] | None


def to_json(value: Value) -> Json:
    """Return ``value`` as JSON shows it: an enum as raw and name, flags as their raw number."""
    match value:
        case EnumValue(raw, name):
            return {"raw": raw, "name": name}
        case Flags(raw, _):
            return raw
        case tuple():
            return list(value)
        case _:
            return value
