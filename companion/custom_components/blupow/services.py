"""The actions: read everything now, and capture raw frames for support."""

from typing import Any, Final

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr

from .const import DOMAIN
from .coordinator import BluPowCoordinator
from .wire import device_identifier

REFRESH: Final = "refresh"
CAPTURE_FRAMES: Final = "capture_frames"
SCHEMA: Final = vol.Schema({vol.Required(ATTR_DEVICE_ID): cv.string})


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions, once for all proxies."""
    hass.services.async_register(
        DOMAIN,
        REFRESH,
        _async_refresh,
        schema=SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN,
        CAPTURE_FRAMES,
        _async_capture_frames,
        schema=SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )


async def _async_refresh(call: ServiceCall) -> ServiceResponse:
    """Let the proxy read all values of all its units now; returns what came of it, by unit."""
    coordinator, _ = _target(call)
    return await coordinator.async_execute(REFRESH)


async def _async_capture_frames(call: ServiceCall) -> ServiceResponse:
    """Return the last raw frames of a unit."""
    coordinator, unit = _target(call)
    if not unit:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_a_unit")
    return await coordinator.async_execute(CAPTURE_FRAMES, unit=unit)


def _target(call: ServiceCall) -> tuple[BluPowCoordinator, str]:
    """Return the proxy that a device belongs to, and the name of the unit that the device is; empty for the proxy."""
    device_id = call.data[ATTR_DEVICE_ID]
    device = dr.async_get(call.hass).async_get(device_id)
    entry = None if device is None else call.hass.config_entries.async_get_entry(device.config_entry_id)
    if device is None or entry is None or entry.domain != DOMAIN:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="device_not_found",
            translation_placeholders={"device": device_id},
        )
    if entry.state is not ConfigEntryState.LOADED:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="entry_not_loaded",
            translation_placeholders={"name": entry.title},
        )
    coordinator: BluPowCoordinator = entry.runtime_data
    units: Any = coordinator.listing.device_info.devices if coordinator.listing else ()
    for unit in units:
        if (DOMAIN, device_identifier(coordinator.mac, unit.device_id)) in device.identifiers:
            return coordinator, unit.name
    return coordinator, ""
