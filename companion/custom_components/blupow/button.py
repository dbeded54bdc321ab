"""Buttons of a proxy."""

from aioesphomeapi import ButtonInfo, EntityState

from homeassistant.components.button import ButtonDeviceClass, ButtonEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util.enum import try_parse_enum

from .coordinator import BluPowConfigEntry
from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


async def async_setup_entry(
    hass: HomeAssistant, entry: BluPowConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the buttons."""
    async_setup_platform(entry, async_add_entities, {ButtonInfo: BluPowButton})


class BluPowButton(BluPowEntity[ButtonInfo, EntityState], ButtonEntity):
    """A button."""

    def _describe(self, info: ButtonInfo) -> None:
        self._attr_device_class = try_parse_enum(ButtonDeviceClass, info.device_class)

    async def async_press(self) -> None:
        """Press it."""
        self._command(self.coordinator.client.button_command)
