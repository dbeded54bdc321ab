"""What the system information page says of this integration."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import BluPowCoordinator


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register the information."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    coordinators: list[BluPowCoordinator] = [
        entry.runtime_data
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.state is ConfigEntryState.LOADED
    ]
    units = [unit for coordinator in coordinators for unit in coordinator.units.values()]
    versions = {coordinator.listing.device_info.project_version for coordinator in coordinators if coordinator.listing}
    return {
        "proxies_connected": f"{sum(proxy.reach.reached for proxy in coordinators)} / {len(coordinators)}",
        "units_reached": f"{sum(unit.reached for unit in units)} / {len(units)}",
        "proxy_versions": ", ".join(sorted(versions)),
    }
