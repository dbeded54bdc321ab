"""The proxy as a source of Bluetooth for all of Home Assistant."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from aioesphomeapi import APIClient, DeviceInfo

from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN

if TYPE_CHECKING:
    from bleak_esphome.backend.device import ESPHomeBluetoothDevice


def offers_bluetooth(info: DeviceInfo) -> bool:
    """Whether the proxy forwards Bluetooth."""
    return bool(info.bluetooth_proxy_feature_flags)


class BluetoothSource:
    """Registers the proxy's scanner while it is connected, unless somebody else has."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Register nothing yet."""
        self._hass = hass
        self._entry_id = entry_id
        self._device: ESPHomeBluetoothDevice | None = None
        self._unregister: list[Callable[[], None]] = []
        self.disconnect_callbacks: set[Callable[[], None]] = set()

    @property
    def slots(self) -> dict[str, int] | None:
        """The connections that are free, and all; None while nothing is registered."""
        if self._device is None:
            return None
        return {"free": self._device.ble_connections_free, "limit": self._device.ble_connections_limit}

    @callback
    def async_register(self, client: APIClient, info: DeviceInfo, registry_id: str) -> bool:
        """Register the scanner; False when its source is registered already."""
        # only where Bluetooth is set up are these installed
        from bleak_esphome import connect_scanner  # noqa: PLC0415

        from homeassistant.components.bluetooth import async_register_scanner, async_scanner_by_source  # noqa: PLC0415

        source = (info.bluetooth_mac_address or info.mac_address).upper()
        if async_scanner_by_source(self._hass, source) is not None:
            return False
        data = connect_scanner(client, info, available=True)
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
            self._device.async_set_unavailable()  # before the callbacks: they look at it
            self._device = None
        for disconnected in tuple(self.disconnect_callbacks):
            disconnected()
        self.disconnect_callbacks.clear()
        for unregister in self._unregister:
            unregister()
        self._unregister.clear()
