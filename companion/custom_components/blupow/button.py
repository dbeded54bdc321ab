"""Buttons of a proxy."""

from functools import partial

from aioesphomeapi import ButtonInfo, EntityState

from homeassistant.components.button import ButtonDeviceClass, ButtonEntity
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


class BluPowButton(BluPowEntity[ButtonInfo, EntityState], ButtonEntity):
    """A button."""

    def _describe(self, info: ButtonInfo) -> None:
        self._attr_device_class = try_parse_enum(ButtonDeviceClass, info.device_class)

    async def async_press(self) -> None:
        """Press it."""
        self._command(self.coordinator.client.button_command)


async_setup_entry = partial(async_setup_platform, kinds={ButtonInfo: BluPowButton})
