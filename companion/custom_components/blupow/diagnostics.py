"""What users attach to a report: all that helps, and nothing that identifies or opens."""

from collections import defaultdict
from collections.abc import Iterator
import re
from typing import Any, Final

from aioesphomeapi import EntityInfo, TextSensorInfo

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_HOST
from homeassistant.core import HomeAssistant
from homeassistant.util import slugify

from .bluetooth import offers_bluetooth
from .const import CONF_NOISE_PSK, HARMLESS_TEXTS
from .coordinator import BluPowConfigEntry, BluPowCoordinator
from .esphome import async_has_proxy
from .wire import KIND_NAMES, STATE_OF

REDACT: Final = {CONF_HOST, CONF_NOISE_PSK, "mac_address", "bluetooth_mac_address", "unique_id", "serial_number"}
_ADDRESS: Final = (  # of Bluetooth and Ethernet, of IPv4, of IPv6
    r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:_-]?){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|[0-9A-Fa-f:]*::[0-9A-Fa-f:]*"
)
_SERIAL: Final = re.compile(r"(?=.*\d).{4}")  # shorter, or without a digit, it would be found in what is none


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: BluPowConfigEntry) -> dict[str, Any]:
    """Return the diagnostics of a proxy."""
    if entry.state is not ConfigEntryState.LOADED:
        # its data hold all that is secret in it
        return {"entry": async_redact_data(entry.as_dict(), REDACT), "state": entry.state.value, "reason": entry.reason}
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
        "bluetooth": {
            "offered": listing is not None and offers_bluetooth(listing.device_info),
            "in_esphome_integration": async_has_proxy(hass, coordinator.mac),
            "scanner": coordinator.bluetooth.status,
        },
        "states": _states(coordinator),
    }
    secret = re.compile("|".join([_ADDRESS, *map(re.escape, _secrets(coordinator))]), re.IGNORECASE)
    return {key: _scrubbed(value, secret) for key, value in async_redact_data(diagnostics, REDACT).items()}


def _secrets(coordinator: BluPowCoordinator) -> Iterator[str]:
    """Yield what no text may tell: where the proxy is, its key, and what may be the serial number of a unit."""
    yield from filter(None, (coordinator.entry.data[CONF_HOST], coordinator.entry.data[CONF_NOISE_PSK]))
    for info in coordinator.infos.values():
        text = _value(coordinator, info)
        if isinstance(text, str) and not _is_harmless(coordinator, info, text) and _SERIAL.search(text):
            yield text


def _states(coordinator: BluPowCoordinator) -> dict[str, dict[str, Any]]:
    """Return each entity's value by unit, kind and object id: a number's or text's None is one that is missing."""
    states: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for info in coordinator.infos.values():
        if type(info) in STATE_OF:
            unit = coordinator.unit_name(info.device_id) or coordinator.title
            value = _value(coordinator, info)
            if isinstance(value, str) and not _is_harmless(coordinator, info, value):
                value = REDACTED
            states[unit][f"{KIND_NAMES[type(info)]}.{info.object_id}"] = value
    return dict(states)


def _value(coordinator: BluPowCoordinator, info: EntityInfo) -> Any:
    return coordinator.value_of(info.device_id, type(info), info.object_id) if type(info) in STATE_OF else None


def _is_harmless(coordinator: BluPowCoordinator, info: EntityInfo, text: str) -> bool:
    """Whether a text is one that any device may have: what names it is the user's choice, so the unknown is not."""
    if isinstance(info, TextSensorInfo) and info.object_id in HARMLESS_TEXTS:
        return True
    return any(slugify(text) in states for states in coordinator.vocabulary.states.values())


def _scrubbed(value: Any, secret: re.Pattern[str]) -> Any:
    """Return ``value`` without what is ``secret`` in its texts."""
    match value:
        case str():
            return secret.sub(REDACTED, value)
        case dict():
            return {_scrubbed(key, secret): _scrubbed(item, secret) for key, item in value.items()}
        case list() | tuple():
            return [_scrubbed(item, secret) for item in value]
        case _:
            return value
