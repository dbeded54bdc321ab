"""Selects of a proxy."""

from aioesphomeapi import SelectInfo, SelectState

from homeassistant.components.select import SelectEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import BluPowConfigEntry
from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


async def async_setup_entry(
    hass: HomeAssistant, entry: BluPowConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the selects."""
    async_setup_platform(entry, async_add_entities, {SelectInfo: BluPowSelect})


class BluPowSelect(BluPowEntity[SelectInfo, SelectState], SelectEntity):
    """A select."""

    def _describe(self, info: SelectInfo) -> None:
        self._attr_options = info.options

    def _show(self, state: SelectState) -> None:
        self._attr_current_option = None if state.missing_state else state.state

    async def async_select_option(self, option: str) -> None:
        """Select an option."""
        self._command(self.coordinator.client.select_command, option)
