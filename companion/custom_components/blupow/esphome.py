"""Home Assistant's own ESPHome integration, which may have the same proxy."""

from homeassistant.config_entries import SOURCE_IGNORE
from homeassistant.core import HomeAssistant, callback


@callback
def async_has_proxy(hass: HomeAssistant, mac: str) -> bool:
    """Whether the ESPHome integration has the proxy with this ``mac``, neither ignored nor disabled."""
    entry = hass.config_entries.async_entry_for_domain_unique_id("esphome", mac)
    return entry is not None and entry.source != SOURCE_IGNORE and entry.disabled_by is None
