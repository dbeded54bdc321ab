"""Sensors of a proxy: numbers and texts, and the energy that batteries take and give."""

from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from aioesphomeapi import (
    EntityInfo,
    SensorInfo,
    SensorState,
    SensorStateClass as WireStateClass,
    TextSensorInfo,
    TextSensorState,
)

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorStateClass
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util, slugify
from homeassistant.util.enum import try_parse_enum

from .coordinator import BluPowConfigEntry
from .energy import BatteryEnergySensor
from .entity import BluPowEntity, Kinds, async_setup_platform
from .wire import Direction, is_battery_power

PARALLEL_UPDATES = 0  # they are pushed
STATE_CLASS_OF: Final[dict[WireStateClass | None, SensorStateClass]] = {
    WireStateClass.MEASUREMENT: SensorStateClass.MEASUREMENT,
    WireStateClass.TOTAL: SensorStateClass.TOTAL,
    WireStateClass.TOTAL_INCREASING: SensorStateClass.TOTAL_INCREASING,
}


async def async_setup_entry(
    hass: HomeAssistant, entry: BluPowConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the sensors."""
    coordinator = entry.runtime_data

    @callback
    def add_energy(infos: Iterable[EntityInfo]) -> None:
        async_add_entities(
            BatteryEnergySensor(coordinator, info, direction)
            for info in infos
            if is_battery_power(info)
            for direction in Direction
        )

    kinds: Kinds = {SensorInfo: BluPowSensor, TextSensorInfo: BluPowTextSensor}
    await async_setup_platform(hass, entry, async_add_entities, kinds=kinds)
    entry.async_on_unload(coordinator.async_listen_new(add_energy))
    add_energy(coordinator.infos.values())


class BluPowSensor(BluPowEntity[SensorInfo, SensorState], SensorEntity):
    """A number, with as many decimals as the device gives."""

    _value: float | None = None  # not _attr_native_value, which costs an eighth of all that a state costs

    def _describe(self, info: SensorInfo) -> None:
        self._attr_device_class = try_parse_enum(SensorDeviceClass, info.device_class)
        self._attr_entity_category = _category(self._attr_entity_category)
        self._attr_force_update = info.force_update
        self._attr_native_unit_of_measurement = info.unit_of_measurement or None
        self._attr_state_class = STATE_CLASS_OF.get(info.state_class)
        self._attr_suggested_display_precision = info.accuracy_decimals
        # what is on the wire is a float of 32 bits: 13.2 comes as 13.199999809265137
        self._digits = info.accuracy_decimals if info.accuracy_decimals > 0 else None

    @property
    def native_value(self) -> float | None:
        """The number, or that it is missing."""
        return self._value

    def _show(self, state: SensorState) -> None:
        value = state.state
        self._value = None if state.missing_state or not isfinite(value) else round(value, self._digits)


class BluPowTextSensor(BluPowEntity[TextSensorInfo, TextSensorState], SensorEntity):
    """A text: one of a known set, a time, or any."""

    def _describe(self, info: TextSensorInfo) -> None:
        self._attr_device_class = try_parse_enum(SensorDeviceClass, info.device_class)
        self._attr_entity_category = _category(self._attr_entity_category)
        states = self.coordinator.vocabulary.states.get(self._attr_translation_key or "")
        if states and self._attr_device_class is None:
            self._attr_device_class = SensorDeviceClass.ENUM
            self._attr_options = list(states)

    def _show(self, state: TextSensorState) -> None:
        self._attr_native_value = None if state.missing_state else self._value(state.state)

    def _value(self, text: str) -> Any:
        """Return what Home Assistant takes; None for what is no time, or not of which zone."""
        match self._attr_device_class:
            case SensorDeviceClass.TIMESTAMP:
                try:
                    time = dt_util.parse_datetime(text)
                except ValueError:  # the 45th of a month
                    return None
                return time if time is not None and time.tzinfo is not None else None
            case SensorDeviceClass.DATE:
                return dt_util.parse_date(text)
            case SensorDeviceClass.ENUM:
                if not (slug := slugify(text)):
                    return None
                if slug not in (options := self._attr_options or []):
                    # a newer proxy knows states that have no text here yet
                    self._attr_options = [*options, slug]
                return slug
            case _:
                return text if len(text) <= MAX_LENGTH_STATE_STATE else f"{text[: MAX_LENGTH_STATE_STATE - 1]}…"


def _category(category: EntityCategory | None) -> EntityCategory | None:
    """Return the category of a sensor, which can't be one of configuration."""
    return EntityCategory.DIAGNOSTIC if category is EntityCategory.CONFIG else category
