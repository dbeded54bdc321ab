"""The options of a proxy."""

from typing import Any

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlowWithReload
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
)

from .bluetooth import has_modes, offers_bluetooth
from .const import (
    CONF_BLUETOOTH_SCANNING_MODE,
    CONF_BLUETOOTH_SOURCE,
    CONF_REPORT_AFTER,
    CONF_SUBSCRIBE_LOGS,
    DEFAULT_REPORT_AFTER_MIN,
    DEFAULT_SCANNING_MODE,
)
from .coordinator import BluPowConfigEntry
from .esphome import async_has_proxy

SCANNING_MODES = ["auto", "active", "passive"]  # Home Assistant's


class BluPowOptionsFlow(OptionsFlowWithReload):
    """The dialogue of the options."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        entry: BluPowConfigEntry = self.config_entry
        minutes = NumberSelector(
            NumberSelectorConfig(min=0, max=1440, mode=NumberSelectorMode.BOX, unit_of_measurement="min")
        )
        schema: dict[Any, Any] = {
            vol.Required(CONF_REPORT_AFTER, default=DEFAULT_REPORT_AFTER_MIN): vol.All(minutes, vol.Coerce(int)),
            vol.Required(CONF_SUBSCRIBE_LOGS, default=False): bool,
        }
        listing = entry.runtime_data.listing if entry.state is ConfigEntryState.LOADED else None
        if CONF_BLUETOOTH_SOURCE in entry.options or (listing is not None and offers_bluetooth(listing.device_info)):
            taken = async_has_proxy(self.hass, entry.unique_id or "")
            schema[vol.Required(CONF_BLUETOOTH_SOURCE, default=not taken)] = bool
        if CONF_BLUETOOTH_SCANNING_MODE in entry.options or (listing is not None and has_modes(listing.device_info)):
            modes = SelectSelectorConfig(options=SCANNING_MODES, translation_key=CONF_BLUETOOTH_SCANNING_MODE)
            schema[vol.Required(CONF_BLUETOOTH_SCANNING_MODE, default=DEFAULT_SCANNING_MODE)] = SelectSelector(modes)
        return self.async_show_form(
            step_id="init", data_schema=self.add_suggested_values_to_schema(vol.Schema(schema), entry.options)
        )
