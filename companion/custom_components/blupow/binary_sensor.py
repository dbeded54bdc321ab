"""Binary sensors of a proxy."""

from aioesphomeapi import BinarySensorInfo, BinarySensorState

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util.enum import try_parse_enum

from .coordinator import BluPowConfigEntry
from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 0  # they are pushed


async def async_setup_entry(
    hass: HomeAssistant, entry: BluPowConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the binary sensors."""
    async_setup_platform(entry, async_add_entities, {BinarySensorInfo: BluPowBinarySensor})


class BluPowBinarySensor(BluPowEntity[BinarySensorInfo, BinarySensorState], BinarySensorEntity):
    """A binary sensor."""

    def _describe(self, info: BinarySensorInfo) -> None:
        self._attr_device_class = try_parse_enum(BinarySensorDeviceClass, info.device_class)

    def _show(self, state: BinarySensorState) -> None:
        self._attr_is_on = None if state.missing_state else state.state
