"""BluPow: Renogy power gear, read over Bluetooth LE by a proxy near it."""

from homeassistant.const import CONF_HOST, CONF_PORT, EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.typing import ConfigType

from .connection import async_forget_key
from .const import CONF_NOISE_PSK, CONF_PAIRED, DOMAIN, LOGGER, PLATFORMS
from .coordinator import BluPowConfigEntry, BluPowCoordinator
from .services import async_setup_services
from .store import ListingStore
from .wire import device_identifier

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions."""
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> bool:
    """Set up a proxy: from what it listed the last time, or once it is reached."""
    coordinator = await BluPowCoordinator.async_create(hass, entry)
    entry.runtime_data = coordinator
    await coordinator.session.async_start()
    if coordinator.listing is None:
        try:
            await coordinator.session.async_first_connection()
        except Exception:
            await coordinator.async_stop()
            raise
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)

    async def stop(_: Event) -> None:
        await coordinator.async_stop()

    # the last moment: whatever uses the proxy's Bluetooth ends before it
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, stop))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> bool:
    """Unload a proxy."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.async_stop()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: BluPowConfigEntry) -> None:
    """Forget a proxy; a key that the companion has set is taken back, so that it can be paired again."""
    await ListingStore(hass, entry.entry_id).async_remove()
    data = entry.data
    if not data.get(CONF_PAIRED):
        return
    if not await async_forget_key(hass, data[CONF_HOST], data[CONF_PORT], data[CONF_NOISE_PSK]):
        LOGGER.warning(
            "%s could not be told to forget its key: run `blupow-proxy pair FILE --forget` there to pair it again",
            entry.title,
        )


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: BluPowConfigEntry, device_entry: DeviceEntry
) -> bool:
    """Let users remove a device that its proxy does not list any more."""
    coordinator = entry.runtime_data
    listed = (0, *(unit.device_id for unit in coordinator.listing.device_info.devices)) if coordinator.listing else ()
    identifiers = {(DOMAIN, device_identifier(coordinator.mac, device_id)) for device_id in listed}
    return not identifiers & device_entry.identifiers
