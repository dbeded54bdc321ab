"""The vocabulary of the native API, and what it is in Home Assistant's."""

from enum import StrEnum
from math import isfinite
import re
from typing import Any, Final, NamedTuple

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
KIND_NAMES: Final = {info: name for name, info in COMPONENT_TYPE_TO_INFO.items() if info in PLATFORM_OF}
CATEGORY_OF: Final[dict[WireCategory | None, EntityCategory]] = {
    WireCategory.CONFIG: EntityCategory.CONFIG,
    WireCategory.DIAGNOSTIC: EntityCategory.DIAGNOSTIC,
}
_NUMBER: Final = re.compile(r"_(\d+)$")
_RUN: Final = re.compile(r"[_-]{2,}")


class Direction(StrEnum):
    """Which way a battery's energy flows; the value is the object id of the sensor that is made of its power."""

    CHARGED = "battery_energy_charged"
    DISCHARGED = "battery_energy_discharged"


class InfoKey(NamedTuple):
    """What makes an entity of one proxy the same one in another list, whatever has changed of it."""

    platform: Platform
    device_id: int
    object_id: str


def is_known(info: EntityInfo) -> bool:
    """Whether there is something to show an entity as."""
    if isinstance(info, NumberInfo) and not all(map(isfinite, (info.min_value, info.max_value, info.step))):
        return False
    return type(info) in PLATFORM_OF


def info_key(info: EntityInfo) -> InfoKey:
    """Return the key of an entity."""
    return InfoKey(PLATFORM_OF[type(info)], info.device_id, info.object_id)


def translation_key(object_id: str) -> tuple[str, dict[str, str]]:
    """Return the key of an entity's texts and what fills them: entities that are numbered share their texts."""
    key = _RUN.sub("_", object_id).strip("_-")  # what Home Assistant takes as a key
    if match := _NUMBER.search(key):
        return f"{key[: match.start()]}_n", {"number": match[1]}
    return key, {}


def device_identifier(mac: str, device_id: int) -> str:
    """Return what identifies a unit, or with 0 the proxy itself, in the device registry."""
    return f"{mac}-{device_id:08x}" if device_id else mac


def unique_id(mac: str, device_id: int, object_id: str) -> str:
    """Return what identifies an entity in the entity registry, among those of its platform."""
    return f"{mac}-{device_id:08x}-{object_id}"


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
