"""Which rows are shown as what; worked out once for each family."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from .registers import Family, Register, register_map

PROBLEM_CLASS: Final = "problem"  # Home Assistant's device class
_ARRAYS: Final = ("uint_array", "int_array")
_NUMBERS: Final = ("uint", "int", "sign_magnitude", *_ARRAYS)
_ON_OFF: Final = (("off", "on"), ("disconnected", "connected"), ("normal", "fault"), ("not_charging", "charging"))


class Kind(StrEnum):
    """What a reading is shown as."""

    SENSOR = "sensor"
    BINARY_SENSOR = "binary_sensor"
    TEXT_SENSOR = "text_sensor"


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row with its kind and the keys and names of its states; more than one for the items of an array.

    ``problem_bits`` of a word of flags are those that tell of a problem: undocumented ones are set on healthy devices.
    """

    row: Register
    kind: Kind
    keys: tuple[str, ...]
    names: tuple[str, ...]
    is_array: bool
    is_problem: bool
    problem_bits: int


@cache
def shown_rows(family: Family) -> tuple[ShownRow, ...]:
    """Return all that ``family`` shows, in the order of its register map."""
    return tuple(map(_shown, _rows(family)))


def _rows(family: Family) -> Iterator[Register]:
    table = register_map(family)
    yield from table.registers
    for field in table.push:
        yield Register(
            key=field.key,
            register=0,
            type=field.type,
            name=field.name,
            scale=field.scale,
            unit=field.unit,
            device_class=field.device_class,
            state_class=field.state_class,
            category=field.category,
        )


def _shown(row: Register) -> ShownRow:
    kind = Kind.SENSOR
    if (row.enum.get(0), row.enum.get(1)) in _ON_OFF:
        kind = Kind.BINARY_SENSOR
    elif row.enum or row.type not in _NUMBERS:
        kind = Kind.TEXT_SENSOR
    is_array = kind is Kind.SENSOR and row.type in _ARRAYS
    numbers = range(1, row.words + 1)
    documented = sum(1 << bit for bit in row.bits) + sum(3 << shift for shift in row.pairs)
    return ShownRow(
        row=row,
        kind=kind,
        keys=tuple(f"{row.key.removesuffix('_n')}_{number}" for number in numbers) if is_array else (row.key,),
        names=tuple(f"{row.name} {number}" for number in numbers) if is_array else (row.name,),
        is_array=is_array,
        is_problem=row.device_class == PROBLEM_CLASS,
        problem_bits=documented & ~sum(1 << bit for bit in row.benign),
    )
