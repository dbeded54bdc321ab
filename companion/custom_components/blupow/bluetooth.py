"""The proxy as a source of Bluetooth for all of Home Assistant."""

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

from aioesphomeapi import APIClient, DeviceInfo

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.importlib import async_import_module

from .const import DOMAIN

if TYPE_CHECKING:
    from bleak_esphome.backend.device import ESPHomeBluetoothDevice


def offers_bluetooth(info: DeviceInfo) -> bool:
    """Whether the proxy forwards Bluetooth."""
    return bool(info.bluetooth_proxy_feature_flags)


def source_of(info: DeviceInfo) -> str:
    """Return what Home Assistant knows the proxy's scanner by."""
    return (info.bluetooth_mac_address or info.mac_address).upper()


@callback
def async_forget_source(hass: HomeAssistant, info: DeviceInfo) -> None:
    """Make Home Assistant forget a scanner that will not come back, and what it has heard."""
    if offers_bluetooth(info) and "bluetooth" in hass.config.components:
        from homeassistant.components.bluetooth import async_remove_scanner  # noqa: PLC0415 - where it is set up

        async_remove_scanner(hass, source_of(info))


class BluetoothSource:
    """Registers the proxy's scanner while it is connected, unless somebody else has."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Register nothing yet."""
        self._hass = hass
        self._entry_id = entry_id
        self._bleak_esphome: ModuleType | None = None
        self._device: ESPHomeBluetoothDevice | None = None
        self._unregister: list[Callable[[], None]] = []
        self.disconnect_callbacks: set[Callable[[], None]] = set()

    async def async_prepare(self) -> None:
        """Load what a scanner needs, where Home Assistant's Bluetooth is set up; without it none is registered."""
        if "bluetooth" in self._hass.config.components:
            with suppress(ImportError):
                self._bleak_esphome = await async_import_module(self._hass, "bleak_esphome")

    @property
    def possible(self) -> bool:
        """Whether a scanner can be registered."""
        return self._bleak_esphome is not None

    @property
    def registered(self) -> bool:
        """Whether the scanner is registered."""
        return self._device is not None

    @property
    def slots(self) -> dict[str, int] | None:
        """The connections that are free, and all; None while nothing is registered."""
        if self._device is None:
            return None
        return {"free": self._device.ble_connections_free, "limit": self._device.ble_connections_limit}

    @callback
    def async_register(self, client: APIClient, info: DeviceInfo, registry_id: str) -> bool:
        """Register the scanner; False when its source is registered already."""
        # only where Bluetooth is set up is this installed
        from homeassistant.components.bluetooth import async_register_scanner, async_scanner_by_source  # noqa: PLC0415

        assert self._bleak_esphome is not None  # noqa: S101 - see ``possible``
        if async_scanner_by_source(self._hass, source_of(info)) is not None:
            return False
        data = self._bleak_esphome.connect_scanner(client, info, available=True)
        data.disconnect_callbacks = self.disconnect_callbacks
        assert data.scanner is not None  # noqa: S101 - there is one wherever Bluetooth is offered
        self._device = data.bluetooth_device
        self._unregister = [
            async_register_scanner(
                self._hass,
                data.scanner,
                source_domain=DOMAIN,
                source_model=info.model,
                source_config_entry_id=self._entry_id,
                source_device_id=registry_id,
            ),
            data.scanner.async_setup(),
        ]
        return True

    @callback
    def async_unregister(self) -> None:
        """Take the scanner back; its connections have ended."""
        if self._device is not None:
            device, self._device = self._device, None
            device.available = False  # before the callbacks: they look at it
            if hasattr(device, "async_set_unavailable"):  # not before Home Assistant 2026.9
                device.async_set_unavailable()
        for disconnected in tuple(self.disconnect_callbacks):
            disconnected()
        self.disconnect_callbacks.clear()
        for unregister in self._unregister:
            unregister()
        self._unregister.clear()
