"""Binary sensors of a proxy."""

from functools import partial

from aioesphomeapi import BinarySensorInfo, BinarySensorState

from homeassistant.components.binary_sensor import BinarySensorDeviceClass, BinarySensorEntity
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 0  # they are pushed


class BluPowBinarySensor(BluPowEntity[BinarySensorInfo, BinarySensorState], BinarySensorEntity):
    """A binary sensor."""

    def _describe(self, info: BinarySensorInfo) -> None:
        self._attr_device_class = try_parse_enum(BinarySensorDeviceClass, info.device_class)

    def _show(self, state: BinarySensorState) -> None:
        self._attr_is_on = None if state.missing_state else state.state


async_setup_entry = partial(async_setup_platform, kinds={BinarySensorInfo: BluPowBinarySensor})
