"""Decoding: register bytes to values in units; what is out of range or marked as absent is None."""

from collections.abc import Iterable
from functools import cache
from typing import Final

from .registers import Block, Family, Register, register_map
from .values import EnumValue, Flags, Readings, Value

HISTORY_REGISTER: Final = 0xF000  # today; + n is n days ago
HISTORY_DAYS: Final = 0x400  # the documents allow 1024 days

_PAIR_STATES: Final = {1: "low", 2: "high", 3: "other"}
_ALL_ONES: Final = b"\xff\xff"
_ZERO: Final = b"\0\0"  # of alarms, say, a whole block may be zero; of readings none is, which "plausible" tells
_LONG_BYTES: Final = 12  # six registers that are equal, and not zero, are no readings
CURRENT_PER_CAPACITY: Final = 2  # a pack never carries more than 2 C; beyond, the scale was wrong


def decode_block(
    family: Family, register: int, data: bytes, *, variant: str | None = None, model: str | None = None
) -> dict[str, Value]:
    """Return every value that lies wholly in ``data``, the bytes of the registers from ``register`` on."""
    if register >= HISTORY_REGISTER and register_map(family).history:
        return decode_history(family, data)
    return _decode(register_map(family).registers, register, data, variant, model)


def is_plausible(block: Block, data: bytes, readings: Readings) -> bool:
    """Whether a block holds readings at all: a device that starts or resets answers with one word throughout."""
    words = {data[place : place + 2] for place in range(0, len(data), 2)}
    if len(words) == 1 and (words == {_ALL_ONES} or (len(data) >= _LONG_BYTES and words != {_ZERO})):
        return False
    values = ((readings.get(key), limits) for key, limits in block.plausible.items())
    return all(isinstance(value, int | float) and low <= value <= high for value, (low, high) in values)


def decode_history(family: Family, data: bytes) -> dict[str, Value]:
    """Return the values of one day's history block (20 bytes)."""
    return _decode(register_map(family).history, 0, data, None, None)


def _decode(
    rows: Iterable[Register], register: int, data: bytes, variant: str | None, model: str | None
) -> dict[str, Value]:
    readings: dict[str, Value] = {}
    for row in rows:
        start = 2 * (row.register - register)
        raw = data[start : start + 2 * row.words] if start >= 0 else b""
        if len(raw) == 2 * row.words:
            readings[row.key] = _value(row, raw, readings, variant, model)
    current, capacity = readings.get("battery_current"), readings.get("capacity")
    if isinstance(current, float) and isinstance(capacity, float) and abs(current) > CURRENT_PER_CAPACITY * capacity:
        readings["battery_current"] = None
    return readings


def _value(row: Register, raw: bytes, readings: dict[str, Value], variant: str | None, model: str | None) -> Value:
    match row.type:
        case "text":
            return _text(raw)
        case "version":
            return "V" + ".".join(f"{part:02d}" for part in raw[1:])
        case "hex":
            return None if int.from_bytes(raw) in row.missing else raw.hex().upper()
        case "uint_array" | "int_array":
            return _array(row, raw, readings)
        case "flags" | "alarms":
            return _flags(row, int.from_bytes(raw))
        case _:
            return _number(row, raw, variant, model)


def _number(row: Register, raw: bytes, variant: str | None, model: str | None) -> Value:
    number = int.from_bytes(raw)
    if number in row.missing:
        return None
    number >>= row.shift
    if row.mask is not None:
        number &= row.mask
    if row.enum:
        return EnumValue(number, row.enum.get(number))
    if row.type == "int":
        number = int.from_bytes(raw, signed=True)
    elif row.type == "sign_magnitude":
        number = -(number & 0x7F) if number & 0x80 else number
    if model is not None and model.startswith(row.inverted_on):
        number = -number
    scale = row.scale if variant is None else row.scale_by_variant.get(variant, row.scale)
    return scaled(number, scale, row.range)


def scaled(number: int, scale: float | None, limits: tuple[float, float] | None) -> int | float | None:
    """Return ``number * scale`` rounded to the scale's own resolution; None outside ``limits``."""
    value = number if scale is None else round(number * scale, decimals(scale))
    if limits is not None and not limits[0] <= value <= limits[1]:
        return None
    return value


@cache
def decimals(scale: float | None) -> int:
    """Return how many decimals a register of this scale resolves: 0.1 gives 1, none gives 0."""
    return 0 if scale is None else len(f"{scale:f}".rstrip("0").partition(".")[2])


def _array(row: Register, raw: bytes, readings: dict[str, Value]) -> Value:
    count = len(raw) // 2 if row.count_from is None else readings.get(row.count_from)
    if not isinstance(count, int):
        return None
    words = [int.from_bytes(raw[i : i + 2], signed=row.type == "int_array") for i in range(0, 2 * count, 2)]
    scale = row.scale
    if row.millivolts_from is not None and max(words, default=0) >= row.millivolts_from:
        scale = 0.001
    if words and all(word in row.missing for word in words):
        return None
    return tuple(None if word in row.missing else scaled(word, scale, row.range) for word in words)


def _flags(row: Register, number: int) -> Value:
    if number in row.missing:
        return None
    if row.pairs:
        states = ((name, number >> shift & 3) for shift, name in row.pairs.items())
        return Flags(number, tuple(f"{name}_{_PAIR_STATES[state]}" for name, state in states if state))
    if row.type == "alarms":
        return EnumValue(number, None if number else "normal")
    return Flags(number, tuple(name for bit, name in row.bits.items() if number >> bit & 1))


def _text(raw: bytes) -> str | None:
    """Return printable ASCII without its padding; None for anything else."""
    text = raw.strip(b"\0 \xff")
    return text.decode("ascii") if all(0x20 <= byte < 0x7F for byte in text) else None
