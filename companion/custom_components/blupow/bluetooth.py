"""The proxy as a source of Bluetooth for all of Home Assistant."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from aioesphomeapi import APIClient, APIConnectionError, BluetoothProxyFeature, DeviceInfo

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.importlib import async_import_module

from .const import CONF_BLUETOOTH_SCANNING_MODE, DEFAULT_SCANNING_MODE, DOMAIN

if TYPE_CHECKING:
    from bleak_esphome.backend.device import ESPHomeBluetoothDevice
    from bleak_esphome.backend.scanner import ESPHomeScanner

SOURCE_ENTRY: Final = "source_config_entry_id"  # what Home Assistant keeps with a scanner: whose it is


def offers_bluetooth(info: DeviceInfo) -> bool:
    """Whether the proxy forwards Bluetooth."""
    return bool(info.bluetooth_proxy_feature_flags)


def has_modes(info: DeviceInfo) -> bool:
    """Whether the proxy lets its clients choose how it scans."""
    return bool(info.bluetooth_proxy_feature_flags & BluetoothProxyFeature.FEATURE_STATE_AND_MODE)


def source_of(info: DeviceInfo) -> str:
    """Return what Home Assistant knows the proxy's scanner by."""
    return (info.bluetooth_mac_address or info.mac_address).upper()


@callback
def async_forget_source(hass: HomeAssistant, entry_id: str, info: DeviceInfo) -> None:
    """Make Home Assistant forget a scanner of ``entry_id`` that will not come back, and what it has heard."""
    if "bluetooth" not in hass.config.components:
        return
    known = hass.config_entries.async_entry_for_domain_unique_id("bluetooth", source_of(info))
    if known is not None and known.data.get(SOURCE_ENTRY) == entry_id:  # else it is another integration's by now
        from homeassistant.components.bluetooth import async_remove_scanner  # noqa: PLC0415 - where it is set up

        async_remove_scanner(hass, source_of(info))


