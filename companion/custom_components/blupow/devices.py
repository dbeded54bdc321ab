"""The proxy and its units in the device registry."""

from collections.abc import Iterable
from typing import Any, Final

from aioesphomeapi import DeviceInfo, EntityInfo, TextSensorInfo

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .const import DOMAIN, HARDWARE_VERSION, MANUFACTURER, MODEL, SERIAL_NUMBER, SOFTWARE_VERSIONS
from .wire import device_identifier

# object id of a text: the field of the registry that it fills
FIELDS: Final = {
    MODEL: "model",
    SERIAL_NUMBER: "serial_number",
    HARDWARE_VERSION: "hw_version",
    **dict.fromkeys(SOFTWARE_VERSIONS, "sw_version"),
}


@callback
def async_register(hass: HomeAssistant, entry_id: str, mac: str, info: DeviceInfo) -> dict[int, str]:
    """Register the proxy and its units, and forget units that are gone.

    Returns the registry's id of each unit by its id on the wire, the proxy's own by 0.
    """
    registry = dr.async_get(hass)
    proxy = registry.async_get_or_create(
        config_entry_id=entry_id,
        identifiers={(DOMAIN, mac)},
        connections={(dr.CONNECTION_NETWORK_MAC, mac)},
        manufacturer=info.manufacturer or None,
        model=info.model or None,
        name=info.friendly_name or info.name,
        sw_version=info.project_version or info.esphome_version or None,
        suggested_area=_area(info),
    )
    areas = {area.area_id: area.name for area in info.areas}
    ids = {0: proxy.id} | {
        unit.device_id: registry.async_get_or_create(
            config_entry_id=entry_id,
            identifiers={(DOMAIN, device_identifier(mac, unit.device_id))},
            manufacturer=MANUFACTURER,
            name=unit.name,
            suggested_area=areas.get(unit.area_id) or _area(info),
            via_device_id=proxy.id,
        ).id
        for unit in info.devices
    }
    for device in dr.async_entries_for_config_entry(registry, entry_id):
        if device.id not in ids.values():
            registry.async_remove_device(device.id)
    return ids


def _area(info: DeviceInfo) -> str | None:
    """Return the area of the proxy, which that of its units is unless they say another."""
    return info.area.name or info.suggested_area or None


@callback
def async_forget(hass: HomeAssistant, registry_ids: dict[int, str], infos: Iterable[EntityInfo]) -> None:
    """Take from the registry what units said of themselves and do not tell any more: it may have been hidden."""
    told = {(info.device_id, FIELDS.get(info.object_id)) for info in infos if isinstance(info, TextSensorInfo)}
    for device_id, registry_id in registry_ids.items():
        fields: dict[str, Any] = {field: None for field in FIELDS.values() if (device_id, field) not in told}
        if device_id:  # what the proxy is stands in no entity
            dr.async_get(hass).async_update_device(registry_id, **fields)


@callback
def async_describe(hass: HomeAssistant, registry_id: str, object_id: str, text: str) -> None:
    """Note in the registry what a unit says of itself."""
    fields: dict[str, Any] = {FIELDS[object_id]: text}
    dr.async_get(hass).async_update_device(registry_id, **fields)
