"""What users attach to a report: all that helps, and nothing that identifies or opens."""

from collections import defaultdict
import re
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant

from .const import CONF_NOISE_PSK
from .coordinator import BluPowConfigEntry, BluPowCoordinator
from .wire import STATE_OF

REDACT: Final = {CONF_HOST, CONF_NOISE_PSK, "mac_address", "bluetooth_mac_address", "unique_id", "serial_number"}
_ADDRESS: Final = re.compile(r"\b(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b")


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: BluPowConfigEntry) -> dict[str, Any]:
    """Return the diagnostics of a proxy."""
    coordinator = entry.runtime_data
    listing = coordinator.listing
    diagnostics = {
        "entry": entry.as_dict(),
        "connection": {
            "connected": coordinator.reach.reached,
            "count": coordinator.session.connections,
            "last_error": coordinator.session.last_error,
            "api_version": str(coordinator.client.api_version),
        },
        "device_info": None if listing is None else listing.device_info.to_dict(),
        "actions": [] if listing is None else [action.name for action in listing.actions],
        "units_reached": {
            coordinator.unit_name(device_id): reach.reached for device_id, reach in coordinator.units.items()
        },
        "bluetooth": coordinator.bluetooth.slots,
        "states": _states(coordinator),
    }
    return {key: _scrubbed(value) for key, value in async_redact_data(diagnostics, REDACT).items()}


def _states(coordinator: BluPowCoordinator) -> dict[str, dict[str, Any]]:
    """Return each entity's value by unit and object id: a number's or text's None is one that is missing."""
    states: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for info in coordinator.infos.values():
        if type(info) in STATE_OF:
            unit = coordinator.unit_name(info.device_id) or coordinator.title
            value = coordinator.value_of(info.device_id, type(info), info.object_id)
            states[unit][info.object_id] = value
    return dict(states)


def _scrubbed(value: Any) -> Any:
    """Return ``value`` without addresses in its texts."""
    match value:
        case str():
            return _ADDRESS.sub(REDACTED, value)
        case dict():
            return {key: _scrubbed(item) for key, item in value.items()}
        case list() | tuple():
            return [_scrubbed(item) for item in value]
        case _:
            return value
