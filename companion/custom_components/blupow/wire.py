"""The vocabulary of the native API, and what it is in Home Assistant's."""

from collections.abc import Iterator
from enum import StrEnum
from math import isfinite
import re
from typing import Any, Final, NamedTuple, TypeGuard

from aioesphomeapi import (
    COMPONENT_TYPE_TO_INFO,
    BinarySensorInfo,
    BinarySensorState,
    ButtonInfo,
    EntityCategory as WireCategory,
    EntityInfo,
    EntityState,
    Event,
    EventInfo,
    NumberInfo,
    NumberState,
    SelectInfo,
    SelectState,
    SensorInfo,
    SensorState,
    SwitchInfo,
    SwitchState,
    TextInfo,
    TextSensorInfo,
    TextSensorState,
    TextState,
    UpdateInfo,
    UpdateState,
)

from homeassistant.const import EntityCategory, Platform
from homeassistant.util.unit_conversion import PowerConverter

from .const import BATTERY_POWER, LINK_ENTITIES

PLATFORM_OF: Final[dict[type[EntityInfo], Platform]] = {
    BinarySensorInfo: Platform.BINARY_SENSOR,
    ButtonInfo: Platform.BUTTON,
    EventInfo: Platform.EVENT,
    NumberInfo: Platform.NUMBER,
    SelectInfo: Platform.SELECT,
    SensorInfo: Platform.SENSOR,
    SwitchInfo: Platform.SWITCH,
    TextInfo: Platform.TEXT,
    TextSensorInfo: Platform.SENSOR,
    UpdateInfo: Platform.UPDATE,
}
STATE_OF: Final[dict[type[EntityInfo], type[EntityState]]] = {
    BinarySensorInfo: BinarySensorState,
    EventInfo: Event,
    NumberInfo: NumberState,
    SelectInfo: SelectState,
    SensorInfo: SensorState,
    SwitchInfo: SwitchState,
    TextInfo: TextState,
    TextSensorInfo: TextSensorState,
    UpdateInfo: UpdateState,
}
"""Of the kinds that have states; a button has none."""
ENERGY: Final = "energy"  # in place of a kind on the wire, for what is made of a power
KIND_NAMES: Final = {info: name for name, info in COMPONENT_TYPE_TO_INFO.items() if info in PLATFORM_OF}
CATEGORY_OF: Final[dict[WireCategory | None, EntityCategory]] = {
    WireCategory.CONFIG: EntityCategory.CONFIG,
    WireCategory.DIAGNOSTIC: EntityCategory.DIAGNOSTIC,
}
_NUMBER: Final = re.compile(r"_(\d+)$")
_RUN: Final = re.compile(r"[_-]{2,}")


class Direction(StrEnum):
    """Which way a battery's energy flows; the value is the translation key of the sensor that is made of its power."""

    CHARGED = "battery_energy_charged"
    DISCHARGED = "battery_energy_discharged"


class InfoKey(NamedTuple):
    """What makes an entity of one proxy the same one in another list, whatever has changed of it."""

    kind: type[EntityInfo]  # a number and a text are both sensors, and may have one name
    device_id: int
    object_id: str


def is_known(info: EntityInfo) -> bool:
    """Whether there is something to show an entity as."""
    if isinstance(info, NumberInfo) and not all(map(isfinite, (info.min_value, info.max_value, info.step))):
        return False
    return type(info) in PLATFORM_OF


def info_key(info: EntityInfo) -> InfoKey:
    """Return the key of an entity."""
    return InfoKey(type(info), info.device_id, info.object_id)


def tells_of_link(info: EntityInfo) -> bool:
    """Whether an entity says how its unit is reached, which holds while it is not."""
    return (KIND_NAMES[type(info)], info.object_id) in LINK_ENTITIES


def is_battery_power(info: EntityInfo) -> TypeGuard[SensorInfo]:
    """Whether an entity tells what a battery takes or gives, in a unit of power."""
    return (
        isinstance(info, SensorInfo)
        and info.object_id == BATTERY_POWER
        and info.unit_of_measurement in PowerConverter.VALID_UNITS  # it is the user's
    )


def translation_key(object_id: str) -> tuple[str, dict[str, str]]:
    """Return the key of an entity's texts and what fills them: entities that are numbered share their texts."""
    key = _RUN.sub("_", object_id).strip("_-")  # what Home Assistant takes as a key
    if match := _NUMBER.search(key):
        return f"{key[: match.start()]}_n", {"number": match[1]}
    return key, {}


def device_identifier(mac: str, device_id: int) -> str:
    """Return what identifies a unit, or with 0 the proxy itself, in the device registry."""
    return f"{mac}-{device_id:08x}" if device_id else mac


def unique_id(mac: str, device_id: int, kind: str, name: str) -> str:
    """Return what identifies an entity in the entity registry: its kind on the wire and its object id."""
    return f"{mac}-{device_id:08x}-{kind}-{name}"


def unique_ids(mac: str, info: EntityInfo) -> Iterator[str]:
    """Yield what identifies an entity, and those that are made of it."""
    yield unique_id(mac, info.device_id, KIND_NAMES[type(info)], info.object_id)
    if is_battery_power(info):
        for direction in Direction:
            yield unique_id(mac, info.device_id, ENERGY, direction)


def value(state: EntityState | None) -> Any:
    """Return what a state says; None when there is none or it is missing."""
    match state:
        case Event():
            return state.event_type
        case UpdateState(missing_state=False):
            return state.current_version
        case None | UpdateState():
            return None
        case _:
            return None if getattr(state, "missing_state", False) else getattr(state, "state", None)
