"""Texts of a proxy that can be written."""

from aioesphomeapi import TextInfo, TextMode as WireMode, TextState

from homeassistant.components.text import TextEntity, TextMode
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import BluPowConfigEntry
from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


async def async_setup_entry(
    hass: HomeAssistant, entry: BluPowConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the texts."""
    async_setup_platform(entry, async_add_entities, {TextInfo: BluPowText})


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
