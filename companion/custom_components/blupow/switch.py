"""Switches of a proxy."""

from functools import partial
from typing import Any

from aioesphomeapi import SwitchInfo, SwitchState

from homeassistant.components.switch import SwitchDeviceClass, SwitchEntity
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


class BluPowSwitch(BluPowEntity[SwitchInfo, SwitchState], SwitchEntity):
    """A switch; it shows what the device has confirmed."""

    def _describe(self, info: SwitchInfo) -> None:
        self._attr_device_class = try_parse_enum(SwitchDeviceClass, info.device_class)
        self._attr_assumed_state = info.assumed_state

    def _show(self, state: SwitchState) -> None:
        # ESPHome's switches had no missing state before 2026
        self._attr_is_on = None if getattr(state, "missing_state", False) else state.state

    async def async_turn_on(self, **kwargs: Any) -> None:
        """Turn it on."""
        self._command(self.coordinator.client.switch_command, True)

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn it off."""
        self._command(self.coordinator.client.switch_command, False)


async_setup_entry = partial(async_setup_platform, kinds={SwitchInfo: BluPowSwitch})
