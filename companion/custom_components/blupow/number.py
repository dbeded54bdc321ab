"""Numbers of a proxy."""

from functools import partial
from math import isfinite
from typing import Final

from aioesphomeapi import NumberInfo, NumberMode as WireMode, NumberState

from homeassistant.components.number import NumberDeviceClass, NumberEntity, NumberMode
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time
MODE_OF: Final[dict[WireMode | None, NumberMode]] = {WireMode.BOX: NumberMode.BOX, WireMode.SLIDER: NumberMode.SLIDER}


class BluPowNumber(BluPowEntity[NumberInfo, NumberState], NumberEntity):
    """A number."""

    def _describe(self, info: NumberInfo) -> None:
        self._attr_device_class = try_parse_enum(NumberDeviceClass, info.device_class)
        self._attr_native_min_value = info.min_value
        self._attr_native_max_value = info.max_value
        self._attr_native_step = info.step
        self._attr_native_unit_of_measurement = info.unit_of_measurement or None
        self._attr_mode = MODE_OF.get(info.mode, NumberMode.AUTO)

    def _show(self, state: NumberState) -> None:
        self._attr_native_value = None if state.missing_state or not isfinite(state.state) else state.state

    async def async_set_native_value(self, value: float) -> None:
        """Set it."""
        self._command(self.coordinator.client.number_command, value)


async_setup_entry = partial(async_setup_platform, kinds={NumberInfo: BluPowNumber})
