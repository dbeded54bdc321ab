"""Selects of a proxy."""

from functools import partial

from aioesphomeapi import SelectInfo, SelectState

from homeassistant.components.select import SelectEntity

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # a device takes one write at a time


class BluPowSelect(BluPowEntity[SelectInfo, SelectState], SelectEntity):
    """A select."""

    def _describe(self, info: SelectInfo) -> None:
        self._attr_options = info.options

    def _show(self, state: SelectState) -> None:
        self._attr_current_option = None if state.missing_state else state.state

    async def async_select_option(self, option: str) -> None:
        """Select an option."""
        self._command(self.coordinator.client.select_command, option)


async_setup_entry = partial(async_setup_platform, kinds={SelectInfo: BluPowSelect})
