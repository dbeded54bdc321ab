"""Readings as users see them: name, unit and classes of each, and the states to show."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from .decode import decimals
from .registers import Family, Register, register_map
from .values import EnumValue, Flags, Readings, Value

type State = int | float | bool | str | None

PROBLEM_KEY: Final = "problem"
_PROBLEM: Final = "problem"  # Home Assistant's device class
_ARRAYS: Final = ("uint_array", "int_array")
_NUMBERS: Final = ("uint", "int", "sign_magnitude", *_ARRAYS)
_ON_OFF: Final = (("off", "on"), ("disconnected", "connected"), ("normal", "fault"), ("not_charging", "charging"))
_ICONS: Final = {"Ah": "mdi:car-battery", "d": "mdi:calendar-clock", "mV/C/2V": "mdi:thermometer-lines"}
_COUNT_ICON: Final = "mdi:counter"
_TEXT_ICON: Final = "mdi:information-outline"
_ENUM_ICON: Final = "mdi:state-machine"


class Kind(StrEnum):
    """What a reading is shown as."""

    SENSOR = "sensor"
    BINARY_SENSOR = "binary_sensor"
    TEXT_SENSOR = "text_sensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """How one state is shown; ``key`` is that of ``to_states``."""

    key: str
    kind: Kind
    name: str
    unit: str = ""
    device_class: str = ""
    state_class: str = ""
    decimals: int = 0
    icon: str = ""
    category: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class _Power:
    """Watts that no register holds; ``current`` is the row after which they are listed."""

    key: str
    name: str
    voltage: str
    current: str


# Register 0x0109 is the power into the battery: what the panels give is their own volts times amperes.
_DERIVED: Final[Mapping[Family, _Power]] = {
    Family.CONTROLLER: _Power("solar_power", "PV power", "pv_voltage", "pv_current"),
    Family.DCC: _Power("solar_power", "Solar power", "solar_voltage", "solar_current"),
    Family.BATTERY: _Power("battery_power", "Battery power", "battery_voltage", "battery_current"),
    Family.SHUNT300: _Power("power", "Battery power", "voltage", "current"),
}
_CHARGE_KEY: Final = "state_of_charge"  # no register of a battery holds it
_CHARGE_DECIMALS: Final = 1  # batteries count in mAh of some 100 Ah, but not that well
_BANKS_V: Final = (12, 24, 36, 48)
_POWER_DECIMALS: Final = 1  # the volts come in tenths: more digits would be made up


def to_states(family: Family, readings: Readings, *, expected: Collection[str] = ()) -> dict[str, State]:
    """Return what to show of ``readings``, by the keys of ``describe``; None is missing.

    ``expected`` are keys that the device is known to have: no problem is no news while one of them is missing.
    """
    states: dict[str, State] = {}
    problems: list[bool | None] = []
    for row in _rows(family):
        value = readings.get(row.key)
        if row.key in readings:
            states.update(_states(row, _per_12_volts(row, value, readings)))
        if row.device_class == _PROBLEM and (value is not None or row.key in expected):
            problems.append(None if value is None else _is_problem(row, value))
    if problems:
        states[PROBLEM_KEY] = True if True in problems else None if None in problems else False
    if family is Family.BATTERY and "capacity" in readings:
        states[_CHARGE_KEY] = _share(readings.get("remaining_capacity"), readings["capacity"])
    power = _DERIVED.get(family)
    if power is not None and power.voltage in readings and power.current in readings:
        volts, amperes = readings[power.voltage], readings[power.current]
        states[power.key] = (
            round(volts * amperes, _POWER_DECIMALS)
            if isinstance(volts, int | float) and isinstance(amperes, int | float)
            else None
        )
    return states


def _per_12_volts(row: Register, value: Value, readings: Readings) -> Value:
    """Return a threshold in the volts of the whole bank; None while it is not known how many those are."""
    if not row.per_12_volts or not isinstance(value, int | float):
        return value
    volts = readings.get("system_voltage")
    return round(value * volts / 12, decimals(row.scale)) if isinstance(volts, int) and volts in _BANKS_V else None


def _share(part: Value, whole: Value) -> float | None:
    if not isinstance(part, int | float) or not isinstance(whole, int | float) or whole <= 0:
        return None
    return round(min(100.0 * part / whole, 100.0), _CHARGE_DECIMALS)


def describe(family: Family, keys: Collection[str]) -> tuple[Description, ...]:
    """Return the descriptions of the states in ``keys``, in the order of the family's register map."""
    return tuple(description for description in _descriptions(family) if description.key in keys)


