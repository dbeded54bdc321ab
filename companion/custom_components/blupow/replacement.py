"""Another proxy takes the place of one that is configured: entities keep their names, settings and history."""

from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_ZEROCONF
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN
from .coordinator import BluPowConfigEntry


@callback
def async_replace(hass: HomeAssistant, entry: BluPowConfigEntry, mac: str) -> None:
    """Make what is registered for ``entry`` that of the proxy with this ``mac``; the entry itself is left alone."""
    old = entry.unique_id or ""
    entities = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        entities.async_update_entity(entity.entity_id, new_unique_id=mac + entity.unique_id.removeprefix(old))
    devices = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        identifiers = {
            (domain, mac + name.removeprefix(old)) for domain, name in device.identifiers if domain == DOMAIN
        }
        devices.async_update_device(
            device.id,
            new_identifiers=identifiers,
            new_connections={(dr.CONNECTION_NETWORK_MAC, mac)} if device.connections else set(),
        )


async def async_forget_discovery(hass: HomeAssistant, mac: str) -> None:
    """End what discovery has brought of the proxy with this ``mac``: that it waits to be added, or is ignored."""
    entries = hass.config_entries
    ignored = entries.async_entry_for_domain_unique_id(DOMAIN, mac)
    if ignored is not None and ignored.source == SOURCE_IGNORE:
        await entries.async_remove(ignored.entry_id)
    waiting = {"unique_id": mac, "source": SOURCE_ZEROCONF}
    for flow in entries.flow.async_progress_by_handler(DOMAIN, include_uninitialized=True, match_context=waiting):
        entries.flow.async_abort(flow["flow_id"])
