"""BluPow: Renogy power gear, read over Bluetooth LE by a proxy near it."""

from typing import Any

from homeassistant.config_entries import SIGNAL_CONFIG_ENTRY_CHANGED, ConfigEntry, ConfigEntryChange
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.typing import ConfigType

from .bluetooth import async_forget_source
from .connection import async_take_key_back
from .const import DOMAIN, PLATFORMS
from .coordinator import BluPowConfigEntry, BluPowCoordinator
from .issues import async_clear
from .services import async_setup_services
from .store import ListingStore
from .wire import device_identifier

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what is there once for all proxies."""
    async_setup_services(hass)

    @callback
    def entry_changed(_: ConfigEntryChange, entry: ConfigEntry[Any]) -> None:
        if entry.domain == DOMAIN and entry.disabled_by is not None:
            async_clear(hass, entry.entry_id)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, entry_changed)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> bool:
    """Set up a proxy: from what it listed the last time, or once it is reached."""
    coordinator = await BluPowCoordinator.async_create(hass, entry)
    entry.runtime_data = coordinator
    entry.async_on_unload(coordinator.async_stop)  # the last thing then; and when the rest of this fails

    async def stop(_: Event) -> None:
        await coordinator.async_stop()

    # the last moment: whatever uses the proxy's Bluetooth ends before it
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, stop))
    await coordinator.session.async_start()
    if coordinator.listing is None:
        await coordinator.session.async_first_connection()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> bool:
    """Unload a proxy."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> None:
    """Forget a proxy; a key that the companion has set is taken back, so that it can be paired again."""
    async_clear(hass, entry.entry_id)
    store = ListingStore(hass, entry.entry_id)
    if (listing := await store.async_load()) is not None:
        async_forget_source(hass, entry.entry_id, listing.device_info)
    await store.async_remove()
    await async_take_key_back(hass, entry.title, entry.unique_id or "", entry.data)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: BluPowConfigEntry, device_entry: DeviceEntry
) -> bool:
    """Let users remove a device that its proxy does not list any more."""
    listing = await ListingStore(hass, entry.entry_id).async_load()  # known whether or not the entry is loaded
    units = () if listing is None else listing.device_info.devices
    listed = {device_identifier(entry.unique_id or "", device_id) for device_id in (0, *(u.device_id for u in units))}
    return not {(DOMAIN, identifier) for identifier in listed} & device_entry.identifiers
