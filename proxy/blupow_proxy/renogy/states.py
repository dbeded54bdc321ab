"""Readings to the states that users see: numbers, on and off, texts, and what follows from several readings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from .decode import decimals
from .registers import Family, Register
from .shown import Kind, ShownRow, shown_rows
from .values import EnumValue, Flags, Readings, Value

type State = int | float | bool | str | None

PROBLEM_KEY: Final = "problem"
CHARGE_KEY: Final = "state_of_charge"  # no register of a battery holds it
CHARGE_DECIMALS: Final = 1  # batteries count in mAh of some 100 Ah, but not that well
POWER_DECIMALS: Final = 1  # the volts come in tenths: more digits would be made up
_BANKS_V: Final = (12, 24, 36, 48)


@dataclass(frozen=True, slots=True)
class Power:
    """Watts that no register holds; ``current`` is the row after which they are listed."""

    key: str
    name: str
    voltage: str
    current: str


# Register 0x0109 is the power into the battery: what the panels give is their own volts times amperes.
POWERS: Final[Mapping[Family, Power]] = {
    Family.CONTROLLER: Power("solar_power", "PV power", "pv_voltage", "pv_current"),
    Family.DCC: Power("solar_power", "Solar power", "solar_voltage", "solar_current"),
    Family.BATTERY: Power("battery_power", "Battery power", "battery_voltage", "battery_current"),
    Family.SHUNT300: Power("power", "Battery power", "voltage", "current"),
}


def to_states(family: Family, readings: Readings) -> dict[str, State]:
    """Return what to show of ``readings`` but for a problem, by the keys of ``describe``; None is missing.

    What follows from several readings follows from those of one block: blocks can be given one by one.
    """
    states: dict[str, State] = {}
    for shown in shown_rows(family):
        key = shown.row.key
        if key in readings:
            _add(states, shown, readings[key], readings)
    if family is Family.BATTERY and "capacity" in readings:
        states[CHARGE_KEY] = _share(readings.get("remaining_capacity"), readings["capacity"])
    power = POWERS.get(family)
    if power is not None and power.voltage in readings and power.current in readings:
        volts, amperes = readings[power.voltage], readings[power.current]
        states[power.key] = (
            round(volts * amperes, POWER_DECIMALS)
            if isinstance(volts, int | float) and isinstance(amperes, int | float)
            else None
        )
    return states


def problem_state(family: Family, readings: Readings, expected: Collection[str]) -> dict[str, State]:
    """Return whether a device has a problem, by its key; nothing when no reading could tell.

    ``expected`` are keys that the device is known to have: no problem is no news while one of them is missing.
    """
    problems: list[bool | None] = []
    for shown in _problem_rows(family):
        value = readings.get(shown.row.key)
        if value is not None or shown.row.key in expected:
            problems.append(None if value is None else _is_problem(shown, value))
    if not problems:
        return {}
    return {PROBLEM_KEY: True if True in problems else None if None in problems else False}


@cache
def _problem_rows(family: Family) -> tuple[ShownRow, ...]:
    return tuple(shown for shown in shown_rows(family) if shown.is_problem)


def _add(states: dict[str, State], shown: ShownRow, value: Value, readings: Readings) -> None:
    row = shown.row
    if shown.kind is Kind.BINARY_SENSOR:
        states[row.key] = bool(value.raw) if isinstance(value, EnumValue) and value.name is not None else None
    elif shown.kind is Kind.TEXT_SENSOR:
        states[row.key] = _text(row, value)
    elif shown.is_array:
        items = value if isinstance(value, tuple) else ()
        for place, key in enumerate(shown.keys):
            states[key] = items[place] if place < len(items) else None
    elif row.per_12_volts:
        states[row.key] = _of_the_bank(row, value, readings)
    else:
        states[row.key] = value if isinstance(value, int | float) else None


def _of_the_bank(row: Register, value: Value, readings: Readings) -> float | None:
    """Return a threshold in the volts of the whole bank; None while it is not known how many those are."""
    volts = readings.get("system_voltage")
    if not isinstance(value, int | float) or not isinstance(volts, int) or volts not in _BANKS_V:
        return None
    return round(value * volts / 12, decimals(row.scale))


def _share(part: Value, whole: Value) -> float | None:
    if not isinstance(part, int | float) or not isinstance(whole, int | float) or whole <= 0:
        return None
    return round(min(100.0 * part / whole, 100.0), CHARGE_DECIMALS)


def _text(row: Register, value: Value) -> str | None:
    match value:
        case None | "":
            return None
        case EnumValue(raw, None):
            return f"alarm 0x{raw:X}" if row.type == "alarms" else f"unknown ({raw})"
        case EnumValue(_, str(name)):
            return _words(name)
        case Flags(0, _):
            return "none"
        case Flags(raw, names):
            return ", ".join(dict.fromkeys(map(_words, names))) or f"unknown (0x{raw:X})"
        case tuple():
            return ", ".join(row.enum.get(int(code), f"code {code}") for code in value if code) or "none"
        case _:
            return str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_problem(shown: ShownRow, value: Value) -> bool:
    if isinstance(value, Flags):
        return bool(value.raw & shown.problem_bits)
    if isinstance(value, EnumValue):
        return bool(value.raw)
    return isinstance(value, tuple) and any(value)
