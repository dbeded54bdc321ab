"""How states are shown: name, unit and classes of each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from .decode import decimals
from .registers import Family
from .shown import PROBLEM_CLASS, Kind, ShownRow, shown_rows
from .states import CHARGE_DECIMALS, CHARGE_KEY, POWER_DECIMALS, POWERS, PROBLEM_KEY

_ICONS: Final = {"Ah": "mdi:car-battery", "d": "mdi:calendar-clock", "mV/°C/2V": "mdi:thermometer-lines"}
_COUNT_ICON: Final = "mdi:counter"
_TEXT_ICON: Final = "mdi:information-outline"
_ENUM_ICON: Final = "mdi:state-machine"


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


def describe(family: Family, keys: Collection[str]) -> tuple[Description, ...]:
    """Return the descriptions of the states in ``keys``, in the order of the family's register map."""
    return tuple(description for description in descriptions(family) if description.key in keys)


@cache
def descriptions(family: Family) -> tuple[Description, ...]:
    """Return the descriptions of all states that devices of ``family`` may have."""
    return tuple(_all(family))


def _all(family: Family) -> Iterator[Description]:
    power = POWERS.get(family)
    if family is Family.BATTERY:
        yield _measurement(CHARGE_KEY, "State of charge", "%", "battery", CHARGE_DECIMALS)
    for shown in shown_rows(family):
        yield from _describe(shown)
        if power is not None and shown.row.key == power.current:
            yield _measurement(power.key, power.name, "W", "power", POWER_DECIMALS)
    yield Description(
        key=PROBLEM_KEY, kind=Kind.BINARY_SENSOR, name="Problem", device_class=PROBLEM_CLASS, category="diagnostic"
    )


def _measurement(key: str, name: str, unit: str, device_class: str, digits: int) -> Description:
    return Description(
        key=key,
        kind=Kind.SENSOR,
        name=name,
        unit=unit,
        device_class=device_class,
        state_class="measurement",
        decimals=digits,
    )


def _describe(shown: ShownRow) -> Iterator[Description]:
    row = shown.row
    # Home Assistant's sensors can't be of category "config"; few users ever look at a setting
    is_setting = row.category == "config"
    is_sensor = shown.kind is Kind.SENSOR
    for key, name in zip(shown.keys, shown.names, strict=True):
        yield Description(
            key=key,
            kind=shown.kind,
            name=name,
            unit=row.unit if is_sensor else "",
            device_class="" if shown.kind is Kind.TEXT_SENSOR else row.device_class,
            state_class=row.state_class if is_sensor else "",
            decimals=decimals(row.scale) if is_sensor else 0,
            icon=_icon(shown),
            category="diagnostic" if is_setting else row.category,
            disabled=row.disabled or is_setting,
        )


def _icon(shown: ShownRow) -> str:
    """Return an icon where the device class has none."""
    row = shown.row
    match shown.kind:
        case Kind.TEXT_SENSOR:
            return _ENUM_ICON if row.enum else _TEXT_ICON
        case Kind.SENSOR if not row.device_class:
            return _ICONS.get(row.unit, "" if row.unit else _COUNT_ICON)
        case _:
            return ""
