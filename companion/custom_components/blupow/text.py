"""Texts of a proxy that can be written."""

from functools import partial

from aioesphomeapi import TextInfo, TextMode as WireMode, TextState

from homeassistant.components.text import TextEntity, TextMode

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


class BluPowText(BluPowEntity[TextInfo, TextState], TextEntity):
    """A text."""

    def _describe(self, info: TextInfo) -> None:
        self._attr_native_min = info.min_length
        self._attr_native_max = info.max_length
        self._attr_pattern = info.pattern or None
        self._attr_mode = TextMode.PASSWORD if info.mode is WireMode.PASSWORD else TextMode.TEXT

    def _show(self, state: TextState) -> None:
        self._attr_native_value = None if state.missing_state else state.state

    async def async_set_value(self, value: str) -> None:
        """Write it."""
        self._command(self.coordinator.client.text_command, value)


async_setup_entry = partial(async_setup_platform, kinds={TextInfo: BluPowText})