class BluetoothSource:
    """Registers the proxy's scanner while it is connected, unless somebody else has."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], on_change: Callable[[str], None]) -> None:
        """Register nothing yet; ``on_change`` hears of each source that comes or goes, ours too."""
        self._hass = hass
        self._entry = entry
        self._on_change = on_change
        self._prepared = False
        self._bleak_esphome: ModuleType | None = None
        self._device: ESPHomeBluetoothDevice | None = None
        self._scanner: ESPHomeScanner | None = None
        self._unregister: list[CALLBACK_TYPE] = []
        self.disconnect_callbacks: set[CALLBACK_TYPE] = set()

    async def async_prepare(self) -> None:
        """Load what a scanner needs, where Home Assistant's Bluetooth is set up; without it none is registered."""
        if self._prepared or "bluetooth" not in self._hass.config.components:
            return
        self._prepared = True
        self._entry.async_on_unload(self._async_follow())
        with suppress(ImportError):
            self._bleak_esphome = await async_import_module(self._hass, "bleak_esphome")

    @callback
    def _async_follow(self) -> CALLBACK_TYPE:
        from habluetooth import HaScannerRegistration, get_manager  # noqa: PLC0415 - comes with Bluetooth

        def changed(registration: HaScannerRegistration) -> None:
            # later: Home Assistant is in the middle of it
            self._hass.loop.call_soon(self._on_change, registration.scanner.source)

        unfollow: CALLBACK_TYPE = get_manager().async_register_scanner_registration_callback(changed, None)
        return unfollow

    @property
    def possible(self) -> bool:
        """Whether a scanner can be registered."""
        return self._bleak_esphome is not None

    @property
    def registered(self) -> bool:
        """Whether the scanner is registered."""
        return self._device is not None

    @property
    def status(self) -> dict[str, Any] | None:
        """How it is used; None while nothing is registered."""
        if self._device is None or self._scanner is None:
            return None
        requested, current = self._scanner.requested_mode, self._scanner.current_mode
        return {
            "connections_free": self._device.ble_connections_free,
            "connections_limit": self._device.ble_connections_limit,
            "connections_allocated": len(self._device.ble_allocations),
            "connectable": self._scanner.connectable,
            "requested_mode": requested and requested.value,
            "current_mode": current and current.value,
            "devices_heard": len(list(self._scanner.discovered_addresses)),
            "silent_s": round(self._scanner.time_since_last_detection(), 1),
        }

    @callback
    def async_register(self, client: APIClient, info: DeviceInfo, registry_id: str) -> bool:
        """Register the scanner; False when its source is registered already."""
        # only where Bluetooth is set up is this installed
        from homeassistant.components.bluetooth import (  # noqa: PLC0415
            BluetoothScanningMode,
            async_register_scanner,
            async_scanner_by_source,
        )

        assert self._bleak_esphome is not None  # noqa: S101 - see ``possible``
        if async_scanner_by_source(self._hass, source_of(info)) is not None:
            return False
        subscriptions = Subscriptions(client)
        data = self._bleak_esphome.connect_scanner(subscriptions, info, available=True)
        data.disconnect_callbacks = self.disconnect_callbacks
        assert data.scanner is not None  # noqa: S101 - there is one wherever Bluetooth is offered
        if has_modes(info):  # before it is registered: by it Home Assistant decides who asks for active scans
            mode = self._entry.options.get(CONF_BLUETOOTH_SCANNING_MODE, DEFAULT_SCANNING_MODE)
            data.scanner.async_set_scanning_mode(BluetoothScanningMode(mode))
        self._device, self._scanner = data.bluetooth_device, data.scanner
        self._unregister = [
            async_register_scanner(
                self._hass,
                data.scanner,
                source_domain=DOMAIN,
                source_model=info.model,
                source_config_entry_id=self._entry.entry_id,
                source_device_id=registry_id,
            ),
            data.scanner.async_setup(),
            subscriptions.end,
        ]
        return True

    @callback
    def async_unregister(self) -> None:
        """Take the scanner back; its connections have ended."""
        if self._device is not None:
            device, self._device, self._scanner = self._device, None, None
            device.available = False  # before the callbacks: they look at it
            if hasattr(device, "async_set_unavailable"):  # not before Home Assistant 2026.9
                device.async_set_unavailable()
        for disconnected in tuple(self.disconnect_callbacks):
            disconnected()
        self.disconnect_callbacks.clear()
        for unregister in self._unregister:
            unregister()
        self._unregister.clear()

    @callback
    def async_stop(self) -> None:
        """Take the scanner back for good."""
        self._bleak_esphome = None  # before Home Assistant tells that the source is free
        self.async_unregister()


class Subscriptions:
    """The client, as who subscribes through it sees it; what was subscribed can be ended while it stays connected.

    bleak-esphome leaves that to the end of the connection. This one goes on without its scanner: a subscription that
    is left would keep the proxy sending, and its advertisements reach Home Assistant twice once another has them.
    """

    def __init__(self, client: APIClient) -> None:
        """Nothing is subscribed yet."""
        self._client = client
        self._unsubscribe: dict[tuple[str, Any], CALLBACK_TYPE] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what the client has by this name."""
        attribute = getattr(self._client, name)
        return partial(self._subscribe, name, attribute) if name.startswith("subscribe_") else attribute

    def _subscribe(self, name: str, subscribe: Callable[[Any], CALLBACK_TYPE], on_message: Any) -> CALLBACK_TYPE:
        unsubscribe = self._unsubscribe[name, on_message] = subscribe(on_message)  # asking again replaces
        return unsubscribe

    @callback
    def end(self) -> None:
        """End all that was subscribed; nothing more comes of it."""
        for unsubscribe in self._unsubscribe.values():
            with suppress(APIConnectionError):  # with the connection, it has ended by itself
                unsubscribe()
        self._unsubscribe.clear()
