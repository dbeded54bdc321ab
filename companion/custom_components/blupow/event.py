"""Events of a proxy."""

from functools import partial

from aioesphomeapi import Event, EventInfo

from homeassistant.components.event import EventDeviceClass, EventEntity
from homeassistant.core import callback
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 0  # they are pushed


class BluPowEvent(BluPowEntity[EventInfo, Event], EventEntity):
    """An event; the last one holds, whether or not its unit is reached anew."""

    _attr_event_types: list[str]

    def _describe(self, info: EventInfo) -> None:
        self._has_state = True  # an event that has not happened yet is none to wait for
        self._attr_event_types = info.event_types
        self._attr_device_class = try_parse_enum(EventDeviceClass, info.device_class)

    @callback
    def _receive(self, state: Event | None) -> None:
        if state is not None:
            self._trigger_event(state.event_type)
            self.async_write_ha_state()


async_setup_entry = partial(async_setup_platform, kinds={EventInfo: BluPowEvent})
