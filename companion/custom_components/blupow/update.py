"""Updates of what runs at a proxy."""

from functools import partial
from typing import Any

from aioesphomeapi import UpdateCommand, UpdateInfo, UpdateState

from homeassistant.components.update import UpdateDeviceClass, UpdateEntity, UpdateEntityFeature
from homeassistant.util.enum import try_parse_enum

from .entity import BluPowEntity, async_setup_platform

PARALLEL_UPDATES = 1  # one update at a time


class BluPowUpdate(BluPowEntity[UpdateInfo, UpdateState], UpdateEntity):
    """An update."""

    _attr_supported_features = UpdateEntityFeature.INSTALL | UpdateEntityFeature.PROGRESS

    def _describe(self, info: UpdateInfo) -> None:
        self._attr_device_class = try_parse_enum(UpdateDeviceClass, info.device_class)

    def _show(self, state: UpdateState) -> None:
        known = not state.missing_state
        self._attr_installed_version = state.current_version if known else None
        self._attr_latest_version = state.latest_version if known else None
        self._attr_in_progress = state.in_progress
        self._attr_update_percentage = round(state.progress) if state.has_progress else None
        self._attr_title = state.title or None
        self._attr_release_summary = state.release_summary or None
        self._attr_release_url = state.release_url or None

    async def async_install(self, version: str | None, backup: bool, **kwargs: Any) -> None:
        """Install what is newest."""
        self._command(self.coordinator.client.update_command, UpdateCommand.INSTALL)


async_setup_entry = partial(async_setup_platform, kinds={UpdateInfo: BluPowUpdate})