@cache
def _descriptions(family: Family) -> tuple[Description, ...]:
    descriptions: list[Description] = []
    power = _DERIVED.get(family)
    if family is Family.BATTERY:
        descriptions.append(
            Description(
                key=_CHARGE_KEY,
                kind=Kind.SENSOR,
                name="State of charge",
                unit="%",
                device_class="battery",
                state_class="measurement",
                decimals=_CHARGE_DECIMALS,
            )
        )
    for row in _rows(family):
        descriptions += _describe(row)
        if power is not None and row.key == power.current:
            descriptions.append(
                Description(
                    key=power.key,
                    kind=Kind.SENSOR,
                    name=power.name,
                    unit="W",
                    device_class="power",
                    state_class="measurement",
                    decimals=_POWER_DECIMALS,
                )
            )
    descriptions.append(
        Description(
            key=PROBLEM_KEY, kind=Kind.BINARY_SENSOR, name="Problem", device_class=_PROBLEM, category="diagnostic"
        )
    )
    return tuple(descriptions)


@cache
def _rows(family: Family) -> tuple[Register, ...]:
    table = register_map(family)
    pushed = (
        Register(
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
        for field in table.push
    )
    return (*table.registers, *pushed)


def _describe(row: Register) -> Iterator[Description]:
    # Home Assistant's sensors can't be of category "config"; few users ever look at a setting
    is_setting = row.category == "config"
    category = "diagnostic" if is_setting else row.category
    disabled = row.disabled or is_setting
    if _is_binary(row):
        yield Description(
            key=row.key,
            kind=Kind.BINARY_SENSOR,
            name=row.name,
            device_class=row.device_class,
            category=category,
            disabled=disabled,
        )
    elif _is_text(row):
        icon = _ENUM_ICON if row.enum else _TEXT_ICON
        yield Description(
            key=row.key, kind=Kind.TEXT_SENSOR, name=row.name, icon=icon, category=category, disabled=disabled
        )
    else:
        for suffix, label in _places(row):
            yield Description(
                key=row.key.removesuffix("_n") + suffix,
                kind=Kind.SENSOR,
                name=row.name + label,
                unit=row.unit,
                device_class=row.device_class,
                state_class=row.state_class,
                decimals=decimals(row.scale),
                icon="" if row.device_class else _ICONS.get(row.unit, "" if row.unit else _COUNT_ICON),
                category=category,
                disabled=disabled,
            )


def _places(row: Register) -> list[tuple[str, str]]:
    if row.type not in _ARRAYS:
        return [("", "")]
    return [(f"_{number}", f" {number}") for number in range(1, row.words + 1)]


def _is_binary(row: Register) -> bool:
    return (row.enum.get(0), row.enum.get(1)) in _ON_OFF


def _is_text(row: Register) -> bool:
    return bool(row.enum) or row.type not in _NUMBERS


def _states(row: Register, value: Value) -> Iterator[tuple[str, State]]:
    if _is_binary(row):
        yield row.key, bool(value.raw) if isinstance(value, EnumValue) and value.name is not None else None
    elif _is_text(row):
        yield row.key, _text(row, value)
    elif row.type in _ARRAYS:
        items = value if isinstance(value, tuple) else ()
        for place, (suffix, _) in enumerate(_places(row)):
            yield row.key.removesuffix("_n") + suffix, items[place] if place < len(items) else None
    else:
        yield row.key, value if isinstance(value, int | float) else None


def _text(row: Register, value: Value) -> str | None:
    match value:
        case None:
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


def _is_problem(row: Register, value: Value) -> bool:
    if isinstance(value, Flags):  # undocumented bits are set on healthy devices, too
        documented = sum(1 << bit for bit in row.bits) + sum(3 << shift for shift in row.pairs)
        return bool(value.raw & documented & ~sum(1 << bit for bit in row.benign))
    if isinstance(value, EnumValue):
        return bool(value.raw)
    return isinstance(value, tuple) and any(value)
